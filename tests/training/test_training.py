"""Training: what the seed decides, what moves, what is recorded, which epoch is kept."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from experiments.assembly.construct import new_model, quantum_layers
from experiments.assembly.fabric import launch
from experiments.config.recipe import load_config
from experiments.data.batches import BatchSource
from experiments.data.splits import ImageData
from experiments.evaluation.evaluate import predict
from experiments.records.checkpoint import load_model
from qbackend.errors import ConfigError, OptionError

from .small import N_EPOCHS, TIMES, Silent, config_of, same_files, training


def test_the_seed_decides_everything(data: ImageData, fabric: Fabric, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        training(config_of(f"run.seed={seed}"), data, fabric, tmp_path / name).run()
    files = {name: tmp_path / name / "training.safetensors" for name in ("one", "again", "other")}
    assert same_files(files["one"], files["again"])
    assert not same_files(files["one"], files["other"])


def test_threads_do_not_share_their_random_numbers(
    data: ImageData, fabric: Fabric, tmp_path: Path
) -> None:
    """A model that another thread builds and trains meanwhile moves nothing."""

    def beside() -> None:
        training(config_of("run.seed=2"), data, fabric, tmp_path / "beside").run()

    class Disturbed(Silent):
        def begin(self, *place: int) -> None:
            super().begin(*place)
            if not other.is_alive():
                other.start()
                other.join(1)

    other = Thread(target=beside)
    watchers = {"alone": Silent(), "disturbed": Disturbed()}
    for name, watcher in watchers.items():
        config = config_of("run.seed=1", "train.epochs=1")
        training(config, data, fabric, tmp_path / name, watcher).run()
    other.join()
    files = {name: tmp_path / name / "training.safetensors" for name in (*watchers, "beside")}
    assert same_files(files["alone"], files["disturbed"])
    assert files["beside"].exists()


def test_every_arm_sees_the_same_images_in_the_same_order(
    data: ImageData, fabric: Fabric, tmp_path: Path
) -> None:
    seen: dict[str, list[torch.Tensor]] = {}
    for arm in ("quantum", "linear"):
        run = training(config_of(f"model.arm={arm}"), data, fabric, tmp_path / arm)
        seen[arm] = []
        run.model.register_forward_pre_hook(
            lambda module, given, arm=arm: seen[arm].append(given[0].clone())
        )
        run.run()
    assert len(seen["quantum"]) == len(seen["linear"]) > 0
    assert all(torch.equal(a, b) for a, b in zip(seen["quantum"], seen["linear"], strict=True))


def test_only_what_is_trained_moves(data: ImageData, fabric: Fabric, tmp_path: Path) -> None:
    for arm, moves in (("quantum", True), ("quantum-frozen", False)):
        run = training(config_of(f"model.arm={arm}"), data, fabric, tmp_path / arm)
        (layer,) = quantum_layers(run.model)
        before = layer.weight.detach().clone()
        run.run()
        assert (not torch.equal(before, layer.weight)) is moves


class Vandal(Silent):
    """Turns every answer of the model into its opposite before the last epoch."""

    def begin(self, epoch: int, n_epochs: int, n_steps: int) -> None:
        super().begin(epoch, n_epochs, n_steps)
        if epoch == n_epochs:
            self.model.head[-1].weight.data.neg_()


def test_the_checkpoint_is_the_best_epoch(data: ImageData, fabric: Fabric, tmp_path: Path) -> None:
    config = config_of("model.arm=linear")
    vandal = Vandal()
    run = training(config, data, fabric, tmp_path / "run", vandal)
    vandal.model = run.model
    best = run.run()
    assert best.epoch < N_EPOCHS
    records = run.folder.epochs()
    assert best.accuracy == max(record.validation.accuracy for record in records)
    model = new_model(config, data, backend="aer", shots=None)
    assert load_model(run.folder.checkpoint, model).epoch == best.epoch
    options: dict[str, Any] = {"device": "cpu", "mean": data.mean, "std": data.std}
    answers = predict(model, BatchSource(data.validation, 8, **options).epoch(), 0.1)
    scores = answers.scores(data.classes)
    assert (scores.accuracy, scores.loss) == (best.accuracy, best.loss)


def test_an_epochs_record(data: ImageData, fabric: Fabric, tmp_path: Path) -> None:
    run = training(config_of("model.arm=linear"), data, fabric, tmp_path / "run")
    run.run()
    records = run.folder.epochs()
    first = json.loads(run.folder.metrics.read_text().splitlines()[0])
    assert set(first) == {"kind", "epoch", "lr", "train", "validation", *TIMES}
    assert set(first["train"]) == {"loss", "accuracy"}
    assert set(first["validation"]) == {"loss", "accuracy", "precision", "recall", "f1"}
    assert first["lr"] == records[0].lr == pytest.approx(0.01 / 25)
    with open(tmp_path / "run" / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert [float(row["validation_accuracy"]) for row in rows] == [
        record.validation.accuracy for record in records
    ]


def test_the_recorded_loss_is_the_mean_over_the_epochs_images(
    data: ImageData, fabric: Fabric, tmp_path: Path
) -> None:
    """With a learning rate that moves nothing, an epoch is an evaluation of the first weights."""
    config = config_of(
        "model.arm=linear", "train.epochs=1", "train.schedule=constant", "train.lr=1e-30",
        "train.weight_decay=0", "train.batch_size=10",
    )  # fmt: skip
    run = training(config, data, fabric, tmp_path / "run")
    for module in run.model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 0.0
            module.forward = lambda x, m=module: (
                (x - 0.1) * m.weight.view(1, -1, *[1] * (x.ndim - 2))
            )
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
    options: dict[str, Any] = {"device": "cpu", "mean": data.mean, "std": data.std}
    expected = predict(run.model, BatchSource(data.train, 70, **options).epoch(), 0.1)
    run.run()
    (record,) = run.folder.epochs()
    # A sum of 70 float32 losses in another order.
    assert record.train.loss == pytest.approx(expected.losses.mean().item(), rel=1e-5)
    right = (expected.logits.argmax(1) == expected.labels).float().mean().item()
    assert record.train.accuracy == pytest.approx(right, rel=1e-6)


def test_too_few_images_for_a_batch(data: ImageData, fabric: Fabric, tmp_path: Path) -> None:
    few = replace(data, train=data.train.select(torch.arange(7)))
    with pytest.raises(OptionError, match="7 training images do not fill a batch of 8"):
        training(config_of(), few, fabric, tmp_path / "run")


@pytest.mark.parametrize(
    "setting", ["accelerator=tpuu", "strategy=ddpp", "precision=half", "devices=-3"]
)
def test_devices_that_are_not_to_be_had(setting: str) -> None:
    with pytest.raises(ConfigError, match="cannot be had on this machine"):
        launch(load_config("digits", [f"fabric.{setting}"]).fabric)


@pytest.mark.parametrize(
    ("keep", "n_images", "sizes"),
    [(False, 70, [8] * 8), (True, 70, [8] * 8 + [6]), (True, 65, [8] * 7 + [9])],
)
def test_the_last_batch_of_an_epoch(
    keep: bool, n_images: int, sizes: list[int], data: ImageData, fabric: Fabric, tmp_path: Path
) -> None:
    """Kept, its images count as much as the others' do."""
    data = replace(data, train=data.train.select(torch.arange(n_images)))
    config = config_of(f"train.keep_last={str(keep).lower()}", "train.epochs=1")
    watcher = Silent()
    run = training(config, data, fabric, tmp_path, watcher)
    batch_losses: list[tuple[int, float]] = []
    loss = run.learner.loss

    def recorded(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        value = loss(logits, labels)
        batch_losses.append((len(labels), value.item()))
        return value

    run.learner.loss = recorded
    run.run()
    assert [size for size, _ in batch_losses] == sizes
    assert (watcher.done, watcher.n_steps) == (len(sizes), len(sizes))
    mean = sum(size * value for size, value in batch_losses) / sum(sizes)
    assert watcher.records[0].train.loss == pytest.approx(mean, rel=1e-6)
