"""How the datasets of torchvision are stored, and read through its classes.

torchvision compares checksums, which a subset of a dataset cannot have. Here the classes are
subclassed with checksums left out; instead every file's structure is checked before it is read,
and the number of images tells a subset from the whole.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, STL10

from .source import Images, Source, checking, count_each
from .splits import Split, hold_out

DIGITS_TEST_SEED = 0

STL10_CLASSES = (
    *("airplane", "bird", "car", "cat", "deer"),
    *("dog", "horse", "monkey", "ship", "truck"),
)


class Digits(Source):
    """scikit-learn's digits: part of the installed library, nothing to download.

    Its test split is the same one for every seed, so that no run can have trained on it. The 17
    grey levels 0 to 16 are spread over 0 to 255.
    """

    def count(self, folder: Path) -> tuple[int, int]:
        return self.n_train, self.n_test

    def read(self, root: Path) -> Images:
        digits = load_digits()
        images = torch.from_numpy(np.round(digits.images * 255 / 16).astype(np.uint8))[:, None]
        labels = torch.from_numpy(digits.target.astype(np.int64))
        train, test = hold_out(Split.whole(images, labels), 0.2, DIGITS_TEST_SEED)
        return Images(train, test, tuple(str(name) for name in digits.target_names))


@dataclass(frozen=True)
class Idx(Source):
    """MNIST and its relatives: files of a header and one byte per pixel or label."""

    dataset: type[MNIST]

    @property
    def folder(self) -> str:
        return f"{self.dataset.__name__}/raw"

    @property
    def addresses(self) -> tuple[str, ...]:
        file, _ = self.dataset.resources[0]
        return tuple(mirror + file for mirror in self.dataset.mirrors)

    def count(self, folder: Path) -> tuple[int, int]:
        counts = []
        for stem in ("train", "t10k"):
            images = count_each([folder / f"{stem}-images-idx3-ubyte"], self._count)
            labels = count_each([folder / f"{stem}-labels-idx1-ubyte"], self._count)
            with checking(folder / f"{stem}-labels-idx1-ubyte"):
                _expect(labels, images, "labels, one for each image")
            counts.append(images)
        return counts[0], counts[1]

    def read(self, root: Path) -> Images:
        train, test = (self.dataset(root, train=train) for train in (True, False))
        # torchvision's names of MNIST's classes are "0 - zero" and so on.
        names = tuple(name.partition(" - ")[0] for name in train.classes)
        return Images(
            Split.whole(train.data[:, None], train.targets),
            Split.whole(test.data[:, None], test.targets),
            names,
        )

    def fetch(self, root: Path) -> None:
        self.dataset(root, download=True)

    def _count(self, path: Path) -> int:
        """By the header (http://yann.lecun.com/exdb/mnist), which must agree with the size."""
        n_dimensions = 3 if "images" in path.name else 1
        with path.open("rb") as file:
            header = np.frombuffer(file.read(4 + 4 * n_dimensions), dtype=">u4")
        _expect(int(header[0]), 0x800 + n_dimensions, "as its first number")
        _expect(path.stat().st_size, header.nbytes + int(np.prod(header[1:])), "bytes")
        return int(header[1])


class AnyCIFAR10(CIFAR10):
    """CIFAR-10 whatever the checksums of its files."""

    train_list = [[file, None] for file, _ in CIFAR10.train_list]  # noqa: RUF012
    test_list = [[file, None] for file, _ in CIFAR10.test_list]  # noqa: RUF012
    meta = {**CIFAR10.meta, "md5": None}  # noqa: RUF012


class AnyCIFAR100(CIFAR100):
    """CIFAR-100 whatever the checksums of its files."""

    train_list = [[file, None] for file, _ in CIFAR100.train_list]  # noqa: RUF012
    test_list = [[file, None] for file, _ in CIFAR100.test_list]  # noqa: RUF012
    meta = {**CIFAR100.meta, "md5": None}  # noqa: RUF012


class _ArraysOnly(pickle.Unpickler):
    """Reads the pickles of CIFAR, which hold arrays and lists, and refuses to run anything else."""

    _ALLOWED = frozenset(
        {
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it would run {module}.{name}")
        return super().find_class(module, name)


@dataclass(frozen=True)
class Cifar(Source):
    """CIFAR-10 and CIFAR-100: pickles of arrays."""

    published: type[CIFAR10]
    unchecked: type[CIFAR10]

    @property
    def folder(self) -> str:
        return str(self.published.base_folder)

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.published.url,)

    def count(self, folder: Path) -> tuple[int, int]:
        meta = folder / self.unchecked.meta["filename"]
        with checking(meta):
            _expect(len(_unpickle(meta)[self.unchecked.meta["key"]]), self.n_classes, "classes")
        train = [folder / file for file, _ in self.unchecked.train_list]
        test = [folder / file for file, _ in self.unchecked.test_list]
        return count_each(train, self._count), count_each(test, self._count)

    def read(self, root: Path) -> Images:
        train, test = (self.unchecked(root, train=train) for train in (True, False))
        return Images(_channels_first(train), _channels_first(test), tuple(train.classes))

    def fetch(self, root: Path) -> None:
        self.published(root, download=True)

    def _count(self, path: Path) -> int:
        content = _unpickle(path)
        labels = content["labels" if "labels" in content else "fine_labels"]
        _expect(content["data"].shape, (len(labels), int(np.prod(self.shape))), "as its shape")
        return len(labels)


def _unpickle(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return _ArraysOnly(file, encoding="latin1").load()


def _channels_first(dataset: CIFAR10) -> Split:
    images: NDArray[np.uint8] = np.ascontiguousarray(dataset.data.transpose(0, 3, 1, 2))
    return Split.whole(torch.from_numpy(images), torch.tensor(dataset.targets))


class _AnySTL10(STL10):
    train_list = [[file, None] for file, _ in STL10.train_list if "unlabeled" not in file]  # noqa: RUF012
    test_list = [[file, None] for file, _ in STL10.test_list]  # noqa: RUF012


class Stl(Source):
    """STL-10, its labelled images: one byte per value."""

    @property
    def folder(self) -> str:
        return str(STL10.base_folder)

    @property
    def addresses(self) -> tuple[str, ...]:
        return (STL10.url,)

    def count(self, folder: Path) -> tuple[int, int]:
        counts = []
        for stem in ("train", "test"):
            labels = folder / f"{stem}_y.bin"
            images = folder / f"{stem}_X.bin"
            with checking(images):
                n_images = labels.stat().st_size
                expected = n_images * int(np.prod(self.shape))
                _expect(images.stat().st_size, expected, f"bytes for {n_images} labels")
            counts.append(n_images)
        return counts[0], counts[1]

    def read(self, root: Path) -> Images:
        train, test = (_AnySTL10(root, split=split) for split in ("train", "test"))
        return Images(_labelled(train), _labelled(test), STL10_CLASSES)

    def fetch(self, root: Path) -> None:
        STL10(root, download=True)


def _labelled(dataset: STL10) -> Split:
    labels = np.asarray(dataset.labels, dtype=np.int64)
    return Split.whole(
        torch.from_numpy(np.ascontiguousarray(dataset.data)), torch.from_numpy(labels)
    )


def _expect(value: object, expected: object, what: str) -> None:
    if value != expected:
        raise ValueError(f"{value} instead of {expected} {what}")
