"""A trained model and the images that it is shown: what must fit, and what is worth a note."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from qbackend.errors import CheckpointError

from ..data.splits import ImageData, Split
from ..records.checkpoint import ModelInfo

_SHOWN = 3
_DECIMALS = 4
"""Of means and deviations, as datasets are published with."""


def in_classes_of(info: ModelInfo, data: ImageData, checkpoint: Path) -> ImageData:
    """The images with their labels in the order of the model's classes.

    Where all names of the data are among the model's, they decide; otherwise the first class is
    the first, and so on.

    Raises:
        CheckpointError: other channels, another number of classes under other names, or only some
            names that are the model's, at other places.
    """
    shape = tuple(data.test.images.shape[1:])
    fits = shape[0] == info.in_channels and (info.shape is None or len(info.shape) == len(shape))
    fits = fits and (len(shape) == 3 or shape == info.shape)
    by_name = set(data.classes) <= set(info.classes)
    if not fits or not (by_name or len(data.classes) == info.n_classes):
        inputs = f"{shape[0]} channels" if len(shape) == 3 else f"inputs of shape {shape}"
        raise CheckpointError(
            f"{checkpoint} holds {info}; {data.name} has {len(data.classes)} classes and "
            f"{inputs}. {_train_for(data)}"
        )
    moved = {*info.classes} & {*data.classes} - {
        name for name, own in zip(data.classes, info.classes, strict=False) if name == own
    }
    if moved and not by_name:
        raise CheckpointError(
            f"the classes of {checkpoint} are {', '.join(info.classes)}, those of {data.name} are "
            f"{', '.join(data.classes)}: {min(moved)} is at another place, and others are unknown "
            f"to the model. Name the folders as the model names its classes. {_train_for(data)}"
        )
    if not by_name or data.classes == info.classes:
        return data
    places = torch.tensor([info.classes.index(name) for name in data.classes])

    def renamed(split: Split) -> Split:
        return replace(split, labels=places.to(split.labels.device)[split.labels])

    return replace(
        data,
        classes=info.classes,
        train=renamed(data.train),
        validation=renamed(data.validation),
        test=renamed(data.test),
    )


def difference_notes(info: ModelInfo, data: ImageData) -> list[str]:
    """How the images (labels as `in_classes_of` has them) differ from those of the training."""
    notes = []
    own = info.config["data"]["name"]
    if own != data.name:
        notes.append(f"the model was trained on {own}, and is shown {data.name}")
    size = tuple(data.test.images.shape[2:])
    if info.size is not None and len(size) == 2 and info.size != size:
        height, width = size
        notes.append(
            f"the model was trained on images of {info.size[1]}x{info.size[0]} pixels, and is "
            f"shown {width}x{height}"
        )
    if info.classes != data.classes:
        notes.append(
            f"the model's classes are {_names(info.classes)}, those of {data.name} are "
            f"{_names(data.classes)}: the first counts as the first, and so on"
        )
    if _rounded(info.mean, info.std) != _rounded(data.mean, data.std):
        notes.append(
            f"pixels are normalised as in the model's training, by mean {_numbers(info.mean)} and "
            f"deviation {_numbers(info.std)}; {data.name} has {_numbers(data.mean)} and "
            f"{_numbers(data.std)}"
        )
    return notes


def _train_for(data: ImageData) -> str:
    return f"Train a model for it: qhc run --dataset {shlex.quote(data.name)}"


def _names(classes: Sequence[str]) -> str:
    return ", ".join(classes[:_SHOWN]) + (", …" if len(classes) > _SHOWN else "")


def _rounded(*values: Sequence[float]) -> list[list[float]]:
    return [[round(value, _DECIMALS) for value in each] for each in values]


def _numbers(values: Sequence[float]) -> str:
    return "/".join(f"{value:.{_DECIMALS}f}" for value in values)
