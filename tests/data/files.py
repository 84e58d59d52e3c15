"""Datasets as torchvision keeps them on disk, with few images of noise."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.data.splits import Split

_RNG = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return _RNG.integers(0, 256, shape, dtype=np.uint8)


def write_idx(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = np.array([0x800 + values.ndim, *values.shape], dtype=">u4")
    path.write_bytes(header.tobytes() + values.astype(np.uint8).tobytes())


def write_mnist(root: Path) -> None:
    for stem, n in (("train", 60), ("t10k", 20)):
        write_idx(root / "MNIST/raw" / f"{stem}-images-idx3-ubyte", pixels(n, 28, 28))
        write_idx(root / "MNIST/raw" / f"{stem}-labels-idx1-ubyte", np.arange(n) % 10)


def write_pickle(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))


def write_cifar10(root: Path) -> None:
    folder = root / "cifar-10-batches-py"
    for file in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        write_pickle(folder / file, {"data": pixels(20, 3072), "labels": list(range(10)) * 2})
    write_pickle(folder / "batches.meta", {"label_names": [f"class {i}" for i in range(10)]})


def write_cifar100(root: Path) -> None:
    folder = root / "cifar-100-python"
    for file, n in (("train", 400), ("test", 100)):
        labels = [i % 100 for i in range(n)]
        write_pickle(folder / file, {"data": pixels(n, 3072), "fine_labels": labels})
    write_pickle(folder / "meta", {"fine_label_names": [f"class {i}" for i in range(100)]})


def write_stl10(root: Path) -> None:
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    for stem, n in (("train", 40), ("test", 20)):
        (folder / f"{stem}_X.bin").write_bytes(pixels(n, 3, 96, 96).tobytes())
        (folder / f"{stem}_y.bin").write_bytes((np.arange(n) % 10 + 1).astype(np.uint8).tobytes())


def write_images(folder: Path, classes: list[str], n: int, size: tuple[int, int] = (8, 8)) -> None:
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(n):
            Image.fromarray(pixels(*size[::-1], 3)).save(folder / name / f"{index}.png")


def write_tinyimagenet(root: Path) -> None:
    classes = [f"n{index:08d}" for index in range(200)]
    folder = root / "tiny-imagenet-200"
    for part, n in (("train", 3), ("val", 1)):
        for name in classes:
            (folder / part / name).mkdir(parents=True)
            for index in range(n):
                image = Image.fromarray(pixels(64, 64, 3))
                image.save(folder / part / name / f"{part}_{index}.JPEG")


WRITERS = {
    "mnist": write_mnist,
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
    "stl10": write_stl10,
    "tinyimagenet": write_tinyimagenet,
}


def members(data_split: Split) -> set[int]:
    return set(data_split.indices.tolist())


def truncate(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
