"""The images of a run: large enough for its network, and the same whenever it goes on."""

from __future__ import annotations

from hashlib import sha256

import torch

from models import arms_of, build_model
from qbackend.errors import DataError

from ..config.sections import Config
from ..data.splits import ImageData
from ..records.folder import Record, RunFolder

_DIGEST = "data_sha256"


def check_size(config: Config, data: ImageData) -> None:
    """Raise `DataError` for images that the config's network pools away to nothing."""
    height, width = data.test.images.shape[2:]
    # What stands in the circuits' place makes no difference, and no backend is asked.
    plain = next(
        (arm for arm in arms_of(config.model.name) if arm in ("linear", "conv")), "quantum"
    )
    model = build_model(config.model.name, arm=plain, in_channels=data.test.images.shape[1], seed=0)
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *data.test.images.shape[1:]))
    except RuntimeError:
        raise DataError(
            f"images of {width}x{height} pixels are too small for {config.model.name}: its pooling "
            "leaves nothing of them; scale them, for example --set data.size=32"
        ) from None


def data_record(data: ImageData) -> Record:
    """By what `check_same_data` knows the images again."""
    digest = sha256(repr((data.classes, data.mean, data.std)).encode())
    for split in (data.train, data.validation, data.test):
        for tensor in (split.images, split.labels):
            digest.update(repr(tuple(tensor.shape)).encode())
            digest.update(tensor.cpu().contiguous().numpy().data)
    return {_DIGEST: digest.hexdigest()}


def check_same_data(folder: RunFolder, data: ImageData) -> None:
    """Raise `DataError` unless the images, their labels and splits are those the run began with.

    A run of before they were recorded passes.
    """
    began_with = folder.run.get(_DIGEST)
    if began_with is not None and data_record(data)[_DIGEST] != began_with:
        raise DataError(
            f"{data.name} is not what {folder.path} began with: images, classes or splits have "
            "changed since. Put them back as they were, or begin anew with qhc run"
        )
