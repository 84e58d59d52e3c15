"""Trainings that stop: the same bits when they go on, and nothing lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from experiments.assembly.construct import new_model
from experiments.data.splits import ImageData
from experiments.records.checkpoint import load_model
from experiments.records.folder import RunFolder
from qbackend.errors import CheckpointError, RecordError, TrainingError

from .small import Silent, config_of, same_files, timeless, training


@pytest.mark.parametrize(
    "settings",
    [
        ["model.arm=quantum"],
        ["model.arm=quantum", "run.shots=20"],
        ["model.arm=linear", "data.augmentation.rotation=10", "data.augment_validation=true"],
        ["model.arm=classical", "protocol=published", "train.epochs=3"],
        ["model.arm=quantum-frozen", "train.optimiser=sgd"],
    ],
    ids=lambda settings: " ".join(settings),
)
@pytest.mark.parametrize("stop_at", [(1, 3), (3, 8)])
def test_an_interrupted_training_ends_with_the_same_bits(
    data: ImageData, fabric: Fabric, tmp_path: Path, settings: list[str], stop_at: tuple[int, int]
) -> None:
    config = config_of(*settings)
    straight = training(config, data, fabric, tmp_path / "straight")
    best = straight.run()
    with pytest.raises(KeyboardInterrupt):
        training(config, data, fabric, tmp_path / "stopped", Silent(stop_at)).run()
    torch.manual_seed(12345)
    resumed = training(config, data, fabric, tmp_path / "stopped")
    assert resumed.run() == best
    for name in ("checkpoint", "training"):
        assert same_files(getattr(straight.folder, name), getattr(resumed.folder, name))
    assert timeless(straight.folder.epochs()) == timeless(resumed.folder.epochs())
    assert [record.epoch for record in resumed.folder.epochs()] == [1, 2, 3]


def test_a_finished_training_is_not_repeated(
    data: ImageData, fabric: Fabric, tmp_path: Path
) -> None:
    config = config_of("model.arm=linear")
    best = training(config, data, fabric, tmp_path / "run").run()
    before = (tmp_path / "run" / "training.safetensors").read_bytes()
    watcher = Silent()
    assert training(config, data, fabric, tmp_path / "run", watcher).run() == best
    assert watcher.records == []
    assert (tmp_path / "run" / "training.safetensors").read_bytes() == before


def test_what_was_recorded_after_the_last_checkpoint_happens_again(
    data: ImageData, fabric: Fabric, tmp_path: Path
) -> None:
    """A process that dies between the record and the checkpoint, in the middle of a line even."""
    config = config_of("model.arm=linear")
    straight = training(config, data, fabric, tmp_path / "straight")
    straight.run()
    with pytest.raises(KeyboardInterrupt):
        training(config, data, fabric, tmp_path / "stopped", Silent((2, 1))).run()
    folder = RunFolder(tmp_path / "stopped")
    folder.append(straight.folder.epochs()[1])
    with open(folder.metrics, "a") as file:
        file.write('{"kind": "epo')
    training(config, data, fabric, tmp_path / "stopped").run()
    assert timeless(folder.epochs()) == timeless(straight.folder.epochs())


@pytest.mark.parametrize("check_every", [1, 3, 50])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_model(
    data: ImageData,
    fabric: Fabric,
    tmp_path: Path,
    check_every: int,
) -> None:
    run = training(config_of("model.arm=linear"), data, fabric, tmp_path / "run")
    run.learner.check_every = check_every
    calls = 0

    def spoil(module: nn.Module, given: Any, logits: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += module.training
        return logits * torch.nan if module.training and calls >= 8 + 5 else logits

    run.model.register_forward_hook(spoil)
    with pytest.raises(TrainingError, match=r"epoch 2: the loss of batch 5 is not") as caught:
        run.run()
    assert str(run.folder.checkpoint) in str(caught.value)
    assert caught.value.exit_code == 1
    assert len(run.folder.epochs()) == 1
    model = new_model(run.config, data, backend="aer", shots=None)
    assert load_model(run.folder.checkpoint, model).epoch == 1
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_features_that_are_not_finite_are_a_failed_training(
    data: ImageData, fabric: Fabric, tmp_path: Path
) -> None:
    run = training(config_of(), data, fabric, tmp_path / "run")
    run.model.front.register_forward_hook(lambda module, given, features: features / 0.0)
    with pytest.raises(TrainingError, match=r"epoch 1: in batch 1 .*not finite.*no epoch"):
        run.run()


def test_a_full_disk_is_survived(
    data: ImageData, fabric: Fabric, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of("model.arm=linear")
    straight = training(config, data, fabric, tmp_path / "straight")
    straight.run()
    replace_file, writes = os.replace, 0

    def full(*paths: Any) -> None:
        nonlocal writes
        writes += str(paths[1]).endswith("training.safetensors")
        if writes == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace_file(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(
            RecordError, match=r"training\.safetensors could not.*No sp.*qhc resume"
        ):
            training(config, data, fabric, tmp_path / "full").run()
    assert [path.name for path in (tmp_path / "full").glob(".*")] == []
    training(config, data, fabric, tmp_path / "full").run()
    assert same_files(straight.folder.checkpoint, tmp_path / "full" / "checkpoint.safetensors")


def test_a_training_of_another_model_is_not_gone_on_with(
    data: ImageData, fabric: Fabric, tmp_path: Path
) -> None:
    training(config_of("model.arm=linear"), data, fabric, tmp_path / "run").run()
    with pytest.raises(CheckpointError, match="does not belong to this model"):
        training(config_of("model.arm=none"), data, fabric, tmp_path / "run").run()
