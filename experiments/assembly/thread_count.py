"""How much a run computes, and the number of threads that this is worth.

Sums over threads are taken in another order with another number of them, and training carries the
last bits on: the number is part of what a seed decides, and stands in the run's record. It follows
from the recipe and the machine's cores alone, never from the load of the moment.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from models import build_model, find_plan
from models.plan import Spec

from ..config.sections import Config
from ..data.sources import SOURCES
from .construct import model_plan
from .threads import available_cores, use_threads

WORTH_A_THREAD = 2.5e7
"""Floating-point operations of a batch's forward pass. With fewer of them for each, threads wait
for one another longer than they work (docs/threads.md)."""
FOLDER_SHAPE = (3, 64, 64)
"""Of images of one's own, where the recipe does not say to which side they are scaled."""


def with_threads(config: Config, chosen: int | None = None) -> Config:
    """The config with a number of threads: its own, else the one `chosen` before, else a new one.

    That is what a batch is worth on these cores: processes of one run share them, and
    OMP_NUM_THREADS is a limit.
    """
    if config.run.threads is not None:
        return config
    worth = int(batch_work(config) // WORTH_A_THREAD)
    most = available_cores(processes=_processes(config))
    threads = chosen or max(1, min(worth, most))
    return config.model_copy(update={"run": config.run.model_copy(update={"threads": threads})})


def settled(config: Config) -> Config:
    """The config with a number of threads, which this process uses from now on."""
    config = with_threads(config)
    assert config.run.threads is not None
    use_threads(config.run.threads)
    return config


def batch_work(config: Config) -> float:
    """Floating-point operations of the forward pass of a training batch, about.

    Counted without computing anything, of the network with a classical part in the circuits'
    place, so that every arm has the same, and of the circuits.
    """
    if config.model.factory is not None:
        # Nobody knows before it is made, and its inputs are loaded.
        return 0.0
    plan = model_plan(config)
    shape, changes = _image_shape(config), tuple(config.model.network.items())
    plain = _network_work(config.model.name, plan.spec, shape, changes)
    return config.train.batch_size * (plain + plan.circuit_work)


@lru_cache(maxsize=32)
def _network_work(
    name: str,
    spec: Spec | None,
    shape: tuple[int, int, int],
    changes: tuple[tuple[str, Any], ...],
) -> int:
    arm, network = find_plan(name).plain_arm, dict(changes)
    with torch.device("meta"), torch.no_grad():
        model = build_model(
            name, arm=arm, in_channels=shape[0], spec=spec, network=network, seed=0
        ).eval()
        try:
            with FlopCounterMode(display=False) as counter:
                model(torch.empty(1, *shape))
        except RuntimeError:
            # Images that are pooled to nothing are told of when they are there (`check_size`).
            return 0
    return counter.get_total_flops()


def _image_shape(config: Config) -> tuple[int, int, int]:
    """(C, H, W), as far as the recipe knows it."""
    source, size = SOURCES.get(config.data.name), config.data.size
    channels, height, width = FOLDER_SHAPE if source is None else source.shape
    return (channels, height, width) if size is None else (channels, size, size)


def _processes(config: Config) -> int:
    """Of the run on one machine, as far as the recipe knows it."""
    devices = str(config.fabric.devices)
    return max(1, int(devices)) if devices.isdigit() else 1
