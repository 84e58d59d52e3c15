"""What every source of images has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qbackend.errors import DataError

from .download import download_into
from .splits import Split


@dataclass(frozen=True)
class Images:
    """A source as it is stored: training and test images, the names of the classes, and notes."""

    train: Split
    test: Split
    classes: tuple[str, ...]
    validation: Split | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source(ABC):
    """A dataset that qhc knows by name, below the data root in torchvision's layout.

    Attributes:
        name: as `load_data` takes it.
        shape: (C, H, W).
        n_classes: how many classes it has.
        n_train: training images published.
        n_test: test images published.
        mean: of a channel's values between 0 and 1, per channel.
        std: their standard deviation.
        address: a page for people, where the data comes from.
    """

    name: str
    shape: tuple[int, int, int]
    n_classes: int
    n_train: int
    n_test: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    address: str

    @property
    def folder(self) -> str:
        """Where below the root its files are; empty if it has none."""
        return ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where torchvision downloads it from; empty if it does not."""
        return ()

    @abstractmethod
    def count(self, folder: Path) -> tuple[int, int]:
        """Training and test images in `folder`, every file looked at.

        Raises `FileNotFoundError` for a missing file, `DataError` that names a damaged one.
        """

    @abstractmethod
    def read(self, root: Path) -> Images:
        """All images; `count` has been content with them."""

    def fetch(self, root: Path) -> None:
        """Download to `root` with torchvision; raises `DataError` where there are no addresses."""
        raise DataError(f"nothing downloads '{self.name}'; it is described at {self.address}")

    def download(self, root: Path) -> None:
        """Fetch whole or not at all; raises whatever the download fails with."""
        download_into(root, self.addresses, self.fetch)


@contextmanager
def checking(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file raises in its parser into a `DataError` that names the file.

    A missing file stays a `FileNotFoundError`.
    """
    try:
        yield
    except (FileNotFoundError, DataError):
        raise
    # A damaged file can fail in any way inside its parser.
    except Exception as error:
        words = str(error) or type(error).__name__
        raise DataError(f"{path} is damaged or not what its name says ({words})") from error


def count_each(paths: list[Path], count: Callable[[Path], int]) -> int:
    """The sum of `count` over files; raises `DataError` that names a damaged one."""
    total = 0
    for path in paths:
        with checking(path):
            total += count(path)
    return total
