"""`qhc rerun`: a finished validation once more, beside the one that it repeats."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.records.drift import DriftRecord, MovedError
from experiments.records.folder import RunFolder
from experiments.report.write import write_report
from qbackend.machines.ledger.ledger import Ledger
from tests.loopback import LoopbackServer, State
from tests.loopback.machines import Snapshot
from tests.report.pages import Page
from tests.support.command_line import Qhc, last_line

from ..commands import FAKE, MACHINE, N_IMAGES, SHOTS, TUNING, sent, stages

OTHER_FAKE = "fake_belem"
COPIED = ("--copies", "3", "--calibrate", "4")


def arrays(run: str) -> dict[str, np.ndarray]:
    with np.load(f"{run}/validation.npz", allow_pickle=False) as file:
        return dict(file)


def drift_of(run: str) -> DriftRecord:
    found = RunFolder.open(Path(run)).drift_record
    assert found is not None
    return found


def recalibrated(server: LoopbackServer) -> tuple[MovedError, MovedError]:
    """Make the machine's first readout and first pair worse; the two errors, before and now."""
    machine = server.workload.machines[MACHINE]
    properties = copy.deepcopy(machine.snapshot.properties)
    readout = {each["name"]: each for each in properties["qubits"][0]}
    pairs = [gate for gate in properties["gates"] if gate["gate"] == "cz"]
    qubits = tuple(sorted(pairs[0]["qubits"]))
    errors = [
        each
        for gate in pairs
        for each in gate["parameters"]
        if set(gate["qubits"]) == set(qubits) and each["name"] == "gate_error"
    ]
    before = readout["readout_error"]["value"], min(each["value"] for each in errors)
    for key in ("readout_error", "prob_meas0_prep1", "prob_meas1_prep0"):
        readout[key]["value"] += 0.05
    for error in errors:
        error["value"] += 0.01
    properties["last_update_date"] = "2026-01-02T03:04:05+00:00"
    machine.snapshot = Snapshot(machine.snapshot.configuration, properties)
    return (
        MovedError(kind="readout", qubits=(0,), then=before[0], now=before[0] + 0.05),
        MovedError(kind="two-qubit", qubits=qubits, then=before[1], now=before[1] + 0.01),
    )


def test_a_fake_device_draws_other_shots_for_the_same_images(qhc: Qhc, trained: Path) -> None:
    assert qhc(*sent(trained, "--out", "a", backend=FAKE))[0] == 0
    code, out, err = qhc("rerun", "a", "--out", "b", "--json")
    assert code == 0, err
    one, two = RunFolder.open(Path("a")), RunFolder.open(Path("b"))
    assert one.checkpoint.read_bytes() == two.checkpoint.read_bytes()
    assert Path(two.provenance.repeats or "").expanduser() == one.path.absolute()
    assert any(note.startswith("repeats a of ") for note in two.state.notes)
    before, now = arrays("a"), arrays("b")
    np.testing.assert_array_equal(before["indices"], now["indices"])
    np.testing.assert_array_equal(before["noise_outputs"], now["noise_outputs"])

    found = drift_of("b")
    differences = now["machine_outputs"].astype(float) - before["machine_outputs"]
    assert found.together is not None
    assert found.together.rmse == pytest.approx(np.sqrt(np.mean(differences**2)))
    each_rmse = np.sqrt(np.mean(differences**2, axis=0))
    assert [each.rmse for each in found.outputs] == pytest.approx(each_rmse.tolist())
    assert [each.shift for each in found.outputs] == pytest.approx(differences.mean(axis=0))
    # Nothing but shots has changed: the mean square is theirs, up to five standard errors of it.
    assert found.together.in_errors is not None
    assert 0 < found.together.in_errors**2 < 1 + 5 * np.sqrt(2 / N_IMAGES)
    assert found.together.shot_rmse <= np.sqrt(2 / SHOTS)
    for folder in (one, two):
        (machine,) = (each for each in folder.evaluations() if each.stage == "machine")
        together = np.sqrt(np.mean(np.square(machine.output_errors)))
        assert (len(machine.output_errors), together) == (4, pytest.approx(machine.shot_error))
    answers = [each["machine_logits"].argmax(axis=1) for each in (before, now)]
    assert found.answered is not None
    assert found.answered.same == int((answers[0] == answers[1]).sum())
    gained, lost = found.answered.gained, found.answered.lost
    assert found.answered.difference == pytest.approx(found.now.accuracy - found.then.accuracy)
    assert gained - lost == round(N_IMAGES * found.answered.difference)
    assert (found.moved, found.then.qubits) == ((), found.now.qubits)

    line = last_line(out)["drift"]
    assert (line["then"]["run"], line["now"]["run"]) == ("a", "b")
    assert line["together"]["in_errors"] == pytest.approx(found.together.in_errors)


