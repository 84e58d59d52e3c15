"""A training of three short epochs, and a watcher to stop it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import nn

from experiments.assembly.construct import new_model
from experiments.config.recipe import load_config
from experiments.config.sections import Config
from experiments.data.splits import ImageData
from experiments.records.folder import Record, RunFolder
from experiments.records.lines import EpochRecord
from experiments.training.train import Training
from qbackend.validation.records.recorded import Recorded

N_EPOCHS = 3
TIMES = {"seconds", "validation_seconds", "cpu_seconds", "peak_memory_mib"}


class Silent:
    """A watcher that can stop the training at a step of an epoch, as Ctrl-C does."""

    def __init__(self, stop_at: tuple[int, int] | None = None) -> None:
        self.stop_at, self.epoch, self.done = stop_at, 0, 0
        self.records: list[EpochRecord] = []
        self.said: list[str] = []
        self.model: Any = None

    def begin(self, epoch: int, n_epochs: int, n_steps: int) -> None:
        self.epoch, self.done, self.n_steps = epoch, 0, n_steps

    def step(self) -> None:
        self.done += 1
        if (self.epoch, self.done) == self.stop_at:
            raise KeyboardInterrupt

    def end(self, record: EpochRecord) -> None:
        self.records.append(record)

    def say(self, text: str) -> None:
        self.said.append(text)


def config_of(*settings: str) -> Config:
    small = (f"train.epochs={N_EPOCHS}", "train.batch_size=8", "fabric.accelerator=cpu")
    return load_config("digits", [*small, *settings])


def training(
    config: Config,
    data: ImageData,
    fabric: Fabric,
    path: Path,
    watcher: Silent | None = None,
    model: nn.Module | None = None,
) -> Training:
    folder = RunFolder(path)
    if not folder.config_file.exists():
        folder = RunFolder.create(path, config)
    if model is None:
        model = new_model(config, data, backend=config.run.backend, shots=config.run.shots)
    return Training(config, data, model, folder, fabric, watcher or Silent())


def timeless(records: Iterable[Recorded]) -> list[Record]:
    """Their values, apart from times."""
    values = [record.to_dict() for record in records]
    return [{key: value for key, value in each.items() if key not in TIMES} for each in values]


def same_files(one: Path, other: Path) -> bool:
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )
