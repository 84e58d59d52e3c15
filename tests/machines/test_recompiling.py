"""A machine's calibration changes: what it cannot execute any more is compiled anew, or refused."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import CZGate
from qiskit.transpiler import InstructionProperties, Target

from qbackend import CircuitLayer, get_backend
from qbackend.errors import JobFailedError, JobsPendingError, MachineError, OptionError
from qbackend.machines.cost import MachineCost
from qbackend.machines.planning import lost_places
from qbackend.machines.service import RemoteState
from qbackend.seam.jobs import JobStatus
from qbackend.seam.requests import Cost

from .fakes import SPEC, FakeService, ask, backend_of, small_target, undisturbed

FAILED = RemoteState(JobStatus.FAILED, "Error code 9701; broken")


def without(qubits: Sequence[int]) -> Target:
    """The machine on the day after these qubits were lost: their readout has an error of 1."""
    target = copy.deepcopy(small_target())
    for qubit in qubits:
        known = target["measure"][(qubit,)]
        target.update_instruction_properties(
            "measure", (qubit,), InstructionProperties(known.duration, 1.0)
        )
    return target


def used(service: FakeService) -> list[int]:
    """The qubits of the last job."""
    return service.jobs[-1].call.compiled.record["physical_qubits"]


def test_a_job_that_is_sent_again_avoids_what_was_lost(tmp_path: Path) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path)
    job = backend.submit(ask(backend))
    service.jobs[0].ending = FAILED
    with pytest.raises(JobFailedError):
        job.result()
    before = used(service)
    lost = before[0]
    service.target = without([lost])
    later = backend_of(service, ledger=path)
    np.testing.assert_allclose(
        later.evaluate(ask(later)).values, undisturbed(), atol=10 / np.sqrt(64)
    )
    assert lost in before
    assert lost not in used(service)
    assert len(service.jobs) == 2


def test_what_was_never_sent_avoids_it_too(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    first = backend_of(service, ledger=path).compile(SPEC)
    lost = first.record["physical_qubits"][0]
    service.target = without([lost])
    later = backend_of(service, ledger=path)
    assert lost not in later.compile(SPEC).record["physical_qubits"]


def test_a_change_that_loses_nothing_leaves_the_layer(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    first = backend_of(service, ledger=path).compile(SPEC)
    others = [q for q in range(4) if q not in first.record["physical_qubits"]]
    service.target = without(others)
    assert backend_of(service, ledger=path).compile(SPEC).record == first.record


def test_results_of_two_layouts_are_not_mixed(tmp_path: Path, three_jobs: None) -> None:
    """One of three jobs is done: the others cannot be executed as it was."""
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path)
    job = backend.submit(ask(backend, 5))
    service.jobs[1].ending = FAILED
    with pytest.raises(JobFailedError):
        job.result()
    service.target = without(used(service)[:1])
    later = backend_of(service, ledger=path)
    with pytest.raises(MachineError, match=r"lost what this run's circuit.*nothing was sent"):
        later.submit(ask(later, 5))
    assert len(service.jobs) == 3


def test_what_was_planned_before_is_not_sent_to_lost_qubits(
    tmp_path: Path, three_jobs: None
) -> None:
    """One of three jobs found room in the queue; days later there is room for the others."""
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    service.most_pending = 1
    backend = backend_of(service, ledger=path, wait=False)
    with pytest.raises(JobsPendingError):
        backend.submit(ask(backend, 5))
    assert len(service.jobs) == 1
    service.most_pending, service.target = 10, without(used(service)[:1])
    later = backend_of(service, ledger=path)
    with pytest.raises(MachineError, match=r"lost what this run's circuit.*nothing was sent"):
        later.submit(ask(later, 5))
    assert len(service.jobs) == 1


def test_what_was_planned_before_says_that_the_machine_takes_no_jobs(
    tmp_path: Path, three_jobs: None
) -> None:
    service, path = FakeService(looks=1), tmp_path / "jobs.sqlite"
    service.most_pending = 1
    backend = backend_of(service, ledger=path, wait=False)
    with pytest.raises(JobsPendingError):
        backend.submit(ask(backend, 5))
    service.most_pending, service.status = 10, "paused"
    told: list[str] = []
    later = backend_of(service, ledger=path, progress=lambda it: told.append(it.words))
    later.submit(ask(later, 5))
    assert told.index("ibm_fake is paused: jobs wait until it is back") < told.index(
        "job job-1 sent to ibm_fake"
    )


def test_what_is_done_needs_no_calibration(tmp_path: Path) -> None:
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    backend = backend_of(service, ledger=path)
    values = backend.evaluate(ask(backend)).values
    service.target = without(range(4))
    later = backend_of(service, ledger=path)
    np.testing.assert_array_equal(later.evaluate(ask(later)).values, values)


def test_what_a_target_has_not_is_named() -> None:
    compiled = backend_of(FakeService()).compile(SPEC)
    assert lost_places(compiled, small_target()) == []
    bare = Target(num_qubits=4)
    bare.add_instruction(CZGate(), {(0, 1): InstructionProperties(1e-7, 1.0)})
    lost = lost_places(compiled, bare)
    for qubit in compiled.record["physical_qubits"]:
        assert f"measure on {qubit}" in lost
    assert any(place.startswith("cz on ") for place in lost)


def test_what_was_compiled_before_there_was_a_ledger_is_what_is_sent(tmp_path: Path) -> None:
    """A plan is made before there is a folder: the run sends what was planned, as it was."""
    service, path = FakeService(), tmp_path / "jobs.sqlite"
    backend = backend_of(service)
    planned = ask(backend).compiled.record
    service.target = without(planned["physical_qubits"][:1])
    asked: list[MachineCost] = []

    def approve(cost: Cost) -> bool:
        assert isinstance(cost, MachineCost)
        asked.append(cost)
        return True

    backend.keep_jobs(path, approve=approve, run_tag="qhc-run")
    backend.evaluate(ask(backend))
    assert service.jobs[0].call.compiled.record == planned
    assert service.calls.count("device") == 1
    assert [cost.rows for cost in asked] == [3]
    with pytest.raises(OptionError, match="has jobs already"):
        backend.keep_jobs(tmp_path / "other.sqlite", approve=approve, run_tag=None)
    backend.close()
    again = backend_of(service, ledger=path)
    again.evaluate(ask(again))
    assert len(service.jobs) == 1


def test_a_device_is_asked_of_its_machine_once() -> None:
    service = FakeService()
    backend = backend_of(service)
    assert backend.compile(SPEC).record["device"] == backend.reported_device().name
    assert service.calls.count("device") == 1
    assert get_backend("aer").reported_device() is None


def test_the_change_of_basis_is_executed_too() -> None:
    """Behind gates that the machine has still, by one that it has lost."""
    layer = CircuitLayer(QuantumCircuit(1), observables=("X",))
    backend = backend_of(FakeService())
    compiled = backend.compile(layer)
    assert not compiled.circuit.count_ops()
    assert not lost_places(compiled, small_target())
    (qubit,) = compiled.observed
    target = copy.deepcopy(small_target())
    for name in compiled.one_qubit_gates:
        if name != "rz":
            target.update_instruction_properties(name, (qubit,), InstructionProperties(None, 1.0))
    assert lost_places(compiled, target) == [f"sx on {qubit}"]
