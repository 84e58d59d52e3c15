"""A model of the user's own on a machine: one plan, one question, one ledger, no job paid twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qbackend import QuantumLayer, estimate, validate
from qbackend.errors import ApprovalError, BudgetError, JobsPendingError, RunFolderError
from qbackend.machines.cost import MachineCost
from qbackend.validation.folder import OwnRun
from tests.loopback import LoopbackServer, Machine, State
from tests.loopback.client import served
from tests.support.command_line import Qhc

from .nets import HASTE, N_ITEMS, TwoLayers, batches, own_circuit, yes

ROOT = Path(__file__).parents[2]
MACHINE, SHOTS = "ibm_loopback", 200
RUN_SECONDS = 1.0
"""Long enough to be killed in."""

SCRIPT = f"""
from qbackend import validate
from tests.validation.nets import HASTE, TwoLayers, batches, yes
validate(TwoLayers(), batches(), ["{MACHINE}"], run="a", shots={SHOTS}, options=HASTE, approve=yes)
"""


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with served([Machine.load(MACHINE, n_qubits=4, noisy=False)]) as running:
        yield running


def sent(**given: Any) -> Any:
    """The call of `SCRIPT`."""
    options = {"run": "a", "shots": SHOTS, "options": HASTE, "approve": yes}
    return validate(TwoLayers(), batches(), [MACHINE], **{**options, **given})


def check_paid_once(server: LoopbackServer) -> None:
    """A job per layer, each fetched once."""
    assert [job.state for job in server.jobs] == [State.COMPLETED] * 2
    assert [server.deliveries(job) for job in server.jobs] == [1, 1]


def test_one_question_and_one_job_per_layer(
    server: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[MachineCost] = []

    def approve(cost: MachineCost) -> bool:
        asked.append(cost)
        return True

    found = sent(approve=approve)
    check_paid_once(server)
    (cost,) = asked
    assert (cost.rows, cost.jobs) == (2 * N_ITEMS, 2)
    promised = estimate(TwoLayers(), batches(), [MACHINE], shots=SHOTS, options=HASTE).backend(
        MACHINE
    )
    assert (promised.rows, promised.jobs, promised.executions) == (24, 2, cost.executions)
    assert promised.qpu_seconds == pytest.approx(cost.qpu_seconds)
    shown = capsys.readouterr().err
    assert "second on ibm_loopback *" in shown
    assert "follows from the answers" in shown
    machine = found.stage(MACHINE)
    assert (machine.jobs, machine.shots) == (2, SHOTS)
    for layer in machine.layers:
        # Without noise there are the shots alone; features of the later layer move with them.
        assert layer.rmse < 5 * layer.shot_error
    # The same call gives what is there.
    assert sent() == found
    assert len(server.jobs) == 2


def test_nothing_is_sent_without_a_yes(server: LoopbackServer) -> None:
    with pytest.raises(ApprovalError, match=r"24 rows .* s of QPU time; nothing was sent"):
        sent(approve=None)
    assert not Path("a").exists()
    with pytest.raises(ApprovalError, match="not approved"):
        sent(approve=lambda cost: False)
    assert OwnRun.open(Path("a")).status == "failed"
    with pytest.raises(BudgetError, match=r'options=\{"max_qpu_seconds": \d+\}'):
        sent(run="b", options={**HASTE, "max_qpu_seconds": 1})
    assert server.jobs == []
    sent()
    check_paid_once(server)


class Searching(nn.Module):
    """Calls its layer until two answers are equal: twice without noise, and up to five times."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = QuantumLayer(own_circuit(), backend="aer", seed=1)

    def forward(self, features: Tensor) -> Tensor:
        found = self.layer(features[:, :2])
        for _ in range(4):
            before, found = found, self.layer(features[:, :2])
            if torch.equal(before, found):
                break
        return found


def test_what_goes_beyond_the_plan_is_asked_about(server: LoopbackServer) -> None:
    asked: list[int] = []

    def approve(cost: MachineCost) -> bool:
        asked.append(cost.rows)
        return len(asked) != 2

    def searched() -> Any:
        given = {"run": "a", "shots": 50, "options": HASTE, "approve": approve}
        return validate(Searching(), batches(torch.zeros(N_ITEMS, 2) + 0.5), [MACHINE], **given)

    with pytest.raises(ApprovalError, match="not approved"):
        searched()
    # Both calls of the plan, and none beyond it.
    assert (asked, len(server.jobs)) == ([2 * N_ITEMS, N_ITEMS], 2)
    found = searched()
    extra = len(server.jobs) - 2
    assert extra > 0
    assert asked[2:] == [N_ITEMS] * extra
    assert found.stage(MACHINE).jobs == 2 + extra
    assert [server.deliveries(job) for job in server.jobs] == [1] * len(server.jobs)


@pytest.mark.slow
def test_a_killed_process_pays_for_nothing_twice() -> None:
    machine = Machine.load(MACHINE, n_qubits=4, noisy=False, run_seconds=RUN_SECONDS)
    with served([machine]) as server:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment)
        # In the middle: the first layer has its answers, the second is asked.
        server.wait(lambda: len(server.jobs) == 2, timeout=120)
        process.send_signal(signal.SIGKILL)
        process.wait()
        folder = OwnRun.open(Path("a"))
        assert folder.status == "running"
        found = sent(approve=None)
        check_paid_once(server)
        assert found.stage(MACHINE).jobs == 2
        assert folder.status == "finished"


