"""A run goes on with the model that it was given, whatever lies at its path by then."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from experiments.records.folder import RunFolder
from tests.loopback import LoopbackServer, State
from tests.support.command_line import Qhc

from .commands import FAKE, TUNING, sent, stages


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """A trained model of this test's own."""
    return Path(shutil.copytree(trained, tmp_path / "model"))


def exchange(model: Path, qhc: Qhc) -> None:
    """Another training where the model was, of the same layer for the same images."""
    small = ("--epochs", "1", "--limit", "20", "--set", "data.validation=0.9", "--seed", "7")
    shutil.rmtree(model)
    assert qhc("run", *small, "--out", str(model))[0] == 0


def remove(model: Path, qhc: Qhc) -> None:
    shutil.rmtree(model)


@pytest.mark.parametrize("change", [exchange, remove], ids=lambda change: change.__name__)
def test_another_model_at_the_path_is_not_paid_for(
    qhc: Qhc, model: Path, server: LoopbackServer, change: Callable[[Path, Qhc], None]
) -> None:
    server.workload.hold(State.QUEUED)
    assert qhc(*sent(model, "--yes", "--no-wait", "--out", "a"))[0] == 0
    change(model, qhc)
    server.workload.release()
    shutil.move("a", "elsewhere")
    code, _, err = qhc("resume", "elsewhere", "--yes")
    assert code == 0, err
    assert len(server.jobs) == 1
    assert stages("elsewhere") == ["ideal", "noise", "machine"]


def test_training_in_the_loop_goes_on_with_its_own_copy(qhc: Qhc, model: Path) -> None:
    assert qhc(*sent(model, *TUNING, "--out", "a", backend=FAKE))[0] == 0
    straight = RunFolder.open(Path("a"))
    assert qhc(*sent(model, *TUNING, "--out", "b", backend=FAKE))[0] == 0
    folder = RunFolder.open(Path("b"))
    for name in ("training.safetensors", "checkpoint.safetensors", "metrics.jsonl"):
        Path("b", name).unlink()
    folder.note(status="interrupted")
    exchange(model, qhc)
    code, _, err = qhc("resume", "b")
    assert code == 0, err
    weights = [load_file(each.checkpoint) for each in (folder, straight)]
    for name, values in weights[0].items():
        np.testing.assert_array_equal(values, weights[1][name])


def test_a_copy_that_was_changed_is_refused(qhc: Qhc, model: Path, server: LoopbackServer) -> None:
    server.workload.hold(State.QUEUED)
    assert qhc(*sent(model, "--yes", "--no-wait", "--out", "a"))[0] == 0
    copy = RunFolder.open(Path("a")).checkpoint
    exchange(model, qhc)
    shutil.copy(model / "checkpoint.safetensors", copy)
    code, _, err = qhc("resume", "a", "--yes")
    assert code == 2
    assert "is the checkpoint that this run was given" in err
    assert len(server.jobs) == 1


def as_of_old(run: Path) -> None:
    """As runs were before they kept a copy."""
    folder = RunFolder.open(run)
    text = folder.config_file.read_text()
    line = f'checkpoint_sha256 = "{folder.provenance.checkpoint_sha256}"\n'
    folder.config_file.write_text(text.replace(line, ""))
    folder.checkpoint.unlink(missing_ok=True)
    folder.given.unlink(missing_ok=True)


def test_a_run_of_old_is_read_and_takes_no_other_model(
    qhc: Qhc, model: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    assert qhc(*sent(model, "--yes", "--no-wait", "--out", "a"))[0] == 0
    as_of_old(Path("a"))
    shutil.copytree(model, "kept")
    exchange(model, qhc)
    code, _, err = qhc("resume", "a", "--yes")
    assert code == 2
    assert "cannot be shown to be the same; nothing was sent" in err
    assert len(server.jobs) == 1
    shutil.rmtree(model)
    shutil.move("kept", model)
    server.workload.release()
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert len(server.jobs) == 1


def test_training_in_the_loop_of_old_takes_no_other_model(qhc: Qhc, model: Path) -> None:
    """Before its first epoch has ended nothing tells what it was given."""
    assert qhc(*sent(model, *TUNING, "--out", "a", backend=FAKE))[0] == 0
    for name in ("training.safetensors", "checkpoint.safetensors", "metrics.jsonl"):
        Path("a", name).unlink()
    RunFolder.open(Path("a")).note(status="interrupted")
    as_of_old(Path("a"))
    code, _, err = qhc("resume", "a")
    assert code == 2
    assert "kept no copy of its checkpoint" in err


def test_a_validation_can_be_validated_again(qhc: Qhc, model: Path) -> None:
    """Its own copy is a checkpoint like any other."""
    assert qhc(*sent(model, "--out", "a", backend=FAKE))[0] == 0
    code, _, err = qhc("run", "--checkpoint", "a", "--backend", "aer", "--limit", "5")
    assert code == 0, err
