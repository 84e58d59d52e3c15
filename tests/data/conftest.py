"""Small datasets on disk, and no network."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from .files import WRITERS


@pytest.fixture(scope="session")
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
