"""Images of one's own, in folders."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

from experiments.data.decode import decode
from experiments.data.load import load_data
from experiments.data.splits import channel_statistics
from experiments.data.tree import read_tree
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
                write_images(folder / "train", ["a", "c"], 2),
                write_images(folder / "test", ["b"], 2),
            ),
            "no class 'b'",
        ),
        (lambda folder: write_images(folder, ["a", "b"], 1), "leave none for the test"),
        (
            lambda folder: (
                write_images(folder / "train", ["a", "b"], 2),
                write_images(folder / "test", ["a", "b"], 2),
            ),
            "larger share",
        ),
        (lambda folder: write_images(folder, ["a"], 5), "holds one class, 'a'"),
        (
            lambda folder: (
                write_images(folder / "train", ["a"], 5),
                write_images(folder / "test", ["a"], 5),
            ),
            "holds one class, 'a'",
        ),
        (lambda folder: write_images(folder, ["a/.hidden", "b"], 5), "no image of the types .*a$"),
        (
            lambda folder: (
                write_images(folder / "training", ["a", "b"], 5),
                write_images(folder / "testing", ["a", "b"], 5),
            ),
            "look like splits; name them train",
        ),
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


HIDDEN = (".ipynb_checkpoints", "__MACOSX", "@eaDir", ".git")


@pytest.mark.parametrize("parts", [("",), ("train", "test"), ("train", "val", "test")])
@pytest.mark.parametrize("below", ["", "a"])
def test_what_is_hidden_is_neither_class_nor_image(
    parts: tuple[str, ...], below: str, tmp_path: Path
) -> None:
    """Beside the classes and within one, in every layout; and it is said."""
    plain, cluttered = tmp_path / "plain", tmp_path / "cluttered"
    for part in parts:
        write_images(plain / part, ["a", "b"], 10)
        shutil.copytree(plain / part, cluttered / part, dirs_exist_ok=True)
        place = cluttered / part / below
        write_images(place, list(HIDDEN), 2)
        for name in ("._0.png", ".DS_Store", "Thumbs.db", "notes.txt"):
            (place / name).write_bytes(b"no image")
    expected, found = (
        load_data(f"folder:{folder}", root=Path("unused"), seed=0) for folder in (plain, cluttered)
    )
    assert found.classes == expected.classes == ("a", "b")
    for split in ("train", "validation", "test"):
        assert torch.equal(getattr(found, split).images, getattr(expected, split).images)
        assert torch.equal(getattr(found, split).labels, getattr(expected, split).labels)
    assert not expected.notes
    assert len(found.notes) == 1
    n_ignored = len(parts) * (len(HIDDEN) + 4)
    assert f"ignored in {cluttered}: " in found.notes[0]
    assert f"and {n_ignored - 3} more; hidden, or no image of the types .jpg" in found.notes[0]


def test_what_is_ignored_is_named(tmp_path: Path) -> None:
    write_images(tmp_path, ["a", "b", "b/.ipynb_checkpoints"], 5)
    (tmp_path / "b" / "picture.gif").write_bytes(b"GIF89a")
    (tmp_path / "c.png").write_bytes(b"beside the classes")
    (note,) = load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0).notes
    assert ": c.png, b/.ipynb_checkpoints, b/picture.gif; hidden, or no image" in note


def test_folders_beside_the_splits_are_named(tmp_path: Path) -> None:
    for part in ("train", "test", "valid"):
        write_images(tmp_path / part, ["a", "b"], 5)
    (note,) = load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0).notes
    assert f"ignored in {tmp_path}: valid; " in note
    assert note.endswith(", or no split by the name train, val or test")


def test_images_in_folders_of_a_class_are_read_in_the_order_of_their_paths(tmp_path: Path) -> None:
    """As torchvision reads them: the division follows from the order."""
    write_images(tmp_path, ["a", "a/x", "a/b", "b"], 3)
    tree = read_tree(tmp_path)
    theirs = ImageFolder(tmp_path).samples
    assert [(str(path), label) for path, label in tree.samples] == theirs


def test_images_that_links_lead_to_again_are_read_once(tmp_path: Path) -> None:
    write_images(tmp_path, ["a", "b"], 5)
    write_images(tmp_path / "a", ["deep"], 2)
    for link, target in (("loop", "."), ("again", "deep"), ("deep/up", ".")):
        (tmp_path / "a" / link).symlink_to(tmp_path / "a" / target)
    tree = read_tree(tmp_path)
    assert len({path.resolve() for path, _ in tree.samples}) == len(tree.samples) == 12


@pytest.mark.parametrize("layout", ["classes", "splits"])
def test_a_link_to_nothing_is_named(layout: str, tmp_path: Path) -> None:
    for part in ("train", "test") if layout == "splits" else ("",):
        write_images(tmp_path / part, ["a", "b"], 5)
    link = next(tmp_path.rglob("a")) / "gone.png"
    link.symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"gone\.png is a link to nothing.*remove it"):
        load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0)


def test_names_that_are_not_utf8_can_be_shown_or_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path, ["a", "b"], 5)
    Path(os.fsdecode(os.fsencode(tmp_path / "a") + b"/\xff.txt")).touch()
    (note,) = load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0).notes
    assert r"a/\xff.txt;" in note
    note.encode()
    (tmp_path / "b").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9t\xe9"))
    with pytest.raises(DataError, match=r"not UTF-8, b'\\xe9t\\xe9'; rename it"):
        load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0)


def test_a_folder_that_is_not_there_is_named_with_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"there is no folder photos, seen from") as found:
        load_data("folder:photos", root=Path("unused"), seed=0)
    assert str(tmp_path) in str(found.value)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_read_upright(orientation: int, tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, :3], pixels[1, 0] = 255, 120
    upright = Image.fromarray(pixels)
    # How a camera that was held so would have stored it.
    held = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(held[orientation]) if orientation in held else upright
    exif = Image.Exif()
    exif[274] = orientation
    stored.save(tmp_path / "one.png", exif=exif)
    found = decode(tmp_path / "one.png", 3, None, None)
    assert np.array_equal(found.pixels, pixels)
    assert found.is_turned == (orientation > 1)


def test_notes_that_are_damaged_turn_nothing(tmp_path: Path) -> None:
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6))
    image.save(tmp_path / "one.png", exif=b"Exif\0\0nonsense")
    assert not decode(tmp_path / "one.png", 1, None, None).is_turned


def test_all_damaged_files_are_named_at_once(tmp_path: Path) -> None:
    write_images(tmp_path, ["a", "b"], 4)
    for number in range(3):
        (tmp_path / "a" / f"{number}.png").write_bytes(b"none")
    with pytest.raises(DataError, match=r"3 of 8 images cannot be read: .*0\.png.*1\.png.*2\.png"):
        load_data(f"folder:{tmp_path}", root=Path("unused"), seed=0)
