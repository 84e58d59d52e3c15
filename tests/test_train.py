"""Training: the same bits whatever happens on the way, and nothing lost when it fails."""

from __future__ import annotations

import csv
import errno
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import nn

from experiments.checkpoint import load_model
from experiments.config import Config, TrainSection
from experiments.construct import new_model, quantum_layers
from experiments.data import ImageData, Split, batches
from experiments.devices import launch
from experiments.evaluate import predict
from experiments.optimise import build_optimiser, build_schedule
from experiments.recipe import load_config
from experiments.record import Record, RunFolder
from experiments.train import Training
from qbackend.errors import CheckpointError, ConfigError, OptionError, RecordError, TrainingError

N_EPOCHS = 3
TIMES = {"seconds", "validation_seconds", "cpu_seconds", "peak_memory_mib"}


class Silent:
    """A watcher that can stop the training at a step of an epoch, as Ctrl-C does."""

    def __init__(self, stop_at: tuple[int, int] | None = None) -> None:
        self.stop_at, self.epoch, self.done = stop_at, 0, 0
        self.records: list[Record] = []
        self.model: Any = None

    def begin(self, epoch: int, n_epochs: int, n_steps: int) -> None:
        self.epoch, self.done, self.n_steps = epoch, 0, n_steps

    def step(self) -> None:
        self.done += 1
        if (self.epoch, self.done) == self.stop_at:
            raise KeyboardInterrupt

    def end(self, record: Record) -> None:
        self.records.append(record)


@pytest.fixture(scope="module")
def data() -> ImageData:
    """Two kinds of images, bright above or below, and ten classes of which two occur."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 2
    images = torch.randint(0, 100, (120, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images[labels == 0, :, :4] += 150
    images[labels == 1, :, 4:] += 150
    everything = Split.whole(images, labels)
    return ImageData(
        name="halves",
        train=everything.select(torch.arange(70)),
        validation=everything.select(torch.arange(70, 100)),
        test=everything.select(torch.arange(100, 120)),
        classes=tuple("0123456789"),
        mean=(0.5,),
        std=(0.25,),
        n_found=120,
        n_published=120,
    )


@pytest.fixture(scope="module")
def fabric() -> Fabric:
    return launch(load_config("digits").fabric)


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
        folder = RunFolder.create(path, config, {})
    if model is None:
        model = new_model(config, data, backend=config.run.backend, shots=config.run.shots)
    return Training(config, data, model, folder, fabric, watcher or Silent())


def timeless(records: list[Record]) -> list[Record]:
    return [{key: value for key, value in record.items() if key not in TIMES} for record in records]


def same_files(one: Path, other: Path) -> bool:
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )


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
    assert [record["epoch"] for record in resumed.folder.epochs()] == [1, 2, 3]


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


def test_the_seed_decides_everything(data: ImageData, fabric: Fabric, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        training(config_of(f"run.seed={seed}"), data, fabric, tmp_path / name).run()
    files = {name: tmp_path / name / "training.safetensors" for name in ("one", "again", "other")}
    assert same_files(files["one"], files["again"])
    assert not same_files(files["one"], files["other"])


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
    assert best.accuracy == max(record["validation"]["accuracy"] for record in records)
    model = new_model(config, data, backend="aer", shots=None)
    assert load_model(run.folder.checkpoint, model).epoch == best.epoch
    options: dict[str, Any] = {"device": "cpu", "mean": data.mean, "std": data.std}
    answers = predict(model, batches(data.validation, 8, **options), 0.1)
    scores = answers.scores(data.classes)
    assert (scores.accuracy, scores.loss) == (best.accuracy, best.loss)


def test_an_epochs_record(data: ImageData, fabric: Fabric, tmp_path: Path) -> None:
    run = training(config_of("model.arm=linear"), data, fabric, tmp_path / "run")
    run.run()
    records = run.folder.epochs()
    assert set(records[0]) == {"kind", "epoch", "lr", "train", "validation", *TIMES}
    assert set(records[0]["train"]) == {"loss", "accuracy"}
    assert set(records[0]["validation"]) == {"loss", "accuracy", "precision", "recall", "f1"}
    assert records[0]["lr"] == pytest.approx(0.01 / 25)
    with open(tmp_path / "run" / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert [float(row["validation_accuracy"]) for row in rows] == [
        record["validation"]["accuracy"] for record in records
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
    expected = predict(run.model, batches(data.train, 70, **options), 0.1)
    run.run()
    (record,) = run.folder.epochs()
    # A sum of 70 float32 losses in another order.
    assert record["train"]["loss"] == pytest.approx(expected.losses.mean().item(), rel=1e-5)
    right = (expected.logits.argmax(1) == expected.labels).float().mean().item()
    assert record["train"]["accuracy"] == pytest.approx(right, rel=1e-6)


@pytest.mark.parametrize("check_every", [1, 3, 50])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_model(
    data: ImageData,
    fabric: Fabric,
    tmp_path: Path,
    check_every: int,
) -> None:
    run = training(config_of("model.arm=linear"), data, fabric, tmp_path / "run")
    run.check_every = check_every
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


def rates(n_steps: int, **section: Any) -> list[float]:
    given = TrainSection.model_validate({"epochs": 1, "lr": 2e-3, **section})
    optimiser = build_optimiser(nn.Linear(1, 1), given, fused=False)
    schedule = build_schedule(optimiser, given, n_steps)
    found = []
    for _ in range(n_steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


def rises(found: list[float]) -> bool:
    return all(a < b for a, b in pairwise(found))


def falls(found: list[float]) -> bool:
    return rises(found[::-1])


def test_onecycle_rises_for_30_percent_of_the_batches_and_then_falls() -> None:
    found = rates(100, schedule="onecycle", warm_up=0.3)
    assert rises(found[:30])
    assert found[29] == max(found) == 2e-3
    assert falls(found[29:])


def test_cosine_restarts_every_five_batches() -> None:
    found = rates(23, schedule="cosine_restarts", restart_every=5, lr_min=1e-5)
    assert [step for step, rate in enumerate(found) if rate == max(found)] == [0, 5, 10, 15, 20]
    assert found[:5] == found[5:10]
    assert falls(found[:5])


@given(n_steps=st.integers(2, 60), lr_min=st.floats(0, 1e-3))
def test_cosine_falls_to_its_end_and_constant_stays(n_steps: int, lr_min: float) -> None:
    found = rates(n_steps, schedule="cosine", lr_min=lr_min)
    assert found[0] == 2e-3
    assert falls(found)
    assert found[-1] >= lr_min
    assert set(rates(n_steps, schedule="constant")) == {2e-3}
