"""`--backend ibm`: the best of an account's machines, by fidelity, queue or seconds."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.records.folder import RunFolder
from experiments.report.write import write_report
from qbackend import LayerSpec, QuantumLayer, get_backend
from qbackend.circuits.device_form import compile_for_target
from qbackend.errors import MachineError, OptionError
from qbackend.machines.choice import choose_machine
from qbackend.machines.options import ExecutionOptions
from qbackend.registry import vendor_of
from tests.loopback import LoopbackServer, MachineStatus, State
from tests.loopback.client import served
from tests.loopback.machines import Machine, Snapshot
from tests.support.command_line import Qhc, last_line

from ..commands import N_IMAGES, SHOTS, sent

GOOD, QUICK, SMALL, PAUSED, LOST = "ibm_good", "ibm_quick", "ibm_small", "ibm_paused", "ibm_lost"
SPEC = LayerSpec(n_wires=4, encoding="amplitude", ansatz="basic_entangler", n_layers=2)


def machine(
    name: str, *, n_qubits: int = 5, waiting: int = 0, factor: float = 1.0, **more: Any
) -> Machine:
    """A machine whose two-qubit errors are so many times the snapshot's, 1 at most."""
    made = Machine.load(name, n_qubits=n_qubits, noisy=False)
    properties = copy.deepcopy(made.snapshot.properties)
    for gate in properties["gates"]:
        for each in gate["parameters"]:
            if each["name"] == "gate_error" and len(gate["qubits"]) == 2:
                each["value"] = min(1.0, factor * each["value"])
    made.snapshot = Snapshot(made.snapshot.configuration, properties)
    made.others_waiting = waiting
    for key, value in more.items():
        setattr(made, key, value)
    return made


def account() -> list[Machine]:
    return [
        machine(QUICK, waiting=1, factor=3.0),
        machine(GOOD, waiting=12),
        machine(SMALL, n_qubits=3),
        machine(PAUSED, status=MachineStatus.PAUSED),
        machine(LOST, factor=1e6),
    ]


@pytest.fixture
def several() -> Iterator[LoopbackServer]:
    with served(account()) as running:
        yield running


def test_the_machines_stand_in_a_table_and_one_is_chosen(
    qhc: Qhc, trained: Path, several: LoopbackServer
) -> None:
    command = sent(trained, "--calibrate", "8", "--json", backend="ibm")
    code, out, err = qhc("estimate", *command[1:])
    assert code == 0, err
    line = last_line(out)
    assert (line["backend"], line["chosen_by"]) == (GOOD, "fidelity")
    found = {each["name"]: each for each in line["chosen_from"]}
    assert [each["name"] for each in line["chosen_from"]] == [GOOD, QUICK, LOST, PAUSED, SMALL]
    for name, each in several.workload.machines.items():
        if name in (GOOD, QUICK):
            record = compile_for_target(SPEC, each.target, device=name).record
            fidelity = record["gate_fidelity"] * record["readout_fidelity"]
            assert found[name]["fidelity"] == pytest.approx(fidelity)
            seconds = 2 * 2 + 0.00035 * (N_IMAGES + 8) * SHOTS
            assert found[name]["seconds"] == pytest.approx(seconds)
            assert found[name]["seconds"] == pytest.approx(line["qpu_seconds"])
        else:
            assert "fidelity" not in found[name]
    assert found[GOOD]["pending_jobs"] == 12
    assert "has 3 qubits, the layer 4 wires" in found[SMALL]["reason"]
    assert "paused" in found[PAUSED]["reason"]
    assert "no usable calibration" in found[LOST]["reason"]
    (row,) = (line for line in err.splitlines() if line.split()[:2] == ["→", GOOD])
    assert row.split()[2:] == ["5", "12", "active", "1", f"{found[GOOD]['fidelity']:.3f}", "5.8"]
    assert f"{GOOD} is chosen: the highest expected fidelity of this layer" in err
    assert f"not {PAUSED}: " in err
    assert not several.jobs


def test_the_run_is_the_chosen_machines_from_then_on(
    qhc: Qhc, trained: Path, several: LoopbackServer
) -> None:
    """The queue has grown when the run goes on: it goes on where it began."""
    several.workload.hold(State.QUEUED)
    more = ("--prefer", "queue", "--yes", "--no-wait", "--out", "a")
    code, _, err = qhc(*sent(trained, *more, backend="ibm"))
    assert code == 0, err
    (job,) = several.jobs
    assert job.machine == QUICK
    folder = RunFolder.open(Path("a"))
    assert folder.config().run.backend == QUICK
    recorded = folder.provenance
    assert recorded.chosen_by == "queue"
    assert [each.name for each in recorded.chosen_from][:2] == [QUICK, GOOD]
    assert recorded.chosen_from[0].pending_jobs == 1
    assert any(note.startswith(f"{QUICK} is chosen") for note in folder.state.notes)
    several.workload.machines[QUICK].others_waiting = 500
    several.workload.release()
    code, _, err = qhc("resume", "a")
    assert code == 0, err
    assert len(several.jobs) == 1
    assert f"among {QUICK}: expected fidelity" in write_report([Path("a")]).read_text()

    code, out, err = qhc("rerun", "a", "--backend", "ibm", "--yes", "--out", "b", "--json")
    assert code == 0, err
    assert (last_line(out)["backend"], several.jobs[-1].machine) == (GOOD, GOOD)


@pytest.mark.parametrize(
    ("prefer", "best"), [("fidelity", GOOD), ("queue", QUICK), ("seconds", GOOD)]
)
def test_a_layer_chooses_by_itself(several: LoopbackServer, prefer: Any, best: str) -> None:
    """Seconds are alike on all of them: then fidelity decides."""
    options = ExecutionOptions(prefer=prefer)
    choice = choose_machine(vendor_of("ibm"), SPEC, machine=options)
    assert choice.chosen.name == best
    assert ("are alike in that" in choice.sentence) == (prefer == "seconds")
    layer = QuantumLayer(SPEC, "ibm", machine=options, seed=0)
    assert layer.backend.name == best
    layer.to_backend("aer").to_backend("ibm", machine=options)
    assert layer.backend.name == best
    assert not several.jobs


def test_a_backend_alone_has_no_layer_to_choose_for(several: LoopbackServer) -> None:
    with pytest.raises(OptionError, match=r"get_backend\('ibm', layer=spec\)"):
        get_backend("ibm")
    assert get_backend("ibm", layer=SPEC).name == GOOD


def test_no_machine_at_all_is_told_one_by_one() -> None:
    machines = [machine(SMALL, n_qubits=3), machine(PAUSED, status=MachineStatus.PAUSED)]
    with served(machines), pytest.raises(MachineError) as raised:
        get_backend("ibm", layer=SPEC)
    words = str(raised.value)
    assert f"{SMALL}: has 3 qubits" in words
    assert f"{PAUSED}: takes no jobs: paused" in words
    assert "--backend fake_fez" in words


def test_the_only_one_needs_no_comparison() -> None:
    with served([machine(GOOD), machine(SMALL, n_qubits=3)]):
        choice = choose_machine(vendor_of("ibm"), SPEC)
    assert choice.sentence.endswith("the only one of the account that can be taken")
