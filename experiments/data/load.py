"""Datasets by name: loading, listing and fetching them.

Letters: N images, C channels, H height, W width.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torchvision.transforms.v2 import functional as transforms

from qbackend.errors import DataError, OptionError

from .folder_notes import useless_range
from .folders import FOLDER, read_folder
from .own import own_data
from .source import Images, Source
from .sources import SOURCES, find_source
from .splits import ImageData, Split, channel_statistics, hold_out, hold_out_at_random

State = Literal["built in", "complete", "subset", "absent", "damaged"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset as `qhc data list` shows it.

    Attributes:
        name: as `load_data` takes it.
        shape: (C, H, W) of an image.
        n_classes: how many classes it has.
        n_train: training images published.
        n_test: test images published.
        found: training and test images at the data root, None if absent or damaged.
        state: of the files at the data root.
        bytes: that its files take there.
        remark: what is wrong, or where to get it.
    """

    name: str
    shape: tuple[int, int, int]
    n_classes: int
    n_train: int
    n_test: int
    found: tuple[int, int] | None
    state: State
    bytes: int
    remark: str


def load_data(
    name: str,
    *,
    root: Path,
    seed: int,
    validation: float = 0.2,
    download: bool = True,
    size: int | None = None,
    stratified: bool = True,
    validation_from_test: bool = False,
    value_range: tuple[float, float] | None = None,
) -> ImageData:
    """A dataset in memory, divided into training, validation and test split.

    The validation split is a share of the training images; the seed alone decides which. The test
    split is the published one.

    Args:
        name: one of `SOURCES`, or folder:DIR (see `read_folder`).
        root: folder of the datasets, in torchvision's layout.
        seed: of the division.
        validation: share of the training images to hold out.
        download: fetch what is missing, where torchvision can.
        size: side to scale images to.
        stratified: hold out the same share of every class.
        validation_from_test: the published protocol of STL-10: the test split serves as
            validation as well, and what is held out of the training images is not used.
        value_range: stored values of black and white in a folder's images deeper than 8 bits.

    Raises:
        UnknownNameError: no such dataset.
        OptionError: a share or a size out of range.
        DataError: data missing or damaged; the message says what to type.
    """
    if size is not None and size < 1:
        raise OptionError(f"size must be at least 1 pixel, got {size}")
    if name.startswith(FOLDER):
        images = read_folder(Path(name.removeprefix(FOLDER)).expanduser(), size, value_range)
        mean, std = channel_statistics(images.train.images)
        n_published = _n_images(images)
    else:
        source = find_source(name)
        images = _scaled(_read(source, root, download=download), size)
        mean, std = source.mean, source.std
        n_published = source.n_train + source.n_test
        if value_range is not None:
            images = replace(images, notes=(*images.notes, useless_range()))
    return divided(
        name,
        images,
        (mean, std),
        seed=seed,
        validation=validation,
        stratified=stratified,
        validation_from_test=validation_from_test,
        n_published=n_published,
    )


def load_own(name: str, returned: Any, **division: Any) -> ImageData:
    """The same of what a function of the user's own returned, by the same rules.

    Args:
        name: of the function.
        returned: by it, see `own_data`.
        division: as `divided` takes it.

    Raises:
        OptionError: a share out of range.
        DataError: it is nothing that a classifier could be trained on.
    """
    images = own_data(name, returned)
    if images.validation is not None:
        note = f"{name} returns a validation split of its own: data.validation holds nothing out"
        images = replace(images, notes=(*images.notes, note))
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    if images.train.images.dtype == torch.uint8:
        statistics = channel_statistics(images.train.images)
    return divided(name, images, statistics, n_published=_n_images(images), **division)


def divided(
    name: str,
    images: Images,
    statistics: tuple[tuple[float, ...], tuple[float, ...]],
    *,
    seed: int,
    validation: float,
    stratified: bool,
    validation_from_test: bool,
    n_published: int,
) -> ImageData:
    """Stored images as training, validation and test split; arguments and errors as `load_data`.

    `statistics` are mean and standard deviation of each channel; none where inputs are taken as
    they are.
    """
    if not 0 < validation < 1:
        raise OptionError(f"validation must be a share between 0 and 1, got {validation}")
    train, held = images.train, images.validation
    if held is None:
        divide = hold_out if stratified else hold_out_at_random
        train, held = divide(train, validation, seed)
    if len(held) == 0:
        raise DataError(
            f"{len(train)} training images in {len(images.classes)} classes leave none for "
            f"validation at a share of {validation}; give more images or a larger share"
        )
    return ImageData(
        name=name,
        train=train,
        validation=images.test if validation_from_test else held,
        test=images.test,
        classes=images.classes,
        mean=statistics[0],
        std=statistics[1],
        n_found=_n_images(images),
        n_published=n_published,
        notes=images.notes,
    )


