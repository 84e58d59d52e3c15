"""Data that is missing, damaged, or something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.data.load import get_dataset, load_data
from qbackend.errors import DataError, OptionError, UnknownNameError

from .files import WRITERS, truncate, write_cifar10, write_idx, write_mnist, write_pickle


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"name": "mnits"}, UnknownNameError, "did you mean 'mnist'"),
        ({"name": "digits", "validation": 1.0}, OptionError, "between 0 and 1, got 1.0"),
        ({"name": "digits", "validation": float("nan")}, OptionError, "got nan"),
        ({"name": "digits", "size": 0}, OptionError, "at least 1 pixel, got 0"),
    ],
)
def test_mistakes_are_named(
    arguments: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        load_data(root=tmp_path, seed=0, **arguments)


@pytest.mark.parametrize("download", [True, False])
@pytest.mark.parametrize("name", ["mnist", "fashionmnist", "cifar10", "cifar100", "stl10"])
def test_missing_data_offline(
    name: str, download: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "not yet there"
    with pytest.raises(DataError) as caught:
        load_data(name, root=root, seed=0, download=download)
    assert f"{name} is not at {root}" in str(caught.value)
    assert f"type: qhc data get {name} --data-root '{root}'" in str(caught.value)
    assert ("could not be downloaded" in str(caught.value)) == download
    assert not root.exists()
    assert capfd.readouterr() == ("", "")


def test_missing_tinyimagenet_says_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"http://cs231n\.stanford\.edu/tiny-imagenet-200\.zip"):
        get_dataset("tinyimagenet", tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.7])
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "MNIST/raw/train-images-idx3-ubyte"),
        ("mnist", "MNIST/raw/t10k-labels-idx1-ubyte"),
        ("cifar10", "cifar-10-batches-py/data_batch_3"),
        ("cifar10", "cifar-10-batches-py/batches.meta"),
        ("cifar100", "cifar-100-python/test"),
        ("stl10", "stl10_binary/train_X.bin"),
        ("tinyimagenet", "tiny-imagenet-200/train/n00000005/train_1.JPEG"),
    ],
)
def test_a_truncated_file_is_named(name: str, file: str, share: float, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    truncate(tmp_path / file, share)
    with pytest.raises(DataError) as caught:
        load_data(name, root=tmp_path, seed=0)
    assert str(tmp_path / file) in str(caught.value)
    command = f"delete it and type: qhc data get {name} --data-root {tmp_path}"
    mend = "replace it by the one in http" if name == "tinyimagenet" else command
    assert mend in str(caught.value)


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    touched = tmp_path / "touched"

    class Foreign:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (touched,)

    write_pickle(tmp_path / "cifar-10-batches-py/test_batch", Foreign())
    with pytest.raises(DataError, match=r"test_batch is damaged .*would run"):
        load_data("cifar10", root=tmp_path, seed=0)
    assert not touched.exists()


def test_labels_of_another_dataset_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    write_idx(tmp_path / "MNIST/raw/train-labels-idx1-ubyte", np.full(60, 11))
    with pytest.raises(DataError, match=r"does not hold mnist: .* labels 11 to 11"):
        load_data("mnist", root=tmp_path, seed=0)
