"""`qhc run` on machines: what is sent, what is kept, what is compared, and what is refused."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from experiments import approval, validation
from experiments.cli import main
from experiments.record import RunFolder
from experiments.report import write_report
from qbackend.errors import RecordError
from qbackend.ibm import limits
from qbackend.ibm.entries import Intent
from qbackend.ibm.entries import State as EntryState
from qbackend.ibm.gateway import Gateway
from qbackend.ibm.ledger import Ledger
from qbackend.ibm.options import ExecutionOptions
from tests.loopback import Fault, LoopbackServer, Plan, State, Status
from tests.loopback.account import Instance
from tests.loopback.client import served, tiny

from .test_cli import start_qhc

MACHINE, FAKE = "ibm_loopback", "fake_manila"
HASTE = ("--set", "machine.poll=[0.02, 0.05]")
SHOTS, N_IMAGES = 256, 12
FEW = ("--limit", str(N_IMAGES), "--shots", str(SHOTS))

Qhc = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A digits model after an epoch on a tenth of the images."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    small = ("--epochs", "1", "--limit", "20", "--set", "data.validation=0.9")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.runner.write_report", lambda runs: None)
        with pytest.raises(SystemExit) as left:
            main(["run", *small, "--out", str(folder)])
    assert left.value.code == 0
    return folder


@pytest.fixture
def qhc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Qhc:
    """The command in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("experiments.runner.write_report", lambda runs: None)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(arguments)
        captured = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, captured.out, captured.err

    return call


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with served() as running:
        yield running


def sent(trained: Path, *more: str, backend: str = MACHINE) -> tuple[str, ...]:
    """The command that validates on a machine without asking."""
    return ("run", "--checkpoint", str(trained), "--backend", backend, *FEW, *HASTE, *more)


def last_line(out: str) -> dict[str, Any]:
    return json.loads(out.splitlines()[-1])


def stages(folder: str) -> list[str]:
    return [record["stage"] for record in RunFolder.open(Path(folder)).evaluations()]


