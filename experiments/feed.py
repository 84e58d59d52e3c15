"""What a config makes of a dataset: splits, batches, and the images of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from .config import Config
from .data import Augmentation, ImageData, Split, batches, load_data

Batches = Iterable[tuple[Tensor, Tensor]]

_EVALUATION_STREAM = 1
"""Keeps the choice of evaluation images apart from whatever else the seed decides."""


def load_images(config: Config, root: Path) -> ImageData:
    """The config's dataset from `root`; raises `DataError` or `UnknownNameError`."""
    section = config.data
    return load_data(
        section.name,
        root=root,
        seed=config.run.seed,
        validation=section.validation,
        validation_from_test=section.validation_from_test,
        size=section.size,
        download=section.download,
    )


def training_batches(config: Config, data: ImageData, fabric: Fabric, epoch: int) -> Batches:
    """This process's share of the epoch's batches, all of the same size."""
    augment = _augmentation(config)
    return batches(
        data.train, augment=augment, drop_last=True, **_options(config, data, fabric, epoch)
    )


def validation_batches(config: Config, data: ImageData, fabric: Fabric, epoch: int) -> Batches:
    """This process's share of the validation split."""
    augment = _augmentation(config) if config.data.augment_validation else None
    return batches(data.validation, augment=augment, **_options(config, data, fabric, epoch))


def evaluation_images(split: Split, limit: int | None, seed: int) -> tuple[Split, Tensor]:
    """The images of an evaluation and their indices (N,) in the split.

    All of them in order, or the first `limit` of a shuffle that the seed alone decides: the same
    images on every backend.
    """
    if limit is None or limit >= len(split):
        return split, torch.arange(len(split))
    order = np.random.default_rng([seed, _EVALUATION_STREAM]).permutation(len(split))
    indices = torch.from_numpy(order[:limit])
    return Split(split.images[indices], split.labels[indices]), indices


def evaluation_batches(
    split: Split,
    batch_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
) -> Batches:
    """The split in its own order, not augmented."""
    return batches(split, batch_size, device=device, mean=mean, std=std)


def _augmentation(config: Config) -> Augmentation | None:
    changes = config.data.augmentation
    return Augmentation(**changes.model_dump()) if any(changes.model_dump().values()) else None


def _options(config: Config, data: ImageData, fabric: Fabric, epoch: int) -> dict[str, Any]:
    return {
        "batch_size": config.train.batch_size,
        "device": fabric.device,
        "seed": config.run.seed,
        "epoch": epoch,
        "mean": data.mean,
        "std": data.std,
        "rank": fabric.global_rank,
        "world_size": fabric.world_size,
    }
