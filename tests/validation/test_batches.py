"""What counts as data, and what is refused with the words that help."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from qbackend.errors import InputError, OptionError
from qbackend.validation.batches import read_batches

INPUTS, TARGETS = torch.arange(14.0).reshape(7, 2), torch.arange(7)


def as_generator() -> Any:
    yield INPUTS[:4], TARGETS[:4]
    yield INPUTS[4:], TARGETS[4:]


SAME = {
    "loader": DataLoader(TensorDataset(INPUTS, TARGETS), batch_size=3),
    "list": [(INPUTS[:3], TARGETS[:3]), (INPUTS[3:], TARGETS[3:])],
    "dataset": TensorDataset(INPUTS, TARGETS),
    "pair": (INPUTS, TARGETS),
    "arrays": (INPUTS.numpy(), TARGETS.numpy()),
    "generator": as_generator(),
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_items_are_known_again_however_they_come(kind: str) -> None:
    found = read_batches(SAME[kind])
    assert len(found) == 7
    assert torch.equal(found.target, TARGETS)
    assert found.sha256 == read_batches([(INPUTS, TARGETS)]).sha256


def test_a_limit_cuts_and_reads_no_further() -> None:
    read = []

    def endless() -> Any:
        while True:
            read.append(1)
            yield INPUTS, TARGETS

    found = read_batches(endless(), 10)
    assert len(found) == 10
    assert len(read) == 2
    assert found.sha256 != read_batches((INPUTS, TARGETS)).sha256
    assert read_batches((INPUTS, TARGETS), 3).sha256 == read_batches(endless(), 3).sha256


def test_other_numbers_and_another_order_are_other_data() -> None:
    known = read_batches((INPUTS, TARGETS)).sha256
    assert read_batches((INPUTS.flip(0), TARGETS)).sha256 != known
    assert read_batches((INPUTS, TARGETS.flip(0))).sha256 != known
    assert read_batches((INPUTS.double(), TARGETS)).sha256 != known


def test_inputs_may_be_several() -> None:
    pairs = read_batches([((INPUTS, INPUTS), TARGETS)], 2)
    assert isinstance(pairs.inputs[0], tuple)
    named = read_batches([({"x": INPUTS}, TARGETS)], 2)
    assert isinstance(named.inputs[0], dict)
    assert len(named.inputs[0]["x"]) == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "nothing in the data"),
        (INPUTS, "got a tensor of shape"),
        (3, "got a int"),
        ([INPUTS, INPUTS, INPUTS], "an element of it is a tensor"),
        ([(INPUTS[0], 3), (INPUTS[1], 4)], "single items"),
        ([(INPUTS, TARGETS[:3])], "differ in the number of items"),
        ([("text", TARGETS)], "the inputs of a batch are a str"),
    ],
    ids=["empty", "tensor", "number", "tensors", "items", "lengths", "text"],
)
def test_what_is_no_data_is_told(data: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_batches(data)


def test_a_limit_is_at_least_one() -> None:
    with pytest.raises(OptionError, match="limit"):
        read_batches((INPUTS, TARGETS), 0)


def test_arrays_are_read_as_they_are() -> None:
    found = read_batches((np.ones((2, 2)), np.zeros(2)))
    assert found.target.dtype == torch.float64