def test_a_fake_device_is_compared_with_its_simulations(
    qhc: Qhc, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = qhc(*sent(trained, "--out", "a", "--json", backend=FAKE))
    assert code == 0, err
    line = last_line(out)
    assert (line["backend"], line["n_images"], line["shots"]) == (FAKE, N_IMAGES, SHOTS)
    assert (line["jobs"], line["qpu_seconds"]) == (1, 0.0)
    assert stages("a") == ["ideal", "noise", "machine"]
    folder = RunFolder.open(Path("a"))
    ideal, noise, machine = folder.evaluations()
    assert [r["backend"] for r in (ideal, noise, machine)] == ["aer", f"aer:{FAKE}", FAKE]
    assert line["accuracy"] == line["machine_accuracy"] == machine["accuracy"]
    assert (line["ideal_accuracy"], line["noise_accuracy"]) == (
        ideal["accuracy"],
        noise["accuracy"],
    )

    with np.load("a/validation.npz") as arrays:
        kept = dict(arrays)
    differences = kept["machine_outputs"] - kept["noise_outputs"]
    # An expectation value of Paulis has a variance of at most 1 / shots.
    assert np.abs(differences).max() < 5 / np.sqrt(SHOTS)
    assert np.abs(differences).max() > 0
    pairs = {tuple(p["stages"]): p for p in folder.validation_record["agreement"]}
    assert pairs["noise", "machine"]["output_rmse"] == pytest.approx(
        np.sqrt(np.mean(differences.astype(float) ** 2))
    )
    predictions = {stage: kept[f"{stage}_logits"].argmax(axis=1) for stage in ("ideal", "machine")}
    same = int((predictions["ideal"] == predictions["machine"]).sum())
    assert pairs["ideal", "machine"]["same"] == same
    assert line["agreement"] == same / N_IMAGES
    assert folder.validation_record["changed"] == N_IMAGES - same
    # The largest standard error of one image's output bounds their root mean square.
    assert 0 < machine["shot_error"] <= 1 / np.sqrt(SHOTS)

    with open("a/validation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * N_IMAGES
    of_machine = [row for row in rows if row["stage"] == "machine"]
    assert [int(row["image"]) for row in of_machine] == kept["indices"].tolist()
    assert np.mean([int(row["right"]) for row in of_machine]) == machine["accuracy"]
    assert float(of_machine[3]["output_1"]) == pytest.approx(
        kept["machine_outputs"][3, 1], rel=1e-5
    )

    page = write_report([folder.path]).read_text()
    for words in ("Machine and simulation", "simulated noise", "none charged", "validation.csv"):
        assert words in page
    assert {"outputs.png", "output-errors.png"} <= {p.name for p in Path("a/figures").iterdir()}


@pytest.mark.parametrize("primitive", ["sampler", "estimator"])
@pytest.mark.parametrize("mode", ["job", "batch"])
def test_the_plan_is_what_the_machine_receives(
    qhc: Qhc, trained: Path, server: LoopbackServer, primitive: str, mode: str
) -> None:
    flags = ("--primitive", primitive, "--mode", mode, "--json")
    command = sent(trained, *flags)
    code, out, err = qhc("estimate", *command[1:])
    assert code == 0, err
    plan = last_line(out)
    assert not server.jobs
    code, out, err = qhc(*command, "--yes", "--out", "a")
    assert code == 0, err
    line = last_line(out)
    assert len(server.jobs) == plan["jobs"] == line["jobs"] == 1
    assert sum(job.rows for job in server.jobs) == plan["rows"] == N_IMAGES
    assert sum(job.pubs for job in server.jobs) == plan["pubs"]
    (job,) = server.jobs
    executions = sum(work.executed * work.shots for work in job.program.work)
    assert executions == plan["executions"] == N_IMAGES * SHOTS
    assert line["estimated_seconds"] == pytest.approx(plan["qpu_seconds"])
    assert line["charged_seconds"] == line["qpu_seconds"] == pytest.approx(job.charged)
    assert len(server.sessions) == (mode == "batch")
    assert f"{plan['qpu_seconds']:,.1f}" in err
    assert server.deliveries(job) == 1


def test_a_hundred_images_are_one_job_and_one_circuit_each(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    command = ("run", "--checkpoint", str(trained), "--backend", MACHINE, "--yes", *HASTE)
    code, out, err = qhc(*command, "--json")
    assert code == 0, err
    assert "100 test images" in err
    line = last_line(out)
    assert (line["n_images"], line["shots"], line["jobs"]) == (100, 1024, 1)
    (job,) = server.jobs
    (work,) = job.program.work
    assert (work.rows, work.executed, work.shots) == (100, 100, 1024)


def test_several_jobs_are_a_batch(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXECUTIONS_PER_SAMPLER_JOB", 5 * SHOTS)
    command = sent(trained, "--json")
    plan = last_line(qhc("estimate", *command[1:])[1])
    code, out, err = qhc(*command, "--yes")
    assert code == 0, err
    assert [job.rows for job in server.jobs] == [4, 4, 4]
    assert plan["jobs"] == last_line(out)["jobs"] == len(last_line(out)["job_ids"]) == 3
    (batch,) = server.sessions
    assert {job.session_id for job in server.jobs} == {batch.id}
    assert not batch.accepting


def test_jobs_that_nobody_waits_for_are_collected_later(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    code, out, err = qhc(*sent(trained, "--yes", "--no-wait", "--json", "--out", "a"))
    assert code == 0, err
    line = last_line(out)
    assert line["status"] == RunFolder.open(Path("a")).status == "waiting"
    assert "qhc resume a" in err
    (job,) = server.jobs
    assert [found["job_id"] for found in line["jobs"]] == [job.id]
    code, out, _ = qhc("jobs", "a")
    assert code == 0
    assert "submitted" in out
    assert job.id in out
    before = RunFolder.open(Path("a")).evaluations()
    server.workload.release()
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert RunFolder.open(Path("a")).evaluations()[:2] == before
    assert stages("a") == ["ideal", "noise", "machine"]
    assert len(server.jobs) == 1
    assert server.deliveries(job) == 1
    code, out, _ = qhc("jobs", "a", "--json")
    (found,) = last_line(out)["jobs"]
    assert (found["state"], found["charged_seconds"]) == ("done", pytest.approx(job.charged))


def test_a_full_disk_between_answer_and_record_loses_nothing(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = validation.write_atomically

    def full(path: Path, content: bytes) -> None:
        if server.jobs:
            raise RecordError("no space left")
        written(path, content)

    monkeypatch.setattr(validation, "write_atomically", full)
    code, _, err = qhc(*sent(trained, "--yes", "--out", "a"))
    assert code == 1
    assert "no space left" in err
    monkeypatch.setattr(validation, "write_atomically", written)
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert stages("a") == ["ideal", "noise", "machine"]
    (job,) = server.jobs
    assert server.deliveries(job) == 1


def test_a_job_that_is_settled_late_shows_its_price_later(qhc: Qhc, trained: Path) -> None:
    with served(usage_seconds=1.0) as server:
        server.workload.hold(State.QUEUED)
        assert qhc(*sent(trained, "--yes", "--no-wait", "--out", "a"))[0] == 0
        (job,) = server.jobs
        ledger = Ledger(Path("a/jobs.sqlite"))
        (entry,) = ledger.entries()
        ledger.ended(entry.tag, EntryState.FAILED, "")
        server.workload.release()
        server.wait_for(State.COMPLETED)

        def charged() -> float | None:
            return last_line(qhc("jobs", "a", "--json")[1])["jobs"][0]["charged_seconds"]

        assert charged() is None
        server.wait(lambda: charged() is not None)
        assert charged() == pytest.approx(job.charged)


def test_a_deadline_ends_the_wait_and_no_job(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    code, _, err = qhc(*sent(trained, "--yes", "--deadline", "0.2", "--out", "a"))
    assert code == 1
    assert "qhc resume a" in err
    assert RunFolder.open(Path("a")).status == "waiting"
    (job,) = server.jobs
    assert job.state is State.QUEUED


def test_a_fake_device_waits_for_resume(qhc: Qhc, trained: Path) -> None:
    code, out, err = qhc(*sent(trained, "--no-wait", "--out", "a", "--json", backend=FAKE))
    assert code == 0, err
    assert [job["state"] for job in last_line(out)["jobs"]] == ["planned"]
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert last_line(out)["jobs"] == 1


def test_cancelled_jobs_are_sent_again_by_resume(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    assert qhc(*sent(trained, "--yes", "--no-wait", "--out", "a"))[0] == 0
    (job,) = server.jobs
    code, out, err = qhc("cancel", "a")
    assert code == 0, err
    assert out == f"cancelled: {job.id}\n"
    assert job.state is State.CANCELLED
    assert qhc("cancel", "a")[1] == "nothing to cancel: every job has ended\n"
    server.workload.release()
    code, _, err = qhc("resume", "a", "--max-qpu-seconds", "1")
    assert code == 2
    assert "--max-qpu-seconds" in err
    code, _, err = qhc("resume", "a", "--max-qpu-seconds", "30")
    assert code == 0, err
    assert [job.state for job in server.jobs] == [State.CANCELLED, State.COMPLETED]


def test_jobs_that_cannot_be_cancelled_are_named(
    qhc: Qhc, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    assert qhc(*sent(trained, "--yes", "--no-wait", "--out", "a"))[0] == 0
    (job,) = server.jobs
    server.faults.add(Fault("POST", "/jobs/{id}/cancel", Status(400), count=None))
    for where in ("queued", "done"):
        code, out, err = qhc("cancel", "a")
        assert code == 0, err
        assert f"not cancelled: {job.id} ({where}" in out
        assert "qhc resume a" in out
        assert "every job has ended" not in out
        server.workload.release()
        server.wait_for(State.COMPLETED)
    line = last_line(qhc("cancel", "a", "--json")[1])
    assert line["cancelled"] == []
    assert [found["job_id"] for found in line["not_cancelled"]] == [job.id]


def test_what_attempts_without_a_result_took_is_in_the_sum(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    ledger = Ledger(path)
    intent = Intent("content", MACHINE, "crn", SHOTS, ExecutionOptions())
    ranges = [range(each, each + 1) for each in range(4)]
    failed, queued, done, planned = ledger.plan(intent, np.zeros((4, 1)), ranges, [2.0] * 4)
    for entry, state, seconds in (
        (failed, EntryState.FAILED, 1.5),
        (queued, EntryState.CANCELLED, 0.0),
    ):
        ledger.submitted(entry.tag, entry.tag)
        ledger.ended(entry.tag, state, "")
        ledger.charged(entry.tag, seconds)
    ledger.submitted(done.tag, "job")
    ledger.done(done.tag, b"result")
    ledger.ended(planned.tag, EntryState.CANCELLED, "")
    assert validation.ledger_summary(path) == {
        "job_ids": ["job"],
        "estimated_seconds": 4.0,
        "charged_seconds": 1.5,
        "unsettled": 1,
    }


def test_ctrl_c_while_jobs_are_sent_says_how_many_are_not(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXECUTIONS_PER_SAMPLER_JOB", 5 * SHOTS)
    start = Gateway.start

    def interrupted(gateway: Gateway, *given: Any) -> str:
        if server.jobs:
            raise KeyboardInterrupt
        return start(gateway, *given)

    monkeypatch.setattr(Gateway, "start", interrupted)
    code, _, err = qhc(*sent(trained, "--yes", "--no-wait", "--out", "a"))
    assert code == 130
    assert "2 of 3 jobs" in err
    assert "not sent yet" in err
    assert "qhc resume a" in err
    monkeypatch.setattr(Gateway, "start", start)
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert [job.rows for job in server.jobs] == [4, 4, 4]


def test_nothing_is_sent_without_a_yes(
    qhc: Qhc, trained: Path, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = qhc(*sent(trained, "--out", "a"))
    assert code == 2
    assert f"plan on {MACHINE}" in err
    assert "add --yes" in err
    assert not Path("a").exists()

    answers = iter([False, True])
    asked: list[str] = []

    def ask(question: str, **options: Any) -> bool:
        asked.append(question)
        assert options["default"] is False
        return next(answers)

    monkeypatch.setattr(approval, "can_ask", lambda: True)
    monkeypatch.setattr("experiments.run.can_ask", lambda: True)
    monkeypatch.setattr(approval.Confirm, "ask", ask)
    code, _, err = qhc(*sent(trained, "--out", "a"))
    assert code == 2
    assert "nothing was sent" in err
    assert not server.jobs
    assert stages("a") == ["ideal", "noise"]
    assert qhc("resume", "a")[0] == 0
    assert len(server.jobs) == 1
    assert asked == [f"Send this to {MACHINE}?"] * 2


def test_a_model_is_trained_before_where_none_is_given(qhc: Qhc, server: LoopbackServer) -> None:
    small = ("--epochs", "1", "--set", "data.validation=0.9", *FEW, *HASTE)
    code, out, err = qhc("run", "--backend", MACHINE, *small, "--yes", "--out", "a", "--json")
    assert code == 0, err
    records = RunFolder.open(Path("a")).evaluations()
    assert [record.get("stage") for record in records] == [None, "ideal", "noise", "machine"]
    assert [record["backend"] for record in records][-1] == last_line(out)["backend"] == MACHINE
    assert [job.rows for job in server.jobs] == [N_IMAGES]


def test_a_machine_is_corrected_by_calibration_images(qhc: Qhc, trained: Path) -> None:
    code, out, err = qhc(*sent(trained, "--calibrate", "8", "--out", "a", backend=FAKE))
    assert code == 0, err
    assert stages("a") == ["ideal", "noise", "machine", "corrected"]
    assert "calibrated" in out
    ledger = Ledger.existing(Path("a/jobs.sqlite"))
    assert [entry.n_rows for entry in ledger.entries()] == [N_IMAGES, 8]

    # The last stage is lost, its request is not.
    with np.load("a/validation.npz") as arrays:
        kept = {key: value for key, value in arrays.items() if not key.startswith("corrected")}
    np.savez("a/validation.npz", **kept)
    RunFolder.open(Path("a")).note("run", status="running")
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert [entry.n_rows for entry in ledger.entries()] == [N_IMAGES, 8]
    ledger.close()


TUNING = ("--train", "quantum", "--gradient", "spsa", "--train-limit", "4", "--epochs", "2")


def test_the_circuit_alone_is_trained_in_the_loop(qhc: Qhc, trained: Path) -> None:
    tuned = sent(trained, *TUNING, "--set", "train.lr=0.05", backend=FAKE)
    code, out, err = qhc("estimate", *tuned[1:], "--json")
    assert code == 0, err
    plan = last_line(out)
    code, _, err = qhc(*tuned, "--out", "a")
    assert code == 0, err
    ledger = Ledger.existing(Path("a/jobs.sqlite"))
    rows = [entry.n_rows for entry in ledger.entries()]
    # A step asks for 4 images and twice as many perturbed ones, then 4 images validate.
    assert rows == [12, 4, 12, 4, N_IMAGES]
    assert (plan["rows"], plan["jobs"]) == (sum(rows), len(rows))
    assert [share["what"] for share in plan["shares"]] == ["training", "validation", "test"]
    before = load_file(trained / "checkpoint.safetensors")
    after = load_file("a/checkpoint.safetensors")
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"bridge.weight"}

    # A process that dies loses no step that was executed.
    for name in ("training.safetensors", "checkpoint.safetensors", "metrics.jsonl",
                 "validation.npz"):  # fmt: skip
        Path("a", name).unlink()
    RunFolder.open(Path("a")).note("run", status="running")
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert [entry.n_rows for entry in ledger.entries()] == rows
    ledger.close()
    again = load_file("a/checkpoint.safetensors")
    np.testing.assert_array_equal(again["bridge.weight"], after["bridge.weight"])
    assert RunFolder.open(Path("a")).status == "finished"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--backend", "native", "--yes"), "'native' executes on this computer"),
        (("--no-wait",), "'aer' executes on this computer, at once and for nothing: --no-wait"),
        (("--primitive", "estimator"), "--primitive only has a meaning on a machine"),
        (("--backend", FAKE, "--zne", "1,x"), "is not a list of numbers"),
        (("--backend", FAKE, "--zne", "1,3"), "the Sampler has no zne"),
        (("--backend", FAKE, "--precision", "0.1"), "the Sampler takes shots"),
        (("--backend", FAKE, "--session", "--mode", "batch"), "contradict each other"),
        (("--backend", FAKE, "--max-qpu-seconds", "-1"), "max_qpu_seconds"),
        (("--backend", "fake_manilla"), "did you mean 'fake_manila'"),
        (("--backend", FAKE, "--train", "quantum"), "add --checkpoint RUN"),
        (("--backend", FAKE, "--set", "model.arm=linear"), "has no quantum layer"),
        (("--backend", FAKE, "--set", "layer.n_wires=6"), "6 wires"),
        (("--backend", MACHINE), "there are no credentials"),
    ],
)
def test_mistakes_leave_with_2_before_anything_is_made(
    qhc: Qhc, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = qhc("run", *arguments)
    assert (code, out) == (2, ""), err
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_what_an_account_cannot_have_is_refused(qhc: Qhc, trained: Path) -> None:
    machines = [tiny(), tiny("ibm_other")]
    with served(machines, [Instance(plan=Plan(seconds=10.0))]) as server:
        code, _, err = qhc(*sent(trained, "--yes", "--out", "a", backend="ibm_brisbane"))
        assert code == 2
        assert "it has ibm_loopback, ibm_other" in err
        assert "fake_brisbane" in err
        code, _, err = qhc(*sent(trained, "--yes", "--session", "--out", "a"))
        assert code == 2
        assert "no sessions" in err
        code, _, err = qhc(*sent(trained, "--yes", "--max-qpu-seconds", "1", "--out", "a"))
        assert code == 2
        assert "--max-qpu-seconds 4" in err
        # The test would fit, the training before it does not.
        code, _, err = qhc(*sent(trained, *TUNING, "--yes", "--max-qpu-seconds", "9", "--out", "a"))
        assert code == 2
        assert "more than the budget of 9 s; nothing was sent" in err
        code, _, err = qhc(*sent(trained, "--yes", "--limit", "100", "--out", "a"))
        assert code == 2
        assert "10 s left" in err
        assert not Path("a").exists()
        assert not server.jobs


def test_a_run_remembers_its_account_and_no_secret(
    qhc: Qhc,
    trained: Path,
    server: LoopbackServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret, instance = server.identity.api_key, server.instance.crn
    file = tmp_path / "mine" / "credentials.toml"
    file.parent.mkdir()
    file.write_text(
        f'profile = "none"\n[profiles.own]\ntoken = "{secret}"\ninstance = "{instance}"\n'
    )
    file.chmod(0o600)
    monkeypatch.delenv("QISKIT_IBM_TOKEN")
    account = ("--credentials", "mine/credentials.toml", "--profile", "own")
    server.workload.hold(State.QUEUED)
    code, out, err = qhc(*sent(trained, *account, "--yes", "--no-wait", "--out", "a"))
    assert code == 0, err
    server.workload.release()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    code, out, err = qhc("resume", "../a")
    assert code == 0, err
    kept = b"".join(path.read_bytes() for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert b'profile = "own"' in kept
    assert secret.encode() not in kept
    assert secret not in out + err


def test_the_machines_of_an_account_are_listed(qhc: Qhc, server: LoopbackServer) -> None:
    code, out, err = qhc("backends", "--device", FAKE)
    assert code == 0, err
    assert MACHINE in out
    assert "600 s left" in out
    assert server.identity.api_key not in out + err


def test_without_an_account_the_list_says_so(qhc: Qhc) -> None:
    code, out, _ = qhc("backends", "--device", FAKE)
    assert code == 0
    assert "no credentials for IBM Quantum were found" in out


@pytest.mark.parametrize("command", ["jobs", "cancel"])
def test_a_run_without_jobs_says_so(qhc: Qhc, trained: Path, command: str) -> None:
    code, _, err = qhc(command, str(trained))
    assert code == 2
    assert "no jobs were ever planned" in err
    assert qhc(command, "absent")[0] == 2


@pytest.mark.slow
def test_ctrl_c_leaves_jobs_running_for_another_process(
    tmp_path: Path, trained: Path, server: LoopbackServer
) -> None:
    server.workload.hold(State.QUEUED)
    waiting = start_qhc(tmp_path, *sent(trained, "--yes", "--out", "a"))
    server.wait_for(State.QUEUED, timeout=120)
    server.wait(lambda: bool(server.received("GET", "/jobs/{id}")), timeout=30)
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 130, err
    assert "qhc resume a" in err
    assert "Traceback" not in err
    (job,) = server.jobs
    assert job.state is State.QUEUED
    assert RunFolder.open(tmp_path / "a").status == "waiting"
    server.workload.release()
    resumed = start_qhc(tmp_path, "resume", "a", "--json")
    out, err = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, err
    assert last_line(out)["job_ids"] == [job.id]
    assert server.deliveries(job) == 1
