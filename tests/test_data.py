"""Datasets: reading, dividing, what is missing or damaged, and downloads that fail."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, STL10, ImageFolder

from experiments.data import Split, get_dataset, list_datasets, load_data
from experiments.data import download as downloading
from experiments.data.sources import SOURCES
from experiments.data.splits import channel_statistics, hold_out
from qbackend.errors import DataError, OptionError, UnknownNameError

RNG = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


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
        (folder / name).mkdir(parents=True)
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


@pytest.fixture(scope="module")
def subsets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a small part of five datasets, none with the published checksums."""
    root = tmp_path_factory.mktemp("subsets")
    for write in WRITERS.values():
        write(root)
    return root


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name but this machine's is unknown, as without a network."""
    resolve = socket.getaddrinfo

    def offline(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in ("127.0.0.1", "localhost"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", offline)


def members(data_split: Split) -> set[int]:
    return set(data_split.indices.tolist())


# ---------------------------------------------------------------- reading


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


# ---------------------------------------------------------------- dividing


def test_the_seed_alone_decides_the_division(subsets: Path) -> None:
    first, again, other = (load_data("mnist", root=subsets, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(first.validation.indices, again.validation.indices)
    assert torch.equal(first.validation.images, again.validation.images)
    assert members(first.validation) != members(other.validation)
    assert members(first.train).isdisjoint(members(first.validation))


def test_the_division_is_the_same_everywhere() -> None:
    """Written down once: another platform or NumPy must hold out the same images."""
    labels = torch.arange(40) % 4
    _, held = hold_out(Split.whole(torch.zeros(40, 1, 1, 1), labels), 0.2, seed=7)
    assert held.indices.tolist() == [6, 10, 21, 23, 24, 32, 37, 39]


def test_the_division_is_stratified() -> None:
    labels = torch.tensor([0] * 100 + [1] * 50 + [2] * 10 + [3])
    split = Split.whole(torch.zeros(161, 1, 1, 1), labels)
    kept, held = hold_out(split, 0.2, seed=0)
    assert torch.bincount(held.labels, minlength=4).tolist() == [20, 10, 2, 0]
    assert torch.bincount(kept.labels, minlength=4).tolist() == [80, 40, 8, 1]


def test_validation_from_test_is_the_published_protocol(subsets: Path) -> None:
    data = load_data("stl10", root=subsets, seed=0, validation_from_test=True)
    matched = load_data("stl10", root=subsets, seed=0)
    assert torch.equal(data.validation.images, data.test.images)
    assert torch.equal(data.train.images, matched.train.images)


def test_select_keeps_track_of_the_source() -> None:
    split = Split.whole(pixels_tensor(10), torch.arange(10))
    chosen = split.select(torch.tensor([7, 2])).select(torch.tensor([1]))
    assert chosen.indices.tolist() == chosen.labels.tolist() == [2]
    assert torch.equal(chosen.images, split.images[2:3])


def pixels_tensor(n: int, channels: int = 1) -> torch.Tensor:
    return torch.from_numpy(pixels(n, channels, 5, 4))


def test_channel_statistics() -> None:
    images = pixels_tensor(30, channels=3)
    images[:, 2] = 100
    mean, std = channel_statistics(images)
    values = images.double() / 255
    torch.testing.assert_close(torch.tensor(mean).double(), values.mean(dim=(0, 2, 3)))
    expected = values.std(dim=(0, 2, 3), correction=0)
    expected[2] = 1
    torch.testing.assert_close(torch.tensor(std).double(), expected)


def test_constants_of_digits_are_those_of_its_training_images(tmp_path: Path) -> None:
    digits = SOURCES["digits"]
    mean, std = channel_statistics(digits.read(tmp_path).train.images)
    # Four decimals are written down.
    assert digits.mean == pytest.approx(mean, abs=5e-5)
    assert digits.std == pytest.approx(std, abs=5e-5)


# ---------------------------------------------------------------- images of one's own


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


# ---------------------------------------------------------------- missing and damaged


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


def truncate(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


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


# ---------------------------------------------------------------- list and get


def test_list_tells_what_is_there(subsets: Path, tmp_path: Path) -> None:
    infos = {info.name: info for info in list_datasets(subsets)}
    assert list(infos) == list(SOURCES)
    assert infos["digits"].state == "built in"
    assert infos["fashionmnist"].state == "absent"
    assert infos["fashionmnist"].found is None
    for name in WRITERS:
        assert infos[name].state == "subset"
    assert infos["stl10"].found == (40, 20)
    assert infos["stl10"].bytes == 60 * (3 * 96 * 96 + 1)
    assert infos["stl10"].remark == "60 of 13,000 images"
    write_mnist(tmp_path)
    truncate(tmp_path / "MNIST/raw/train-images-idx3-ubyte", 0.5)
    damaged = {info.name: info for info in list_datasets(tmp_path)}["mnist"]
    assert damaged.state == "damaged"
    assert "train-images-idx3-ubyte is damaged" in damaged.remark


def test_get_leaves_alone_what_is_there(subsets: Path) -> None:
    assert get_dataset("stl10", subsets).state == "subset"
    assert get_dataset("digits", subsets).state == "built in"


@pytest.fixture
def mirror(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The folder of a server on this machine that torchvision takes for MNIST's only mirror."""
    origin, served = tmp_path_factory.mktemp("origin"), tmp_path_factory.mktemp("served")
    write_mnist(origin)
    resources = []
    for file, _ in MNIST.resources:
        packed = gzip.compress((origin / "MNIST/raw" / file.removesuffix(".gz")).read_bytes())
        (served / file).write_bytes(packed)
        resources.append((file, hashlib.md5(packed).hexdigest()))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            return None

    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as server:
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(MNIST, "resources", resources)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def test_get_downloads(mirror: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "data"
    assert get_dataset("mnist", root).found == (60, 20)
    files = {path.name for path in root.rglob("*") if path.is_file()}
    assert files == {file.removesuffix(".gz") for file, _ in MNIST.resources}
    assert capfd.readouterr() == ("", "")
    assert len(load_data("mnist", root=root, seed=0).test) == 20


def test_a_download_that_breaks_off_leaves_nothing(mirror: Path, tmp_path: Path) -> None:
    """The third of four files arrives damaged."""
    truncate(mirror / MNIST.resources[2][0], 0.5)
    with pytest.raises(DataError, match="could not be downloaded"):
        get_dataset("mnist", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_fetched_beside_the_others(mirror: Path, tmp_path: Path) -> None:
    get_dataset("mnist", tmp_path)
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    assert get_dataset("mnist", tmp_path).found == (60, 20)


def test_a_server_that_says_nothing_is_soon_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        started = time.monotonic()
        with pytest.raises(ConnectionError, match=r"no answer from 127\.0\.0\.1"):
            downloading.check_reachable([address], patience=0.2)
        assert time.monotonic() - started < 5


def test_a_server_that_stops_midway_is_soon_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(downloading, "PATIENCE", 0.3)
    finished = threading.Event()

    class Stalling(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
            finished.wait(10)

        def log_message(self, *args: Any) -> None:
            return None

    with HTTPServer(("127.0.0.1", 0), Stalling) as server:
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with pytest.raises(DataError, match="could not be downloaded"):
            get_dataset("mnist", tmp_path)
        finished.set()
        server.shutdown()
        thread.join()
    assert list(tmp_path.iterdir()) == []
    assert socket.getdefaulttimeout() is None
