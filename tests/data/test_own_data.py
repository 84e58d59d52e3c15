"""Datasets of the user's own: any pair of inputs and class numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from experiments.data.batches import BatchSource
from experiments.data.load import load_own
from experiments.data.own import viewable
from experiments.data.splits import ImageData
from qbackend.errors import DataError

DIVISION = {"seed": 0, "validation": 0.25, "stratified": True, "validation_from_test": False}


def items(n: int, *shape: int, dtype: torch.dtype = torch.float32) -> TensorDataset:
    inputs = torch.arange(n * int(np.prod(shape))).reshape(n, *shape) % 251
    return TensorDataset(inputs.to(dtype), torch.arange(n) % 2)


def loaded(*splits: Any) -> ImageData:
    return load_own("load", splits, **DIVISION)


def test_a_table_is_taken_as_it_is() -> None:
    data = loaded(items(16, 3), items(6, 3))
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 6)
    assert (data.classes, data.mean, data.std) == (("0", "1"), (), ())
    assert any("of shape (3,), no images" in note for note in data.notes)
    source = BatchSource(data.test, 6, device="cpu", mean=data.mean, std=data.std)
    ((inputs, labels),) = source.epoch()
    assert torch.equal(inputs, items(6, 3).tensors[0])
    assert torch.equal(labels, items(6, 3).tensors[1])


def test_a_validation_split_is_taken_where_there_is_one() -> None:
    data = loaded(items(16, 3), items(5, 3), items(6, 3))
    assert (len(data.train), len(data.validation), len(data.test)) == (16, 5, 6)
    assert any("a validation split of its own" in note for note in data.notes)
    named = load_own("load", {"test": items(6, 3), "train": items(16, 3)}, **DIVISION)
    assert (len(named.train), len(named.test)) == (12, 6)


def test_images_of_uint8_are_normalised_and_others_are_not() -> None:
    data = loaded(items(16, 1, 4, 4, dtype=torch.uint8), items(6, 1, 4, 4, dtype=torch.uint8))
    assert (len(data.mean), len(data.std), data.notes) == (1, 1, ())
    source = BatchSource(data.train, 12, device="cpu", mean=data.mean, std=data.std)
    ((inputs, _),) = source.epoch()
    expected = (data.train.images.double() / 255 - data.mean[0]) / data.std[0]
    assert (inputs - expected).abs().max() < 1e-5
    floats = loaded(items(16, 1, 4, 4), items(6, 1, 4, 4))
    assert floats.mean == ()
    assert torch.equal(floats.test.images, items(6, 1, 4, 4).tensors[0])


def test_what_is_no_image_is_not_shown() -> None:
    assert viewable(torch.zeros(2, 5)) is None
    assert viewable(torch.zeros(2, 4, 3, 3)) is None
    shown = viewable(torch.tensor([-1.0, 0.0, 1.0]).reshape(1, 1, 1, 3))
    assert shown is not None
    assert shown.flatten().tolist() == [0, 128, 255]


class Restless(Dataset[tuple[Tensor, int]]):
    """Items that are others each time."""

    classes = ("one", "other")

    def __len__(self) -> int:
        return 8

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return torch.rand(3), place % 2


def test_random_items_are_noted() -> None:
    data = loaded(Restless(), items(6, 3))
    assert data.classes == ("one", "other")
    assert any("is another each time it is read" in note for note in data.notes)


def changed(n: int, targets: Any, inputs: Any = None) -> list[tuple[Any, Any]]:
    return [
        (torch.zeros(3) if inputs is None else inputs[place], targets[place]) for place in range(n)
    ]


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (items(8, 3), "load returned a TensorDataset of 8; it must return torch Datasets"),
        ((items(8, 3),), "load returned a tuple of 1"),
        (({"a": 1}, items(8, 3)), "split gives no pair of input and target: KeyError"),
        ((iter([1]), items(8, 3)), "which has no length and no items"),
        ((changed(4, [0.5, 1.0, 0.0, 1.0]), items(4, 3)), "no class number (0, 1, …)"),
        ((changed(4, [0.5, 1.0, 0.0, 1.0]), items(4, 3)), "validate it by qbackend.validate"),
        ((changed(2, torch.eye(2).long()), items(4, 3)), "int64 of shape (2,)"),
        ((changed(2, [0, -1]), items(4, 3)), "int64 of shape () (-1)"),
        ((changed(2, [True, False]), items(4, 3)), "bool of shape ()"),
        ((items(8, 3), items(4, 2)), "inputs of the test split are float32 of shape (2,)"),
        ((changed(2, [0, 1], [torch.ones(3), torch.ones(2)]), items(4, 3)), "split differ: item 0"),
        ((changed(2, [0, 1], [torch.ones(3), torch.ones(3) / 0]), items(4, 3)), "infinite number"),
        ((changed(2, [0, 1], ["a", "b"]), items(4, 3)), "is no tensor but a str"),
        ((changed(2, [0, 1], torch.ones(2)), items(4, 3)), "at least one dimension"),
        ((items(8, 3), changed(2, [0, 1, 2][1:])), ""),
    ],
)
def test_what_is_no_classification_is_refused(returned: Any, words: str) -> None:
    if not words:
        assert load_own("load", returned, **DIVISION).classes == ("0", "1", "2")
        return
    with pytest.raises(DataError) as caught:
        load_own("load", returned, **DIVISION)
    assert words in str(caught.value)


def test_classes_have_a_name_each() -> None:
    train = items(8, 3)
    train.classes = ["only"]
    with pytest.raises(DataError, match="are 1 names"):
        loaded(train, items(4, 3))
