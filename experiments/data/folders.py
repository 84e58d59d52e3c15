"""Images as files, in one folder per class.

Letters: N images, C channels, H height, W width.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from qbackend.errors import DataError

from .source import Images, Source, checking
from .splits import Split, hold_out

FOLDER = "folder:"
"""What the name of a dataset of one's own begins with."""

TEST_SHARE = 0.2
TEST_SEED = 0

Samples = Sequence[tuple[str, int]]
"""Paths and labels."""


def read_folder(folder: Path, size: int | None) -> Images:
    """Images of one's own: `folder`/train, with `folder`/val and `folder`/test or one of the two.

    With one of the two, it is the test split. Without the three, `folder` itself holds the
    classes, and a fifth of its images, the same ones for every seed, are the test split: no run
    can have trained on them. Images are grey if all of them are, else RGB. With a size they are
    cropped to their middle square and scaled to that side.

    Raises:
        DataError: no classes, a damaged file, or images of several sizes and no size given.
    """
    if not (folder / "train").is_dir():
        classes, samples = _samples(folder)
        everything = _read_split(samples, _channels(samples), size)
        train, test = hold_out(everything, TEST_SHARE, TEST_SEED)
        return Images(train, test, classes)
    others = [name for name in ("val", "test") if (folder / name).is_dir()]
    if not others:
        raise DataError(f"{folder} has a folder 'train', but neither 'val' nor 'test' beside it")
    classes, train_samples = _samples(folder / "train")
    held = [_samples(folder / name, classes)[1] for name in others]
    channels = max(_channels(samples) for samples in (train_samples, *held))
    train, *rest = (_read_split(samples, channels, size) for samples in (train_samples, *held))
    if len({split.images.shape[1:] for split in (train, *rest)}) > 1:
        raise DataError(f"images in {folder} differ in size; {_GIVE_SIZE}")
    return Images(train, rest[-1], classes, validation=rest[0] if len(rest) == 2 else None)


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
        return len(_samples(folder / "train")[1]), len(self._test_samples(folder))

    def read(self, root: Path) -> Images:
        folder = root / self.folder
        classes, train = _samples(folder / "train")
        test = self._test_samples(folder)
        return Images(_read_split(train, 3, None), _read_split(test, 3, None), classes)

    def _test_samples(self, folder: Path) -> Samples:
        classes = _samples(folder / "train")[0]
        notes = folder / "val" / "val_annotations.txt"
        if not notes.is_file():
            return _samples(folder / "val", classes)[1]
        with checking(notes):
            rows = [line.split("\t")[:2] for line in notes.read_text().splitlines()]
            paths = ((notes.parent / "images" / file, name) for file, name in rows)
            return [(str(path), classes.index(name)) for path, name in paths]


def _samples(
    folder: Path, classes: tuple[str, ...] | None = None
) -> tuple[tuple[str, ...], Samples]:
    """Class names in alphabetical order, and the images below each class's folder.

    With `classes` given, the folders must be among them, and labels are indices into them.
    """
    try:
        tree = ImageFolder(folder, allow_empty=classes is not None)
    except OSError as error:
        raise DataError(f"{folder} must hold one folder of images per class: {error}") from error
    names = tuple(tree.classes)
    if classes is None:
        return names, tree.samples
    if unknown := sorted(set(names) - set(classes)):
        raise DataError(f"{folder / unknown[0]}: the training images have no class '{unknown[0]}'")
    return classes, [(path, classes.index(names[label])) for path, label in tree.samples]


def _channels(samples: Samples) -> int:
    """1 if every image is grey, else 3."""

    def is_grey(path: str) -> bool:
        with checking(Path(path)), Image.open(path) as image:
            return image.mode in ("1", "L", "I;16")

    return 1 if all(is_grey(path) for path, _ in samples) else 3


_GIVE_SIZE = "give the side of a square to scale them to, for example: --set data.size=64"


def _read_split(samples: Samples, channels: int, size: int | None) -> Split:
    if not samples:
        raise DataError("there is not one image of the types " + " ".join(IMG_EXTENSIONS))
    # Decoding runs outside Python's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        arrays = list(pool.map(lambda sample: _decode(sample[0], channels, size), samples))
    for (path, _), array in zip(samples, arrays, strict=True):
        if array.shape != arrays[0].shape:
            sides = " and ".join(f"{a.shape[1]}x{a.shape[0]}" for a in (arrays[0], array))
            raise DataError(f"{path}: images differ in size, {sides}; {_GIVE_SIZE}")
    images = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
    return Split.whole(images, torch.tensor([label for _, label in samples]))


def _decode(path: str, channels: int, size: int | None) -> NDArray[np.uint8]:
    """(H, W, C)."""
    with checking(Path(path)), Image.open(path) as file:
        image = file.convert("L" if channels == 1 else "RGB")
        if size is not None:
            image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
        return np.asarray(image, dtype=np.uint8).reshape(image.height, image.width, channels)