def test_calibrated_copies_of_a_fake_device_draw_other_shots_too(qhc: Qhc, trained: Path) -> None:
    """There test images and calibration are one request."""
    assert qhc(*sent(trained, *COPIED, "--out", "a", backend="fake_fez"))[0] == 0
    code, _, err = qhc("rerun", "a", "--out", "b")
    assert code == 0, err
    found = drift_of("b")
    assert found.together is not None
    assert found.together.rmse > 0
    compiled = RunFolder.open(Path("b")).evaluations()[-1].compiled
    assert compiled is not None
    fidelities = [copy.fidelity for copy in compiled.copies]
    assert (len(fidelities), found.now.fidelity) == (3, pytest.approx(np.mean(fidelities)))


def test_what_a_recalibration_has_moved_is_named(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    """The options are the run's, the question and the jobs are new."""
    options = ("--readout-mitigation", "tensored", "--calibrate", "8", "--max-qpu-seconds", "90")
    assert qhc(*sent(trained, *options, "--yes", "--out", "a"))[0] == 0
    moved = recalibrated(server)
    code, _, err = qhc("rerun", "a", "--out", "b")
    assert code == 2
    assert "no terminal to ask" in err
    assert len(server.jobs) == 2
    code, out, err = qhc("rerun", "a", "--yes", "--out", "b")
    assert code == 0, err
    assert stages("b") == stages("a") == ["ideal", "noise", "machine", "corrected"]
    # Each job has two circuits more, which calibrate the readout.
    assert [job.rows for job in server.jobs] == [N_IMAGES + 2, 8 + 2] * 2
    one, two = (RunFolder.open(Path(run)).config() for run in ("a", "b"))
    assert two.machine == replace(one.machine, max_qpu_seconds=60.0)
    assert two.run.model_copy(update={"shots_seed": None}) == one.run
    assert two.train == one.train

    found = drift_of("b")
    assert [(e.kind, e.qubits) for e in found.moved] == [(e.kind, e.qubits) for e in moved]
    for recorded, expected in zip(found.moved, moved, strict=True):
        assert recorded.then == pytest.approx(expected.then)
        assert recorded.now == pytest.approx(expected.now)
    assert found.now.calibrated_at != found.then.calibrated_at
    assert found.now.calibrated_at is not None
    assert found.now.calibrated_at.startswith("2026-01-02")
    assert found.now.fidelity < found.then.fidelity
    assert None not in (found.then.corrected, found.now.corrected)
    assert "readout 0 " in out
    assert "2026-01-02" in out

    page = Page(write_report([Path("b")]))
    assert "drift" in page.sections
    assert any(row[:2] == ["readout", "0"] for row in page.rows)
    together = Page(write_report([Path("a"), Path("b")], Path("both")))
    assert "drift" in together.sections
    rows = [row for row in page.rows if row[:1] in (["output 1"], ["Expected fidelity"])]
    assert len(rows) == 2
    assert all(row in together.rows for row in rows)


def test_what_was_not_waited_for_is_compared_when_it_is_there(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    assert qhc(*sent(trained, "--yes", "--out", "a"))[0] == 0
    server.workload.hold(State.QUEUED)
    code, _, err = qhc("rerun", "a", "--yes", "--no-wait", "--out", "b")
    assert code == 0, err
    assert RunFolder.open(Path("b")).drift_record is None
    server.workload.release()
    code, out, err = qhc("resume", "b")
    assert code == 0, err
    assert "repeats: a of " in out
    assert len(server.jobs) == 2
    ledgers = [Ledger.existing(Path(run, "jobs.sqlite")) for run in ("a", "b")]
    assert [len(ledger.entries()) for ledger in ledgers] == [1, 1]
    for ledger in ledgers:
        ledger.close()


def test_another_machine_is_compared_without_its_qubits(qhc: Qhc, trained: Path) -> None:
    assert qhc(*sent(trained, "--out", "a", backend=FAKE))[0] == 0
    code, out, err = qhc("rerun", "a", "--backend", OTHER_FAKE, "--out", "b")
    assert code == 0, err
    found = drift_of("b")
    assert (found.then.device, found.now.device) == (FAKE, OTHER_FAKE)
    assert (found.moved, found.medians) == ((), ())
    assert f"of {FAKE}; now" in out


def test_of_a_run_of_old_all_outputs_together_are_compared(qhc: Qhc, trained: Path) -> None:
    """It has neither each output's standard error nor what the whole device reported."""
    assert qhc(*sent(trained, "--out", "a", backend=FAKE))[0] == 0
    old = RunFolder.open(Path("a"))
    old.device.unlink()
    lines = [json.loads(line) for line in old.metrics.read_text().splitlines()]
    kept = [{key: value for key, value in line.items() if key != "output_errors"} for line in lines]
    assert kept != lines
    old.metrics.write_text("".join(f"{json.dumps(line)}\n" for line in kept))
    code, _, err = qhc("rerun", "a", "--out", "b")
    assert code == 0, err
    found = drift_of("b")
    assert [each.shot_rmse for each in found.outputs] == [None] * 4
    assert found.together is not None
    errors = [RunFolder.open(Path(run)).evaluations()[-1].shot_error for run in ("a", "b")]
    assert found.together.shot_rmse == pytest.approx(np.hypot(*errors))
    assert (found.moved, found.medians) == ((), ())


def test_a_simulated_device_is_repeated_with_other_shots(qhc: Qhc, trained: Path) -> None:
    simulated = ("run", "--checkpoint", str(trained), "--limit", "12", "--backend", f"aer:{FAKE}")
    assert qhc(*simulated, "--shots", "256", "--out", "a")[0] == 0
    code, _, err = qhc("rerun", "a", "--out", "b")
    assert code == 0, err
    together = drift_of("b").together
    assert together is not None
    assert together.in_errors is not None
    assert 0 < together.in_errors**2 < 1 + 5 * np.sqrt(2 / 12)


def test_a_run_that_is_gone_leaves_the_answers(qhc: Qhc, trained: Path, tmp_path: Path) -> None:
    """Two folders that were moved together still know each other."""
    assert qhc(*sent(trained, "--out", "a", backend=FAKE))[0] == 0
    assert qhc("rerun", "a", "--out", "b")[0] == 0
    folder = RunFolder.open(Path("b"))
    Path("elsewhere").mkdir()
    for run in ("a", "b"):
        shutil.move(run, "elsewhere")
    assert RunFolder.open(Path("elsewhere/b")).repeated.path.name == "a"
    shutil.rmtree("elsewhere/a")
    again = RunFolder.open(Path("elsewhere/b"))
    assert again.repeated is None
    lines = again.metrics.read_text().splitlines(keepends=True)
    again.metrics.write_text("".join(line for line in lines if '"kind": "drift"' not in line))
    again.note(status="interrupted")
    code, _, err = qhc("resume", "elsewhere/b")
    assert code == 0, err
    assert "not compared with the run that it repeats" in err
    assert again.status == "finished"
    assert folder.path.name == "b"


def test_images_that_have_changed_are_not_paid_for(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    assert qhc(*sent(trained, "--yes", "--out", "a"))[0] == 0
    config = Path("a/config.toml")
    recorded = RunFolder.open(Path("a")).provenance.data_sha256
    config.write_text(config.read_text().replace(str(recorded), "0" * 64))
    code, _, err = qhc("rerun", "a", "--yes", "--out", "b")
    assert code == 2
    assert "is not what a began with" in err
    assert len(server.jobs) == 1
    assert not Path("b").exists()


def test_weights_that_were_trained_on_the_machine_are_repeated(qhc: Qhc, trained: Path) -> None:
    assert qhc(*sent(trained, *TUNING, "--out", "a", backend=FAKE))[0] == 0
    code, _, err = qhc("rerun", "a", "--out", "b")
    assert code == 0, err
    assert stages("b") == ["ideal", "noise", "machine"]
    assert drift_of("b").n_images == N_IMAGES


@pytest.mark.parametrize(
    ("made", "more", "words"),
    [
        ({}, (), "was trained, and no device has validated it"),
        ({"backend": "aer"}, (), "'aer', which is exact and gives the same numbers again"),
        ({"backend": f"aer:{FAKE}"}, (), "its calibration never changes"),
        ({"backend": f"aer:{FAKE}"}, ("--backend", "ibm_fez"), "repeated on a simulated device"),
        ({"backend": FAKE}, ("--backend", "aer"), "qhc run --checkpoint a --backend aer"),
        ({"backend": FAKE, "status": "waiting"}, (), "qhc resume a"),
        ({"backend": FAKE}, ("--backend", "fake_manyla"), "did you mean 'fake_manila'"),
        ({"backend": FAKE}, ("--backend", "aar"), "unknown backend 'aar'"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_repeated_says_what_to_type(
    qhc: Qhc, trained: Path, made: dict[str, Any], more: tuple[str, ...], words: str
) -> None:
    backend, status = made.get("backend"), made.get("status", "finished")
    if backend is None:
        shutil.copytree(trained, "a")
    else:
        shots = ("--shots", "64") if backend == FAKE else ()
        command = ("run", "--checkpoint", str(trained), "--backend", backend, "--limit", "4")
        assert qhc(*command, *shots, "--out", "a")[0] == 0
    RunFolder.open(Path("a")).note(status=status)
    code, out, err = qhc("rerun", "a", *more, "--out", "b")
    assert (code, out) == (2, ""), err
    assert words in " ".join(err.split())
    assert not Path("b").exists()


def test_a_run_that_is_none_is_told_at_once(qhc: Qhc) -> None:
    code, _, err = qhc("rerun", "absent")
    assert code == 2
    assert "absent is not a run" in err
