"""Checkpoints: what goes in comes out, and what is damaged or foreign is refused."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from experiments.config.train import TrainSection
from experiments.records.checkpoint import (
    Best,
    ModelInfo,
    load_model,
    load_model_info,
    load_training,
    save_model,
    save_training,
)
from experiments.training.optimise import build_optimiser, build_schedule
from qbackend.errors import CheckpointError, RecordError
from qbackend.validation.records.files import append_line, write_atomically

INFO = ModelInfo(
    model="hybrid-digits",
    arm="quantum",
    spec={"n_wires": 4, "observables": ["ZIII"]},
    n_classes=10,
    in_channels=1,
    classes=("0", "seven and a half", "ü"),
    mean=(0.1307,),
    std=(1 / 3,),
    recipe="digits",
    seed=7,
    epoch=3,
    config={"train": {"lr": 0.1}},
)
BEST = Best(epoch=2, accuracy=0.5, loss=1 / 3)


def small_model(width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Dropout())


def steps(model: nn.Module, optimiser: Optimizer, schedule: LRScheduler, n: int) -> None:
    for _ in range(n):
        loss = functional.mse_loss(model(torch.rand(8, 1, 5, 5)), torch.zeros(8, 36))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_model_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    model, other = small_model(), small_model()
    model(torch.rand(3, 1, 5, 5))
    model[0].weight.data = model[0].weight.data.transpose(2, 3)
    save_model(path, model, INFO)
    assert not same(model, other)
    assert load_model(path, other) == load_model_info(path) == INFO
    assert same(model, other)


def test_a_checkpoint_can_be_read_by_anybody_and_runs_no_code(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    model = small_model()
    save_model(path, model, INFO)
    assert load_file(path).keys() == model.state_dict().keys()
    assert os.listdir(tmp_path) == [path.name]


def test_equal_models_make_equal_files(tmp_path: Path) -> None:
    """Byte by byte; the library alone would write the metadata in another order each time."""
    model = small_model()
    optimiser = torch.optim.AdamW(model.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 1)
    steps(model, optimiser, schedule, 1)
    for copy in range(5):
        save_model(tmp_path / f"model{copy}", model, INFO)
        save_training(tmp_path / f"training{copy}", model, optimiser, schedule, 1, BEST)
    for kind in ("model", "training"):
        assert len({(tmp_path / f"{kind}{copy}").read_bytes() for copy in range(5)}) == 1


def test_a_header_of_any_length_is_read_by_the_library(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    model, other = small_model(), small_model()
    for length in range(9):
        save_model(path, model, replace(INFO, classes=("ü" * length,)))
        begin = 8 + int.from_bytes(path.read_bytes()[:8], "little")
        assert begin % 8 == 0
        assert load_model(path, other).classes == ("ü" * length,)
        assert same(model, other)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_model(path, small_model(), INFO)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors is truncated or damaged"):
        load_model(path, small_model())


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    model = small_model()
    foreign = tmp_path / "foreign.safetensors"
    save_file(model.state_dict(), foreign)
    with pytest.raises(CheckpointError, match="a file that qhc did not write"):
        load_model(foreign, model)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_model(tmp_path / "absent.safetensors", model)
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(tmp_path, model)
    training = tmp_path / "training.safetensors"
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 1)
    save_training(training, model, optimiser, schedule, 1, BEST)
    with pytest.raises(CheckpointError, match="is not a qhc model checkpoint but qhc training"):
        load_model(training, model)


def test_a_checkpoint_of_another_model_says_whose_it_is(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_model(path, small_model(8), INFO)
    model = small_model(4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_model(path, model)
    for words in ("hybrid-digits, arm quantum, 10 classes", "(8, 1, 3, 3) in the file", "(4, 1,"):
        assert words in str(caught.value)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    with pytest.raises(CheckpointError, match=r"4\.bias: missing in the file, \(1,\) in the model"):
        load_model(path, nn.Sequential(*small_model(8), nn.Linear(1, 1)))


def test_metadata_that_says_too_little_or_another_version(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    tensors = {"weight": torch.zeros(2)}
    save_file(tensors, path, {"format": "qhc model", "version": "99"})
    with pytest.raises(CheckpointError, match="format version 99, this qhc reads 1"):
        load_model_info(path)
    save_file(tensors, path, {"format": "qhc model", "version": "1"})
    with pytest.raises(CheckpointError, match="does not say what it holds"):
        load_model_info(path)
    save_model(path, small_model(), replace(INFO, n_classes="ten"))  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="does not say what it holds"):
        load_model_info(path)


@pytest.mark.parametrize("optimiser_name", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("schedule_name", ["constant", "onecycle", "cosine", "cosine_restarts"])
@pytest.mark.parametrize("fused", [True, False])
def test_a_training_goes_on_with_the_same_bits(
    tmp_path: Path, optimiser_name: str, schedule_name: str, fused: bool
) -> None:
    section = TrainSection.model_validate(
        {
            "epochs": 1,
            "lr": 0.1 / 3,
            "weight_decay": 0.01,
            "optimiser": optimiser_name,
            "schedule": schedule_name,
        }
    )

    def begin() -> tuple[nn.Module, Optimizer, LRScheduler]:
        torch.manual_seed(0)
        model = small_model()
        optimiser = build_optimiser(model, section, fused=fused)
        return model, optimiser, build_schedule(optimiser, section, 20)

    straight = begin()
    steps(*straight, 7)
    save_training(tmp_path / "training.safetensors", *straight, epoch=7, best=BEST)
    torch.manual_seed(7)
    steps(*straight, 13)

    resumed = begin()
    assert load_training(tmp_path / "training.safetensors", *resumed) == (7, BEST)
    torch.manual_seed(7)
    steps(*resumed, 13)
    assert same(straight[0], resumed[0])
    assert straight[2].get_last_lr() == resumed[2].get_last_lr()


def test_a_training_of_another_optimiser_is_refused(tmp_path: Path) -> None:
    model = small_model()
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 1)
    save_training(tmp_path / "training.safetensors", model, optimiser, schedule, 1, BEST)
    fewer = torch.optim.SGD([next(model.parameters())], 0.1)
    with pytest.raises(CheckpointError, match="another optimiser"):
        load_training(tmp_path / "training.safetensors", model, fewer, schedule)


@pytest.mark.parametrize(
    ("later", "by_loss", "by_time"),
    [
        (Best(2, 0.6, 2.0), True, True),
        (Best(2, 0.4, 0.1), False, False),
        (Best(2, 0.5, 0.9), True, True),
        (Best(2, 0.5, 1.0), False, True),
        (Best(2, 0.5, 1.1), False, True),
    ],
)
def test_which_epoch_is_the_best(later: Best, by_loss: bool, by_time: bool) -> None:
    earlier = Best(1, 0.5, 1.0)
    assert earlier.is_beaten_by(later, "loss") is by_loss
    assert earlier.is_beaten_by(later, "later") is by_time


def test_a_full_disk_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_model(path, small_model(), INFO)
    old = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordError, match=r"No space left.*try again") as caught:
        save_model(path, small_model(), INFO)
    assert caught.value.exit_code == 1
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == [path.name]


def test_a_full_disk_leaves_the_old_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    append_line(path, "one")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RecordError, match="No space left"):
            append_line(path, "two")
    append_line(path, "three")
    assert path.read_text() == "one\nthree\n"


def test_a_file_that_the_system_cuts_short(tmp_path: Path) -> None:
    """The kernel refuses to let a file grow: the same path as a full disk, without a stand-in."""
    path = tmp_path / "checkpoint.safetensors"
    write_atomically(path, b"old")
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from qbackend.validation.records.files import append_line, write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "path = Path(sys.argv[1])\n"
        "for write in (lambda: write_atomically(path, b'x' * 100_000),\n"
        "              lambda: append_line(path, 'x' * 100_000)):\n"
        "    try: write()\n"
        "    except Exception as error: print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["RecordError", "RecordError"]
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]
