"""The images of a run: large enough for its network, and the same whenever it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import torch
from torch import nn

from models import build_model, find_plan
from qbackend.errors import DataError

from ..config.sections import Config
from ..data.splits import ImageData, Split
from ..records.folder import RunFolder


def check_size(config: Config, data: ImageData) -> None:
    """Raise `DataError` for images that the config's network pools away to nothing.

    What a network of the user's own takes shows once it is made (`own_checks`).
    """
    if config.model.factory is not None:
        return
    name, shape = config.model.name, tuple(data.test.images.shape[1:])
    if len(shape) != 3:
        raise DataError(
            f"{name} takes images (C, H, W), and inputs of {data.name} are of shape {shape}; give "
            "a network of your own: --set model.factory=my_net.py:build"
        )
    height, width = shape[1:]
    arm, network = find_plan(name).plain_arm, config.model.network
    model = build_model(name, arm=arm, in_channels=shape[0], network=network, seed=0)
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *data.test.images.shape[1:]))
    except RuntimeError:
        pools = sum(isinstance(each, nn.MaxPool2d | nn.AvgPool2d) for each in model.modules())
        needed, fewer = 2**pools, "channels" in network and ", or give fewer model.channels"
        raise DataError(
            f"images of {width}x{height} pixels are too small for {name}: its {pools} poolings "
            f"leave nothing of less than {needed}x{needed}; scale them, for example "
            f"--set data.size={max(32, needed)}{fewer or ''}"
        ) from None


def data_sha256(data: ImageData) -> str:
    """By what `check_same_data` knows the images again."""
    digest = sha256(repr((data.classes, data.mean, data.std)).encode())
    for split in (data.train, data.validation, data.test):
        for part in _parts(split):
            digest.update(part)
    return digest.hexdigest()


def split_sha256(split: Split) -> str:
    """The same of one split's images and labels."""
    digest = sha256()
    for part in _parts(split):
        digest.update(part)
    return digest.hexdigest()


def _parts(split: Split) -> Iterator[bytes | memoryview]:
    for tensor in (split.images, split.labels):
        yield repr(tuple(tensor.shape)).encode()
        yield tensor.cpu().contiguous().numpy().data


def check_same_data(folder: RunFolder, data: ImageData) -> None:
    """Raise `DataError` unless the images, their labels and splits are those the run began with.

    A run of before they were recorded passes.
    """
    began_with = folder.provenance.data_sha256
    if began_with is not None and data_sha256(data) != began_with:
        raise DataError(
            f"{data.name} is not what {folder.path} began with: images, classes or splits have "
            "changed since. Put them back as they were, or begin anew with qhc run"
        )
