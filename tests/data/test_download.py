"""What is on disk, what is fetched, and downloads that fail."""

from __future__ import annotations

import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from torchvision.datasets import MNIST

from experiments.data import download as downloading
from experiments.data.load import get_dataset, list_datasets, load_data
from experiments.data.sources import SOURCES
from qbackend.errors import DataError

from .files import WRITERS, truncate, write_mnist


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
