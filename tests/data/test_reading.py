"""Datasets as they are read."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, STL10, ImageFolder

from experiments.data.load import load_data
from experiments.data.sources import SOURCES

from .files import WRITERS, members


def test_digits_need_no_files(tmp_path: Path) -> None:
    data = load_data("digits", root=tmp_path, seed=0)
    assert data.complete
    assert data.n_found == len(data.train) + len(data.validation) + len(data.test) == 1797
    assert data.train.images.shape[1:] == (1, 8, 8)
    assert data.train.images.dtype == torch.uint8
    assert data.train.images.max() == 255
    assert data.classes == tuple("0123456789")
    assert list(tmp_path.iterdir()) == []


def test_digits_test_split_is_the_same_for_every_seed(tmp_path: Path) -> None:
    first, second = (load_data("digits", root=tmp_path, seed=seed) for seed in (0, 1))
    assert torch.equal(first.test.images, second.test.images)
    assert members(first.validation) != members(second.validation)


@pytest.mark.parametrize("name", WRITERS)
def test_subsets_are_read_and_called_so(name: str, subsets: Path) -> None:
    source = SOURCES[name]
    data = load_data(name, root=subsets, seed=0, validation=0.25)
    n_train = len(data.train) + len(data.validation)
    assert not data.complete
    assert data.n_found == n_train + len(data.test) < data.n_published
    for split in (data.train, data.validation, data.test):
        assert split.images.shape == (len(split), *source.shape)
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == split.indices.dtype == torch.int64
    assert members(data.train) | members(data.validation) == set(range(n_train))
    assert members(data.test) == set(range(len(data.test)))
    assert len(data.classes) == source.n_classes == int(data.test.labels.max()) + 1


def test_images_are_what_torchvision_shows(subsets: Path) -> None:
    """Channels first, upright, in the source's order."""
    mnist = load_data("mnist", root=subsets, seed=0)
    shown, label = MNIST(subsets, train=False)[3]
    assert np.array_equal(np.asarray(shown), mnist.test.images[3, 0])
    assert label == mnist.test.labels[3]
    stl10 = load_data("stl10", root=subsets, seed=0)
    raw = np.fromfile(subsets / "stl10_binary/test_X.bin", np.uint8).reshape(-1, 3, 96, 96)
    assert np.array_equal(stl10.test.images, raw.transpose(0, 1, 3, 2))
    cifar = load_data("cifar100", root=subsets, seed=0)
    stored = pickle.loads((subsets / "cifar-100-python/test").read_bytes())
    assert np.array_equal(cifar.test.images.flatten(1), stored["data"])
    tiny = load_data("tinyimagenet", root=subsets, seed=0)
    shown, label = ImageFolder(subsets / "tiny-imagenet-200/val")[7]
    assert np.array_equal(np.asarray(shown), tiny.test.images[7].permute(1, 2, 0))
    assert label == tiny.test.labels[7]


def test_torchvision_keeps_its_checksums(subsets: Path) -> None:
    for name in ("cifar10", "cifar100", "stl10"):
        load_data(name, root=subsets, seed=0)
    for dataset in (CIFAR10, CIFAR100, STL10):
        assert all(checksum for _, checksum in dataset.train_list + dataset.test_list)
    assert CIFAR10.meta["md5"]
    assert CIFAR100.meta["md5"]


def test_tinyimagenet_as_published(tmp_path: Path, subsets: Path) -> None:
    """All validation images in one folder, their classes in val_annotations.txt."""
    published = tmp_path / "tiny-imagenet-200"
    (published / "val/images").mkdir(parents=True)
    (published / "train").symlink_to(subsets / "tiny-imagenet-200/train")
    notes = []
    for path in sorted((subsets / "tiny-imagenet-200/val").glob("*/*.JPEG")):
        file = f"val_{len(notes)}.JPEG"
        (published / "val/images" / file).write_bytes(path.read_bytes())
        notes.append(f"{file}\t{path.parent.name}\t0\t0\t62\t62\n")
    (published / "val/val_annotations.txt").write_text("".join(notes))
    ours, theirs = (load_data("tinyimagenet", root=r, seed=0) for r in (tmp_path, subsets))
    assert torch.equal(ours.test.images, theirs.test.images)
    assert torch.equal(ours.test.labels, theirs.test.labels)


def test_images_can_be_scaled(subsets: Path) -> None:
    data = load_data("cifar10", root=subsets, seed=0, size=16)
    assert data.train.images.shape[1:] == data.test.images.shape[1:] == (3, 16, 16)
    plain = load_data("cifar10", root=subsets, seed=0)
    # Averaging keeps the mean; half a level of rounding per pixel at most.
    difference = data.test.images.double().mean() - plain.test.images.double().mean()
    assert abs(difference) < 0.5