def list_datasets(root: Path) -> list[DatasetInfo]:
    """Every dataset that has a name, and what of it is at `root`; nothing is changed."""
    return [_info(source, root) for source in SOURCES.values()]


def get_dataset(name: str, root: Path) -> DatasetInfo:
    """Download a dataset to `root` unless it is there already.

    Raises:
        UnknownNameError: no such dataset.
        DataError: it cannot be downloaded, or what is there is damaged.
    """
    source = find_source(name)
    _provide(source, root, download=True)
    return _info(source, root)


def _provide(source: Source, root: Path, *, download: bool) -> None:
    """Make sure that the files are there and whole; raises `DataError`."""
    try:
        _count(source, root)
        return
    except FileNotFoundError as error:
        missing = Path(error.filename or str(error)).relative_to(root)
    if not source.addresses:
        raise DataError(
            f"{source.name} is not at {root}: there is no {missing}. torchvision cannot download "
            f"it: get {source.address} and unpack it at {root}, where it becomes {source.folder}"
        )
    command = _get_command(source, root)
    if not download:
        raise DataError(f"{source.name} is not at {root}: there is no {missing}; type: {command}")
    _log.info("downloading %s to %s", source.name, root)
    try:
        source.download(root)
    # torchvision, the network and the disk each fail in ways of their own.
    except Exception as error:
        raise DataError(
            f"{source.name} is not at {root} (there is no {missing}) and could not be downloaded: "
            f"{str(error) or type(error).__name__}\nWith a network, type: {command}\n"
            f"Or put the unpacked files of {source.address} into {root / source.folder}"
        ) from error
    _count(source, root)


def _read(source: Source, root: Path, *, download: bool) -> Images:
    _provide(source, root, download=download)
    with _mending(source, root):
        images = source.read(root)
    for split in (images.train, images.test):
        shape, labels = tuple(split.images.shape[1:]), split.labels
        if shape != source.shape or not ((labels >= 0) & (labels < source.n_classes)).all():
            raise DataError(
                f"{root / source.folder} does not hold {source.name}: images {shape}, labels "
                f"{labels.min()} to {labels.max()}; {_mend(source, root)}"
            )
    return images


def _count(source: Source, root: Path) -> tuple[int, int]:
    """Images at `root`; raises `FileNotFoundError`, or `DataError` that says what to type."""
    with _mending(source, root):
        return source.count(root / source.folder)


@contextmanager
def _mending(source: Source, root: Path) -> Iterator[None]:
    """Add what to type to a `DataError`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{error}; {_mend(source, root)}") from error


def _mend(source: Source, root: Path) -> str:
    if not source.addresses:
        return f"replace it by the one in {source.address}"
    return f"delete it and type: {_get_command(source, root)}"


def _get_command(source: Source, root: Path) -> str:
    return f"qhc data get {source.name} --data-root {shlex.quote(str(root))}"


def _info(source: Source, root: Path) -> DatasetInfo:
    found: tuple[int, int] | None = None
    state: State
    remark = ""
    try:
        found = _count(source, root)
        if not source.folder:
            state = "built in"
        elif found == (source.n_train, source.n_test):
            state = "complete"
        else:
            state = "subset"
            remark = f"{sum(found):,} of {source.n_train + source.n_test:,} images"
    except FileNotFoundError:
        state = "absent"
        remark = f"qhc data get {source.name}" if source.addresses else source.address
    except DataError as error:
        state, remark = "damaged", str(error)
    return DatasetInfo(
        name=source.name,
        shape=source.shape,
        n_classes=source.n_classes,
        n_train=source.n_train,
        n_test=source.n_test,
        found=found,
        state=state,
        bytes=_bytes_in(root / source.folder) if source.folder else 0,
        remark=remark,
    )


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _n_images(images: Images) -> int:
    return len(images.train) + len(images.test) + len(images.validation or ())


def _scaled(images: Images, size: int | None) -> Images:
    if size is None:
        return images
    return replace(
        images, train=_scaled_split(images.train, size), test=_scaled_split(images.test, size)
    )


def _scaled_split(split: Split, size: int) -> Split:
    # By parts: scaling goes through float32, four times the size.
    parts = [transforms.resize(part, [size, size]) for part in split.images.split(1024)]
    return replace(split, images=torch.cat(parts))
