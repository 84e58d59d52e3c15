"""A validation with copies of the layer side by side: planned, sent, calibrated, gone on with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from experiments.evaluation.calibrated_copies import fit_copies
from experiments.records.folder import RunFolder
from qbackend.devices.affine_map import fit_affine_map
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.options import ExecutionOptions
from qbackend.seam.requests import Result
from tests.loopback import LoopbackServer, Machine, State
from tests.loopback.client import served
from tests.support.command_line import Qhc, last_line

from .commands import N_IMAGES, sent, stages

ROOMY = ("--border", "0", "--fidelity-within", "0.5")
CALIBRATING = 8


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """Its machine has room for three or four copies of four wires."""
    with served([Machine.load(n_qubits=20)]) as running:
        yield running


def test_the_plan_with_calibration_is_one_job_as_the_machine_receives_it(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    command = sent(trained, *ROOMY, "--calibrate", str(CALIBRATING), "--json")
    code, out, err = qhc("estimate", *command[1:])
    assert code == 0, err
    plan = last_line(out)
    n_copies = plan["copies"]
    assert n_copies >= 3
    assert [share["what"] for share in plan["shares"]] == ["test", "calibration"]
    assert [share["jobs"] for share in plan["shares"]] == [1, 0]
    assert plan["rows"] == N_IMAGES + CALIBRATING * n_copies
    code, out, err = qhc(*command, "--yes", "--out", "a")
    assert code == 0, err
    (job,) = server.jobs
    assert (plan["jobs"], plan["circuits"]) == (1, job.rows)
    assert (plan["pubs"], plan["executions"]) == (job.pubs, job.executions)
    assert plan["qpu_seconds"] == pytest.approx(job.charged)
    assert stages("a") == ["ideal", "noise", "machine", "corrected"]


def test_what_is_not_waited_for_is_collected_as_it_was_sent(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    command = sent(trained, *ROOMY, "--calibrate", str(CALIBRATING), "--yes", "--no-wait")
    code, _, err = qhc(*command, "--out", "a")
    assert code == 0, err
    assert len(server.jobs) == 1
    assert "requests are sent" not in err
    server.workload.release()
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert stages("a") == ["ideal", "noise", "machine", "corrected"]
    # The last stage is lost, its request is not.
    with np.load("a/validation.npz") as arrays:
        kept = {key: value for key, value in arrays.items() if not key.startswith("corrected")}
    np.savez("a/validation.npz", **kept)
    RunFolder.open(Path("a")).note(status="running")
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert len(server.jobs) == 1


def test_every_copy_is_corrected_by_its_own_map(qhc: Qhc, trained: Path) -> None:
    command = sent(trained, "--calibrate", str(CALIBRATING), "--copies", "3", backend="fake_fez")
    code, out, err = qhc(*command, "--shots", "4096", "--out", "a")
    assert code == 0, err
    assert "calibrated" in out
    folder = RunFolder.open(Path("a"))
    calibration = folder.evaluations()[-1].calibration
    assert calibration is not None
    assert (calibration.of, calibration.images, len(calibration.maps)) == ("copies", 8, 3)
    with np.load("a/validation.npz") as arrays:
        raw, corrected = arrays["machine_outputs"], arrays["corrected_outputs"]
    for copy, found in enumerate(calibration.maps):
        mine = slice(copy, None, 3)
        # The outputs are kept in single precision.
        expected = raw[mine] * found.scale + found.offset
        np.testing.assert_allclose(corrected[mine], expected, atol=1e-6)
    assert len({each.scale for each in calibration.maps}) == 3
    ledger = Ledger.existing(Path("a/jobs.sqlite"))
    assert [entry.n_rows for entry in ledger.entries()] == [N_IMAGES // 3 + CALIBRATING]
    ledger.close()


def test_the_maps_are_those_of_each_copys_rows() -> None:
    random = np.random.default_rng(0)
    exact = random.uniform(-1, 1, (12, 2))
    copies = np.arange(12) % 3
    scale, offset = np.array([0.9, 0.7, 0.5]), np.array([0.1, 0.0, -0.2])
    values = scale[copies, None] * exact + offset[copies, None]
    answer = Result(values, np.zeros((12, 2)), 1, (), "x", copies=copies)
    maps = fit_copies(answer, exact, 3)
    for copy, found in enumerate(maps):
        np.testing.assert_allclose(found.scale, 1 / scale[copy])
        alone = fit_affine_map(answer.values[copies == copy], exact[copies == copy])
        np.testing.assert_array_equal(found.offset, alone.offset)


def test_a_step_of_a_training_asks_for_as_many_copies_as_it_has(qhc: Qhc, trained: Path) -> None:
    tuning = ("--train", "quantum", "--gradient", "parameter-shift", "--train-limit", "4")
    command = sent(trained, *tuning, "--epochs", "1", "--copies", "4", backend="fake_fez")
    code, out, err = qhc("estimate", *command[1:], "--json")
    assert code == 0, err
    plan = last_line(out)
    code, _, err = qhc(*command, "--out", "a")
    assert code == 0, err
    ledger = Ledger.existing(Path("a/jobs.sqlite"))
    rows = [entry.n_rows for entry in ledger.entries()]
    ledger.close()
    assert sum(rows) == plan["circuits"]
    assert plan["copies"] == 4
    assert rows[0] < plan["shares"][0]["rows"] / 3


def test_flags_and_recipe_say_the_same(qhc: Qhc, trained: Path) -> None:
    assert ExecutionOptions().copies == "auto"
    plans = []
    for how in (("--copies", "2"), ("--set", "machine.copies=2"), ("--copies", "1")):
        code, out, err = qhc("estimate", *sent(trained, *how, "--json", backend="fake_fez")[1:])
        assert code == 0, err
        plans.append(last_line(out))
    assert plans[0] == plans[1]
    assert [plan["circuits"] for plan in plans] == [6, 6, 12]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--copies", "0"), "copies must be at least 1"),
        (("--copies", "many"), "'many' is neither auto nor a whole number"),
        (("--copies", "50"), r"take --copies 2\d or auto"),
        (("--border", "2"), "border"),
        (("--fidelity-within", "1.5"), "fidelity_within must be below 1"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(
    qhc: Qhc, trained: Path, flags: tuple[str, str], words: str
) -> None:
    code, _, err = qhc(*sent(trained, *flags, backend="fake_fez"))
    assert code == 2
    assert re.search(words, err), err


def test_a_ledger_that_was_lost_comes_back_with_its_copies(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    code, _, err = qhc(*sent(trained, *ROOMY, "--yes", "--no-wait", "--out", "a"))
    assert code == 0, err
    for suffix in ("", "-wal", "-shm", ".lock", ".pid"):
        Path(f"a/jobs.sqlite{suffix}").unlink(missing_ok=True)
    server.workload.release()
    for command in (("jobs", "a", "--rebuild"), ("resume", "a")):
        code, _, err = qhc(*command)
        assert code == 0, err
    assert len(server.jobs) == 1
    assert stages("a") == ["ideal", "noise", "machine"]
