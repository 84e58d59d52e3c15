"""Fetching a dataset with torchvision: soon over when there is no network, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

PATIENCE = 10.0
"""Seconds after which a server that says nothing counts as absent."""

ARCHIVES = (".gz", ".tar", ".tgz", ".zip")


def download_into(root: Path, addresses: Sequence[str], fetch: Callable[[Path], object]) -> None:
    """Let `fetch` download into a scratch folder, then move the unpacked files below `root`.

    Whatever interrupts the download, `root` holds no half-written file. torchvision's progress
    bars are shown on a terminal only.

    Args:
        root: made if it is missing.
        addresses: where `fetch` downloads from; one of them must answer.
        fetch: given the scratch folder.

    Raises:
        ConnectionError: none of the addresses answers.
        Exception: whatever `fetch` fails with.
    """
    check_reachable(addresses)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as name:
        scratch = Path(name)
        with _quiet(), _socket_timeout(PATIENCE):
            fetch(scratch)
        for path in sorted(scratch.rglob("*")):
            if path.is_file() and path.suffix not in ARCHIVES:
                target = root / path.relative_to(scratch)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)


def check_reachable(addresses: Sequence[str], patience: float = PATIENCE) -> None:
    """Raise `ConnectionError` unless an address answers, with whatever status, in `patience` s.

    Asked in threads, because looking up a host's name without a network knows no timeout.
    """
    answers: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def ask(address: str) -> None:
        try:
            urlopen(Request(address, method="HEAD"), timeout=patience).close()
        except HTTPError:
            answers.put(None)
        except Exception as error:
            answers.put(error)
        else:
            answers.put(None)

    for address in addresses:
        threading.Thread(target=ask, args=(address,), daemon=True).start()
    words = f"not within {patience:g} s"
    for _ in addresses:
        try:
            error = answers.get(timeout=patience)
        except queue.Empty:
            break
        if error is None:
            return
        words = str(getattr(error, "reason", error))
    hosts = " and ".join(urlsplit(address).netloc for address in addresses)
    raise ConnectionError(f"no answer from {hosts} ({words})")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torchvision's messages off the output; its progress bars too, unless someone watches."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        if not sys.stderr.isatty():
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        yield


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """A timeout for sockets that are opened without one, as torchvision's are."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
