"""Images as files, in one folder per class.

Letters: N images, C channels, H height, W width.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from qbackend.errors import DataError

from .decode import Range, UnknownRangeError, decode, is_grey, stored_extremes
from .folder_notes import give_range, ignored_note, image_notes
from .source import Images, Source, checking
from .splits import Split, hold_out
from .tree import TYPES, Samples, read_tree

Found = TypeVar("Found")

MOST_SHOWN = 5
"""Files that one message names."""
FOLDER = "folder:"
"""What the name of a dataset of one's own begins with."""

TEST_SHARE = 0.2
TEST_SEED = 0

_SPLITS = ("train", "val", "test")
_OTHER_SPLIT = "or no split by the name train, val or test"
_LIKE_SPLITS = {*_SPLITS, "training", "validation", "valid", "testing", "eval"}


def read_folder(folder: Path, size: int | None, value_range: Range | None = None) -> Images:
    """Images of one's own: `folder`/train, with `folder`/val and `folder`/test or one of the two.

    With one of the two, it is the test split. Without the three, `folder` itself holds the
    classes, and a fifth of its images, the same ones for every seed, are the test split: no run
    can have trained on them. Images are grey if all of them are, else RGB. With a size they are
    cropped to their middle square and scaled to that side. Hidden files and folders are ignored;
    the notes say so.

    Args:
        folder: of the images.
        size: side to scale to.
        value_range: stored values of black and white in images deeper than 8 bits (see `decode`).

    Raises:
        DataError: fewer than two classes, a damaged file, images of several sizes and no size
            given, or values without a range and none given.
    """
    if not (folder / "train").is_dir():
        tree = read_tree(folder)
        _check_classes(folder, tree.classes)
        everything, notes = _read_splits(folder, [tree.samples], size, value_range)
        train, test = hold_out(everything[0], TEST_SHARE, TEST_SEED)
        if len(test) == 0:
            raise DataError(
                f"{len(train)} images in {len(tree.classes)} classes leave none for the test; a "
                "class needs at least 3"
            )
        return Images(
            train, test, tree.classes, notes=(*ignored_note(folder, tree.ignored), *notes)
        )
    others = [name for name in ("val", "test") if (folder / name).is_dir()]
    if not others:
        raise DataError(f"{folder} has a folder 'train', but neither 'val' nor 'test' beside it")
    trained = read_tree(folder / "train")
    _check_classes(folder / "train", trained.classes)
    trees = [trained, *(read_tree(folder / name, trained.classes) for name in others)]
    beside = [path for path in sorted(folder.iterdir()) if path.name not in _SPLITS]
    ignored = [*beside, *(path for tree in trees for path in tree.ignored)]
    splits, notes = _read_splits(folder, [tree.samples for tree in trees], size, value_range)
    train, *rest = splits
    return Images(
        train,
        rest[-1],
        trained.classes,
        validation=rest[0] if len(rest) == 2 else None,
        notes=(*ignored_note(folder, ignored, _OTHER_SPLIT), *notes),
    )


class TinyImageNet(Source):
    """Tiny ImageNet, whose published validation images serve as the test split.

    `val` may hold one folder per class, or be as published: all images in one folder, with
    val_annotations.txt. torchvision cannot download it.
    """

    @property
    def folder(self) -> str:
        return "tiny-imagenet-200"

    def count(self, folder: Path) -> tuple[int, int]:
        for part in ("train", "val"):
            if not (folder / part).is_dir():
                raise FileNotFoundError(str(folder / part))
        return len(read_tree(folder / "train").samples), len(self._test_samples(folder))

    def read(self, root: Path) -> Images:
        folder = root / self.folder
        tree = read_tree(folder / "train")
        splits = [tree.samples, self._test_samples(folder)]
        (train, test), notes = _read_splits(folder, splits, None, None, channels=3)
        return Images(train, test, tree.classes, notes=tuple(notes))

    def _test_samples(self, folder: Path) -> Samples:
        classes = read_tree(folder / "train").classes
        notes = folder / "val" / "val_annotations.txt"
        if not notes.is_file():
            return read_tree(folder / "val", classes).samples
        with checking(notes):
            rows = [line.split("\t")[:2] for line in notes.read_text().splitlines()]
            paths = ((notes.parent / "images" / file, name) for file, name in rows)
            return [(path, classes.index(name)) for path, name in paths]


def _check_classes(folder: Path, classes: tuple[str, ...]) -> None:
    """Raise `DataError` for what is no task: one class, or splits in the place of classes."""
    if all(name.lower() in _LIKE_SPLITS for name in classes):
        raise DataError(
            f"the folders {' and '.join(classes)} of {folder} look like splits; name them train, "
            "val and test, each with one folder of images per class"
        )
    if len(classes) < 2:
        raise DataError(
            f"{folder} holds one class, '{classes[0]}'; put the images of each class into a folder "
            "of its own, two at least"
        )


_GIVE_SIZE = "give the side of a square to scale them to, for example: --set data.size=64"


def _each(
    pool: ThreadPoolExecutor, read: Callable[[Path], Found], paths: Sequence[Path]
) -> list[Found]:
    """What is read of every file; raises `DataError` that names the first damaged ones."""

    def tried(path: Path) -> Found | DataError:
        try:
            return read(path)
        except UnknownRangeError:
            raise
        except DataError as error:
            return error

    found = list(pool.map(tried, paths))
    damaged = [each for each in found if isinstance(each, DataError)]
    if len(damaged) > 1:
        shown = "; ".join(map(str, damaged[:MOST_SHOWN]))
        raise DataError(
            f"{len(damaged):,} of {len(paths):,} images cannot be read: {shown}"
            f"{'; …' if len(damaged) > MOST_SHOWN else ''}; remove or repair them"
        )
    if damaged:
        raise damaged[0]
    return [each for each in found if not isinstance(each, DataError)]


def _read_splits(
    folder: Path,
    splits: Sequence[Samples],
    size: int | None,
    value_range: Range | None,
    channels: int | None = None,
) -> tuple[list[Split], list[str]]:
    """The splits, and notes on all their images together; grey unless one image is not."""
    paths = [path for samples in splits for path, _ in samples]
    if not all(splits):
        raise DataError(f"{folder}: a split holds not one image of the types {TYPES}")
    # Decoding runs outside Python's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            n_channels = channels or (1 if all(_each(pool, is_grey, paths)) else 3)
            images = _each(pool, lambda path: decode(path, n_channels, size, value_range), paths)
        except FileNotFoundError as error:
            gone = next((path for path in paths if not path.exists()), error.filename)
            raise DataError(
                f"{gone} is a link to nothing, or gone; remove it, or put the file there"
            ) from None
        except UnknownRangeError as error:
            found = [each for each in pool.map(stored_extremes, paths) if each is not None]
            low, high = min(each[0] for each in found), max(each[1] for each in found)
            raise DataError(
                f"{error}; give both for all images alike, for example the extremes of those "
                f"here: {give_range(low, high)}"
            ) from None
    for path, image in zip(paths, images, strict=True):
        if image.pixels.shape != images[0].pixels.shape:
            shapes = (images[0].pixels.shape, image.pixels.shape)
            sides = " and ".join(f"{shape[1]}x{shape[0]}" for shape in shapes)
            raise DataError(f"{path}: images differ in size, {sides}; {_GIVE_SIZE}")
    read, start = [], 0
    for samples in splits:
        part = images[start : start + len(samples)]
        pixels = np.stack([image.pixels for image in part])
        labels = torch.tensor([label for _, label in samples])
        read.append(Split.whole(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels))
        start += len(samples)
    return read, image_notes(folder, images, value_range)