def test_commands_know_the_jobs(qhc: Qhc, server: LoopbackServer) -> None:
    server.workload.hold(State.QUEUED)
    with pytest.raises(JobsPendingError, match=r"validate, with run='a', goes on, .* --collect"):
        sent(wait=False)
    assert OwnRun.open(Path("a")).status == "waiting"
    (job,) = server.jobs
    code, out, err = qhc("jobs", "a", "--json")
    assert code == 0, err
    assert [line["job_id"] for line in json.loads(out)["jobs"]] == [job.id]
    code, out, err = qhc("resume", "a", "--collect")
    assert code == 0, err
    assert f"under way, look again later: {job.id}" in out
    server.workload.release()
    server.wait_for(State.COMPLETED)
    code, out, err = qhc("resume", "a", "--collect", "--json")
    assert code == 0, err
    assert json.loads(out)["fetched"] == [job.id]
    code, out, err = qhc("resume", "a", "--collect")
    assert f"were there already: {job.id}" in out
    assert "the same call of qbackend.validate goes on" in out
    code, out, err = qhc("resume", "a")
    assert code == 2
    assert "a is waiting: the same call of qbackend.validate goes on, with run='a'" in err
    code, _, err = qhc("resume", "a", "--collect", "--yes")
    assert code == 2
    assert "leave out --yes" in err
    found = sent()
    check_paid_once(server)
    code, out, err = qhc("resume", "a")
    assert code == 0, err
    assert out.strip() == str(found).strip()
    code, _, err = qhc("rerun", "a", "--backend", "ibm_other")
    assert code == 2
    assert "['ibm_other'], run='a-again', repeats='a'" in err


def test_jobs_can_be_cancelled(qhc: Qhc, server: LoopbackServer) -> None:
    server.workload.hold(State.QUEUED)
    with pytest.raises(JobsPendingError):
        sent(wait=False)
    code, out, err = qhc("cancel", "a")
    assert code == 0, err
    (job,) = server.jobs
    assert f"cancelled: {job.id}" in out
    server.workload.release()
    sent()
    states = [each.state for each in server.jobs]
    assert states == [State.CANCELLED, State.COMPLETED, State.COMPLETED]


def test_the_best_machine_stays_chosen(server: LoopbackServer) -> None:
    with pytest.raises(JobsPendingError):
        validate(
            TwoLayers(), batches(), ["ibm"], run="a", shots=SHOTS, options=HASTE,
            approve=yes, wait=False,
        )  # fmt: skip
    assert OwnRun.open(Path("a")).backend == MACHINE
    found = validate(TwoLayers(), batches(), ["ibm"], run="a", shots=SHOTS, options=HASTE)
    check_paid_once(server)
    assert found.stages[-1].stage == MACHINE


def test_two_machines_of_one_service_have_one_ledger(qhc: Qhc) -> None:
    names = ["fake_quito", "fake_manila"]
    found = validate(TwoLayers(), batches(), names, run="runs/a", shots=50)
    assert [stage.stage for stage in found.stages] == ["aer", *names]
    code, out, err = qhc("jobs", "runs/a", "--json")
    assert code == 0, err
    assert len(json.loads(out)["jobs"]) == 4
    code, out, err = qhc("jobs", "--json")
    assert code == 0, err
    (line,) = json.loads(out)["runs"]
    assert (line["state"], line["jobs_done"]) == ("finished", 4)


def test_a_lost_ledger_sends_nothing(server: LoopbackServer) -> None:
    server.workload.hold(State.QUEUED)
    with pytest.raises(JobsPendingError):
        sent(wait=False)
    Path("a/jobs.sqlite").unlink()
    with pytest.raises(RunFolderError, match="qhc jobs a --rebuild"):
        sent()
    assert len(server.jobs) == 1


def test_calibration_is_in_the_same_jobs(server: LoopbackServer) -> None:
    data = {"calibrate": 4, "calibration_data": [(x + 0.2, y) for x, y in batches()]}
    found = sent(**data)
    check_paid_once(server)
    names = [stage.stage for stage in found.stages]
    assert names == ["aer", MACHINE, f"{MACHINE}, calibrated"]
    # What the machine answered, and what is made of that, are two inputs of the second layer.
    promised = estimate(TwoLayers(), batches(), [MACHINE], shots=SHOTS, options=HASTE, **data)
    costs = [share.cost.rows for share in promised.plan.of(MACHINE)]
    assert costs == [N_ITEMS + 4, 2 * N_ITEMS + 4]


def test_a_fake_device_with_copies(qhc: Qhc) -> None:
    """Copies are calibrated one by one; the page has everything."""
    found = validate(
        TwoLayers(),
        batches(),
        ["fake_fez"],
        run="a",
        shots=2000,
        options={"copies": 3},
        calibrate=4,
        calibration_data=[(x + 0.2, y) for x, y in batches()],
    )
    raw, corrected = found.stages[1:]
    assert [layer.compiled["copies"] for layer in raw.layers] == [3, 3]
    for layer in (*raw.layers, *corrected.layers):
        assert layer.rmse is not None
        assert layer.shot_error
        assert layer.rmse < 0.2
    code, out, err = qhc("report", "a")
    assert code == 0, err
    page = Path(out.strip()).read_text()
    for words in ("fake_fez, calibrated", "Outputs of second", "A model of your own, TwoLayers"):
        assert words in page
    code, _, err = qhc("report", "a", "a")
    assert code == 2
    assert "has a page of its own" in err
    # A run of another kind is refused where a recipe is wanted.
    code, _, err = qhc("run", "--checkpoint", "a")
    assert code == 2, err
