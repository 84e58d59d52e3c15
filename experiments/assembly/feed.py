"""What a config makes of a dataset: splits, batches, and the images of an evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from models import call_by_name
from models.streams import weights_from
from qbackend.errors import OptionError

from ..config.own_code import importing_from
from ..config.own_objects import own_callable
from ..config.sections import Config
from ..data.augment import Augmentation
from ..data.batches import BatchSource, n_batches
from ..data.load import load_data, load_own
from ..data.splits import ImageData, Split

_EVALUATION, _CORRECTION, _TRAINING, _VALIDATION = 2, 3, 4, 5
"""Streams of random numbers that choose images, apart from the others of the seed."""


_CONSEQUENCE = {
    "training": "the model cannot learn them",
    "validation": "the choice of the best epoch knows nothing of them",
    "test": "the scores say nothing of them",
}
"""Of classes that are absent from a split."""
_SHOWN = 5
"""Names of many."""


def load_images(config: Config, root: Path, device: torch.device) -> ImageData:
    """The config's dataset from `root`, its pixels on the device that works on them.

    Of the user's own data, all that a model is trained or tested on follows from `data_seed`.

    Raises `DataError` or `UnknownNameError`.
    """
    section = config.data
    division: dict[str, Any] = {
        "seed": data_seed(config),
        "validation": section.validation,
        "stratified": section.stratified,
        "validation_from_test": section.validation_from_test,
    }
    if section.factory is not None:
        data = load_own(section.name, _returned(config, root), **division)
    else:
        data = load_data(
            section.name,
            root=root,
            size=section.size,
            value_range=section.range,
            download=section.download,
            **division,
        )
    if data.train.images.ndim != 4 and _augmentation(config) is not None:
        raise OptionError(
            f"data.augmentation moves the pixels of images (C, H, W), and inputs of {data.name} "
            f"are of shape {tuple(data.train.images.shape[1:])}; leave it out"
        )
    splits = {name: getattr(data, name).to(device) for name in ("train", "validation", "test")}
    limit, seed = config.train.limit, config.run.seed
    for name, stream in (("train", _TRAINING), ("validation", _VALIDATION)):
        if limit is not None and limit < len(splits[name]):
            splits[name] = _drawn(splits[name], limit, seed, stream)
    return replace(data, **splits)


def data_seed(config: Config) -> int:
    """By what the data are divided: the run's seed, or that of the training of a trained model."""
    return config.run.seed if config.data.seed is None else config.data.seed


def _returned(config: Config, root: Path) -> Any:
    """What the user's own function returned; what it draws follows from the seed that it gets."""
    seed, section = data_seed(config), config.data
    function = own_callable(config, "data.factory")
    with importing_from(config.code), weights_from(seed, "data"):
        return call_by_name(
            section.name, function, {"root": root, "seed": seed}, section.arguments or {}, "data"
        )


def data_notes(config: Config, data: ImageData, *, trains: bool) -> list[str]:
    """What a reader of the results must know of the images; `trains`: not the test's alone."""
    notes = list(data.notes)
    if data_seed(config) != config.run.seed:
        notes.append(
            f"{data.name} is given seed {data_seed(config)}, not the run's {config.run.seed}: a "
            "trained model's data stay divided as in its training"
        )
    if not data.complete:
        notes.append(
            f"only {data.n_found:,} of the {data.n_published:,} published images of {data.name} "
            "were found: the results are not those of the whole dataset"
        )
    splits = {"test": evaluation_split(data.test, config.run.limit, config.run.seed)}
    notes += limit_note("run.limit", config.run.limit, data.test, "test")
    if trains:
        splits = {"training": data.train, "validation": data.validation, **splits}
        notes += limit_note("train.limit", config.train.limit, data.train, "training")
        notes += limit_note("train.limit", config.train.limit, data.validation, "validation")
    notes += limit_note("run.calibrate", config.run.calibrate, data.train, "training")
    for name, split in splits.items():
        notes += _absent(name, split, data)
    return notes


def limit_note(key: str, n: int | None, split: Split, name: str) -> list[str]:
    """A note on a number `n` of images beyond those of the split."""
    if n is None or n <= len(split):
        return []
    return [f"{key} is {n:,}, and there are {len(split):,} {name} images: all of them are taken"]


def _absent(name: str, split: Split, data: ImageData) -> list[str]:
    """A note on the classes that a split has no image of, none without such classes."""
    counts = split.labels.bincount(minlength=len(data.classes)).tolist()
    absent = [label for label, n in zip(data.classes, counts, strict=True) if n == 0]
    if not absent:
        return []
    has = "has" if len(absent) == 1 else "have"
    shown = ", ".join(absent[:_SHOWN]) + (", …" if len(absent) > _SHOWN else "")
    return [
        f"{len(absent)} of {len(data.classes)} classes {has} no image among the {len(split):,} "
        f"{name} images ({shown}): {_CONSEQUENCE[name]}"
    ]


def training_source(config: Config, data: ImageData, fabric: Fabric) -> BatchSource:
    """This process's share of every epoch's batches, as many as every other process has."""
    return BatchSource(
        data.train,
        multiple_of=_training_unit(config, fabric),
        seed=config.run.seed,
        augment=_augmentation(config),
        **_options(config, data, fabric),
    )


def n_training_batches(config: Config, data: ImageData, fabric: Fabric) -> int:
    """Of an epoch, in every process; 0 where the images do not fill one."""
    unit = _training_unit(config, fabric)
    return n_batches(len(data.train) // unit * unit // fabric.world_size, config.train.batch_size)


def validation_source(config: Config, data: ImageData, fabric: Fabric) -> BatchSource:
    """This process's share of the validation split."""
    options = _options(config, data, fabric)
    if config.data.augment_validation:
        options |= {"seed": config.run.seed, "augment": _augmentation(config)}
    return BatchSource(data.validation, **options)


def evaluation_split(split: Split, limit: int | None, seed: int) -> Split:
    """All images in order, or `limit` of them in an order that the seed alone decides.

    The same seed gives the same images on every backend.
    """
    if limit is None or limit >= len(split):
        return split
    return _drawn(split, limit, seed, _EVALUATION)


def correction_split(split: Split, n: int, seed: int) -> Split:
    """`n` training images that the seed alone decides, or all where there are fewer."""
    return _drawn(split, n, seed, _CORRECTION)


def _drawn(split: Split, n: int, seed: int, stream: int) -> Split:
    order = np.random.default_rng([seed, stream]).permutation(len(split))
    return split.select(torch.from_numpy(order[:n]).to(split.images.device))


def _training_unit(config: Config, fabric: Fabric) -> int:
    """Of which number an epoch's training images are a multiple."""
    return fabric.world_size * (1 if config.train.keep_last else config.train.batch_size)


def _augmentation(config: Config) -> Augmentation | None:
    changes = config.data.augmentation.model_dump()
    return Augmentation(**changes) if any(changes.values()) else None


def _options(config: Config, data: ImageData, fabric: Fabric) -> dict[str, Any]:
    return {
        "batch_size": config.train.batch_size,
        "device": fabric.device,
        "mean": data.mean,
        "std": data.std,
        "augment_normalised": config.data.augment_normalised,
        "rank": fabric.global_rank,
        "world_size": fabric.world_size,
    }
