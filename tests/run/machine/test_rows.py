"""`qhc run --rows` on devices: what is sent, what comes back, and what is refused."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from experiments.records.folder import RunFolder
from experiments.report.write import write_report
from qbackend.machines.gateway import Gateway
from qbackend.machines.ledger.ledger import Ledger
from tests.loopback import LoopbackServer, MachineStatus, State
from tests.loopback.client import served
from tests.loopback.machines import Machine
from tests.support.command_line import Qhc, assert_refused, exit_code, last_line, without_reports

from .commands import FAKE, MACHINE

N_ROWS, N_IMAGES, SHOTS = 40, 30, 256
ROWS = ("--rows", str(N_ROWS), "--limit", str(N_IMAGES), "--shots", str(SHOTS))
HASTE = ("--set", "machine.poll=[0.02, 0.05]", "--max-qpu-seconds", "100")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net with quantum pointwise convolutions after an epoch on few digits."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    small = ("--dataset", "digits", "--epochs", "1", "--limit", "20", "--train-limit", "200")
    with without_reports():
        assert exit_code("run", "--recipe", "qpc-fashionmnist", *small, "--out", str(folder)) == 0
    return folder


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with served([Machine.load(MACHINE, n_qubits=5, noisy=False)]) as running:
        yield running


def on(backend: str, trained: Path, *more: str) -> tuple[str, ...]:
    return ("--checkpoint", str(trained), "--backend", backend, *more)


def test_rows_on_copies_say_which_one_and_what_the_whole_set_takes(qhc: Qhc, trained: Path) -> None:
    asked = on("fake_fez", trained, *ROWS, "--copies", "3")
    code, out, err = qhc("estimate", *asked, "--json")
    assert code == 0, err
    plan = last_line(out)
    code, _, err = qhc("run", *asked, "--out", "a")
    assert code == 0, err
    found = RunFolder.open(Path("a")).row_record
    assert found.whole.machine_seconds == pytest.approx(plan["whole"]["machine_seconds"])
    with open("a/rows.csv", newline="") as file:
        assert {row["copy"] for row in csv.DictReader(file)} == {"0", "1", "2"}


def test_rows_on_a_fake_device_say_what_to_expect(qhc: Qhc, trained: Path) -> None:
    code, out, err = qhc("run", *on(FAKE, trained, *ROWS), "--out", "a", "--json")
    assert code == 0, err
    assert "all test images, not sent" in err
    line = last_line(out)
    assert (line["rows"], line["shots"], line["jobs"]) == (N_ROWS, SHOTS, 2)
    assert line["rows_backend"] == FAKE
    with open("a/rows.csv", newline="") as file:
        table = list(csv.DictReader(file))
    by_row = {(r["layer"], r["image"], r["pixel"], r["kernel"]) for r in table}
    assert len(by_row) == N_ROWS
    values = {key: np.array([float(row[key]) for row in table]) for key in ("exact", "measured")}
    rmse = np.sqrt(((values["measured"] - values["exact"]) ** 2).mean())
    assert line["maps_rmse"] == pytest.approx(rmse, rel=1e-6)
    assert [layer["n_rows"] for layer in line["layers"]] == [
        len({key for key in by_row if key[0] == name})
        for name in ("stages.0.pointwise", "stages.1.pointwise")
    ]
    for layer in line["layers"]:
        assert 0 < layer["shot_error"] <= 1 / np.sqrt(SHOTS)
    # Digits of 8x8 pixels leave 2x2 pixels for 8 kernels, and one for 13.
    assert line["whole"]["rows"] == line["whole"]["images"] * (4 * 8 + 13)
    low, high = line["expected_interval"]
    assert 0 <= low <= line["expected_accuracy"] <= high <= 1
    ledger = Ledger.existing(Path("a/jobs.sqlite"))
    assert sum(entry.n_rows for entry in ledger.entries()) == N_ROWS
    ledger.close()
    page = write_report([Path("a")]).read_text()
    for words in ("Rows of feature maps", "To expect on fake_manila", "independent between pixels"):
        assert words in page
    assert Path("a/figures/row-outputs.png").exists()


def test_rows_are_executed_again(qhc: Qhc, trained: Path) -> None:
    """The same rows with other shots: the mean square of the differences is theirs."""
    assert qhc("run", *on(FAKE, trained, *ROWS), "--out", "a")[0] == 0
    code, out, err = qhc("rerun", "a", "--out", "b", "--json")
    assert code == 0, err
    drift = last_line(out)["drift"]
    tables = []
    for run in ("a", "b"):
        with open(f"{run}/rows.csv", newline="") as file:
            tables.append(list(csv.DictReader(file)))
    places = ("layer", "image", "pixel", "kernel", "output", "exact")
    before, now = ([[row[key] for key in places] for row in table] for table in tables)
    assert before == now
    before, now = (np.array([float(row["measured"]) for row in table]) for table in tables)
    assert drift["together"]["in_errors"] > 0
    names = ["stages.0.pointwise", "stages.1.pointwise"]
    assert [each["name"] for each in drift["outputs"]] == names
    for each in drift["outputs"]:
        mine = [row["layer"] == each["name"] for row in tables[0]]
        assert each["rmse"] == pytest.approx(np.sqrt(((now - before)[mine] ** 2).mean()))
        assert each["in_errors"] ** 2 < 1 + 5 * np.sqrt(2 / each["n_rows"])
    assert sum(each["n_rows"] for each in drift["outputs"]) == N_ROWS


def test_a_simulated_device_executes_rows_as_well(qhc: Qhc, trained: Path) -> None:
    few = ("--rows", str(N_ROWS), "--limit", str(N_IMAGES))
    code, out, err = qhc("run", *on(f"native:{FAKE}", trained, *few), "--out", "a", "--json")
    assert code == 0, err
    exact = last_line(out)
    assert exact["shots"] is None
    assert all(layer["shot_error"] == 0 for layer in exact["layers"])
    assert "on this computer" in out + err
    code, out, err = qhc("run", *on("aer", trained, *ROWS), "--out", "b", "--json")
    assert code == 0, err
    sampled = last_line(out)
    # Shots alone: errors of about their standard error, without slope.
    assert sampled["maps_rmse"] <= 1 / np.sqrt(SHOTS) * (1 + 5 / np.sqrt(2 * N_ROWS))


def test_the_rows_of_a_machine_are_planned_sent_once_and_collected_later(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    code, out, err = qhc("estimate", *on(MACHINE, trained, *ROWS, *HASTE), "--json")
    assert code == 0, err
    plan = last_line(out)
    assert (plan["rows"], plan["jobs"]) == (N_ROWS, 2)
    whole = plan["whole"]
    assert whole["rows"] == whole["images"] * 45
    per_row = plan["shares"][0]["shots"] / N_ROWS
    assert whole["shots"] == whole["rows"] * per_row
    assert whole["qpu_seconds"] > plan["qpu_seconds"]
    server.workload.hold(State.QUEUED)
    sent = ("run", *on(MACHINE, trained, *ROWS, *HASTE), "--yes", "--no-wait", "--out", "a")
    budget = math.ceil(plan["qpu_seconds"]) + 2
    code, out, err = qhc(*sent, "--max-qpu-seconds", str(budget), "--json")
    assert code == 0, err
    assert last_line(out)["status"] == "waiting"
    assert sum(job.rows for job in server.jobs) == N_ROWS
    limits = [job.max_seconds for job in server.jobs]
    # Both wait together, for what neither may take from the other.
    assert plan["qpu_seconds"] < sum(limits) <= budget
    assert all(job.program.estimated_seconds < job.max_seconds for job in server.jobs)
    assert RunFolder.open(Path("a")).row_record is None
    server.workload.release()
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert len(server.jobs) == 2
    assert all(server.deliveries(job) == 1 for job in server.jobs)
    line = last_line(out)
    assert line["estimated_seconds"] == pytest.approx(plan["qpu_seconds"])
    # A machine without noise errs by its shots alone.
    assert line["maps_rmse"] <= 1 / np.sqrt(SHOTS) * (1 + 5 / np.sqrt(2 * N_ROWS))


def test_ctrl_c_while_rows_are_sent_sends_no_more(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Gateway, "start", interrupted)
    sent = ("run", *on(MACHINE, trained, *ROWS, *HASTE), "--yes", "--no-wait", "--out", "a")
    code, _, err = qhc(*sent)
    assert code == 130
    assert "1 of 1 jobs" in err
    # The other convolution's request was not even made.
    assert len(Ledger(Path("a/jobs.sqlite")).entries()) == 1
    assert not server.jobs


def test_a_machine_gets_a_hundred_rows_unless_told(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    code, out, err = qhc("estimate", *on(MACHINE, trained), "--json")
    assert code == 0, err
    assert "100 rows of its feature maps are drawn" in err
    assert last_line(out)["rows"] == 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rows", "40", "--backend", FAKE), "--limit N takes fewer images"),
        (("--rows", "40", "--recipe", "qpc-fashionmnist"), "'native' makes no error"),
        (("--recipe", "qpc-fashionmnist", "--backend", f"aer:{FAKE}"), "add --rows 100"),
    ],
)
def test_rows_of_nothing_are_refused(qhc: Qhc, arguments: tuple[str, ...], said: str) -> None:
    assert_refused(qhc, said, "run", *arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rows", "19"), "--rows 20 is the least"),
        (("--rows", "19", "--backend", f"native:{FAKE}"), "--rows 20 is the least"),
        (("--rows", "40", "--calibrate", "8"), "--rows N fits such a map"),
        (("--train", "quantum", "--gradient", "spsa"), "leave --train out"),
    ],
)
def test_what_does_not_go_with_rows_is_refused(
    qhc: Qhc, trained: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert_refused(qhc, said, "run", *on(FAKE, trained, *arguments))


def test_rows_of_a_machine_that_is_gone_are_evaluated(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    sent = ("run", *on(MACHINE, trained, *ROWS, *HASTE), "--yes", "--no-wait", "--out", "a")
    code, _, err = qhc(*sent)
    assert code == 0, err
    server.wait_for(State.COMPLETED, n_jobs=2)
    server.machines[MACHINE].status = MachineStatus.RETIRED
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert last_line(out)["whole"]["machine_seconds"] > 0
