"""Images of one's own, in folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from experiments.data import load_data
from experiments.data.splits import channel_statistics
from qbackend.errors import DataError

from .files import write_images


def test_a_folder_with_three_splits(tmp_path: Path) -> None:
    for part, n in (("train", 5), ("val", 2), ("test", 3)):
        write_images(tmp_path / part, ["cat", "dog"], n)
    data = load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [10, 4, 6]
    assert data.classes == ("cat", "dog")
    assert data.complete
    assert (data.mean, data.std) == channel_statistics(data.train.images)


@pytest.mark.parametrize("other", ["val", "test"])
def test_a_folder_with_two_splits(other: str, tmp_path: Path) -> None:
    write_images(tmp_path / "train", ["cat", "dog"], 5)
    write_images(tmp_path / other, ["dog"], 3)
    data = load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [8, 2, 3]
    assert data.test.labels.tolist() == [1, 1, 1]


def test_a_folder_of_classes(tmp_path: Path) -> None:
    write_images(tmp_path, ["cat", "dog", "eel"], 10, size=(9, 6))
    first, second = (
        load_data(f"folder:{tmp_path}", root=Path("unused"), seed=seed) for seed in (0, 1)
    )
    assert [len(split) for split in (first.train, first.validation, first.test)] == [18, 6, 6]
    assert first.train.images.shape[1:] == (3, 6, 9)
    assert torch.equal(first.test.images, second.test.images)
    assert not torch.equal(first.validation.images, second.validation.images)


def test_grey_folders_stay_grey(tmp_path: Path) -> None:
    write_images(tmp_path, ["a", "b"], 5)
    for path in tmp_path.glob("*/*.png"):
        Image.open(path).convert("L").save(path)
    data = load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0)
    assert data.train.images.shape[1:] == (1, 8, 8)


def test_folders_of_several_sizes_need_one(tmp_path: Path) -> None:
    write_images(tmp_path / "train", ["a", "b"], 5, size=(8, 8))
    write_images(tmp_path / "test", ["a", "b"], 2, size=(12, 9))
    with pytest.raises(DataError, match=r"--set data\.size=64"):
        load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0)
    data = load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0, size=6)
    assert data.test.images.shape[1:] == (3, 6, 6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: None, "one folder of images per class"),
        (lambda folder: write_images(folder / "train", ["a"], 2), "neither 'val' nor 'test'"),
        (lambda folder: (folder / "a").mkdir(), "one folder of images per class"),
        (
            lambda folder: (
                write_images(folder / "train", ["a"], 2),
                write_images(folder / "test", ["b"], 2),
            ),
            "no class 'b'",
        ),
        (lambda folder: write_images(folder, ["a", "b"], 1), "larger share"),
    ],
)
def test_folders_that_will_not_do(make: Any, words: str, tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match=words):
        load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    write_images(tmp_path, ["a", "b"], 5)
    damaged = tmp_path / "b" / "3.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(DataError, match=r"b/3\.png is damaged"):
        load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0)
