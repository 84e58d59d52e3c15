"""What is said of the images before a training, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.assembly.feed import data_notes
from experiments.config.recipe import load_config
from experiments.data.splits import ImageData, Split
from experiments.records.folder import RunFolder

from ..support.command_line import Qhc, assert_refused
from .files import write_images


def division(*, train: list[int], validation: list[int], test: list[int]) -> ImageData:
    """Images of three classes, so many of each in each split."""

    def split(counts: list[int]) -> Split:
        labels = torch.arange(3).repeat_interleave(torch.tensor(counts))
        return Split.whole(torch.zeros(len(labels), 1, 8, 8, dtype=torch.uint8), labels)

    n = sum(train) + sum(validation) + sum(test)
    parts = {"train": split(train), "validation": split(validation), "test": split(test)}
    return ImageData("folder:x", **parts, classes=("ant", "bee", "cow"), mean=(0.0,), std=(1.0,),
                     n_found=n, n_published=n)  # fmt: skip


WHOLE = division(train=[3, 3, 3], validation=[1, 1, 1], test=[2, 2, 2])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("train", "among the 6 training images (bee): the model cannot learn them"),
        ("validation", "among the 2 validation images (bee): the choice of the best epoch"),
        ("test", "among the 4 test images (bee): the scores say nothing of them"),
    ],
)
def test_a_class_without_an_image_is_named(name: str, words: str) -> None:
    config = load_config("digits")
    assert data_notes(config, WHOLE, trains=True) == []
    split = getattr(WHOLE, name)
    data = replace(WHOLE, **{name: split.select((split.labels != 1).nonzero()[:, 0])})
    (note,) = data_notes(config, data, trains=True)
    assert note.startswith("1 of 3 classes has no image ")
    assert words in note
    # A model that is only tested has learned from other images.
    assert bool(data_notes(config, data, trains=False)) == (name == "test")


def test_a_limit_that_leaves_a_class_out_is_named() -> None:
    (note,) = data_notes(load_config("digits", ["run.limit=1"]), WHOLE, trains=True)
    assert note.startswith("2 of 3 classes have no image among the 1 test images (")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("run.limit=7", ["run.limit is 7, and there are 6 test images: all of them are taken"]),
        ("run.limit=6", []),
        (
            "train.limit=8",
            ["train.limit is 8, and there are 3 validation images: all of them are taken"],
        ),
        (
            "train.limit=2000",
            [
                "train.limit is 2,000, and there are 9 training images: all of them are taken",
                "train.limit is 2,000, and there are 3 validation images: all of them are taken",
            ],
        ),
        (
            "run.calibrate=10",
            ["run.calibrate is 10, and there are 9 training images: all of them are taken"],
        ),
    ],
)
def test_a_number_beyond_the_images_is_named(setting: str, expected: list[str]) -> None:
    assert data_notes(load_config("digits", [setting]), WHOLE, trains=True) == expected


def test_notes_of_the_data_come_first() -> None:
    data = replace(WHOLE, notes=("one", "two"), n_published=1000)
    assert data_notes(load_config("digits"), data, trains=False)[:2] == ["one", "two"]


def test_one_class_is_refused_before_anything_is_made(qhc: Qhc, tmp_path: Path) -> None:
    home = tmp_path.parent / f"{tmp_path.name}-images"
    write_images(home, ["only"], 10)
    assert_refused(qhc, "holds one class, 'only'", "run", "--dataset", f"folder:{home}")


def test_notes_are_printed_before_training_and_recorded(qhc: Qhc, tmp_path: Path) -> None:
    for part, classes in (("train", ["a", "b", "c"]), ("val", ["a", "b"]), ("test", ["a", "c"])):
        write_images(tmp_path / "images" / part, classes, 8)
    (tmp_path / "images" / "train" / ".DS_Store").touch()
    arguments = ("--dataset", "folder:images", "--epochs", "1", "--limit", "99", "--out", "here")
    code, _, err = qhc(
        "run", *arguments, "--set", "model.arm=linear", "--set", "train.batch_size=8"
    )
    assert code == 0, err
    notes = RunFolder.open(Path("here")).state.notes
    assert len(notes) == 4
    for note in notes:
        assert 0 < err.index(f"note: {note}") < err.index("epoch   1")
    code, _, err = qhc("run", "--checkpoint", "here", "--limit", "99", "--out", "again")
    assert code == 0, err
    again = list(RunFolder.open(Path("again")).state.notes)
    assert again == [note for note in notes if "validation" not in note]
