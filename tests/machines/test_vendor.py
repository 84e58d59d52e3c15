"""A vendor of another package's: found by its entry point, sold by its own formula and results."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from qiskit.primitives import StatevectorEstimator

from qbackend import LayerSpec, get_backend, list_backends, registry
from qbackend.errors import ApprovalError, BackendError, OptionError, SendingInterruptedError
from qbackend.layers.inputs import Array
from qbackend.machines.backend import MachineBackend
from qbackend.machines.cost import MachineCost
from qbackend.machines.ledger.ledger import Ledger
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.service import Call, Meaning, PlanInfo, Service
from qbackend.registry import parse_name
from qbackend.seam.device import Device
from qbackend.seam.requests import CompiledLayer
from tests.support.command_line import Qhc, last_line

from .fakes import SHOTS, FakeService, Fault, Time, ask

MACHINE = "acme_one"
HASTE = ("--set", "machine.poll=[0.02, 0.05]")
SECONDS_PER_ROW = 0.25
MOST_ROWS = 2
FULL = "come back later"


class AcmeService(FakeService):
    """Jobs that compute exactly, and say so in Acme's own words."""

    def __init__(self) -> None:
        super().__init__()
        self.machine_names = [MACHINE]
        self.executed = _computed


class Acme:
    """Sells rows by the piece, two in a job, and nothing but plain samplers."""

    name = "Acme"
    prefixes = ("acme_",)
    local_prefixes = ()
    choice = "acme"
    forms = (("acme_NAME", "that machine of Acme's"),)
    longest_job = math.inf

    def __init__(self) -> None:
        self.service = AcmeService()

    def check(self, options: ExecutionOptions, *, is_local: bool) -> None:
        if options.primitive != "sampler":
            raise OptionError("Acme's machines have no Estimator")

    def account(self, credentials: Path | None, profile: str | None) -> str | None:
        return "the test"

    def connect(
        self,
        credentials: Path | None,
        profile: str | None,
        *,
        is_local: bool,
        fractional_gates: bool = False,
    ) -> Service:
        return self.service

    def calibrated(self, machine: str) -> Device | None:
        return None

    def meaning(self, words: str) -> Meaning | None:
        return Meaning.QUEUE_FULL if words == FULL else None

    def pack(
        self, n_rows: int, shots: int, options: ExecutionOptions, compiled: CompiledLayer
    ) -> list[range]:
        return [
            range(first, min(first + MOST_ROWS, n_rows)) for first in range(0, n_rows, MOST_ROWS)
        ]

    def performed(self, shots: int, options: ExecutionOptions) -> int:
        return shots

    def estimate(
        self,
        compiled: CompiledLayer,
        n_rows: int,
        shots: int,
        options: ExecutionOptions,
        *,
        plan: PlanInfo | None = None,
    ) -> MachineCost:
        seconds = SECONDS_PER_ROW * n_rows
        return MachineCost(
            rows=n_rows, circuits=n_rows, jobs=1, shots=n_rows * shots, qpu_seconds=seconds,
            basis="by Acme's list", machine_seconds=seconds,
        )  # fmt: skip

    def decode(self, raw: bytes, call: Call) -> tuple[Array, Array]:
        values = np.array(json.loads(raw)["acme"])
        return values, np.zeros_like(values)


def _computed(call: Call) -> bytes:
    compiled = call.compiled
    column = {parameter: index for index, parameter in enumerate(compiled.parameters)}
    rows = call.parameters[:, [column[each] for each in compiled.circuit.parameters]]
    observables = [[observable] for observable in compiled.observables]
    result = StatevectorEstimator().run([(compiled.circuit, observables, rows)]).result()
    return json.dumps({"acme": np.atleast_2d(result[0].data.evs).T.tolist()}).encode()


ACME = Acme()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[AcmeService]:
    """Of Acme's, whose package is installed meanwhile."""
    entry = EntryPoint("acme", f"{__name__}:ACME", registry.VENDORS)
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [entry] if group == entry.group else []
    )
    registry.vendors.cache_clear()
    ACME.service = AcmeService()
    yield ACME.service
    monkeypatch.undo()
    registry.vendors.cache_clear()


def backend_of(ledger: Path | None = None, **options: object) -> MachineBackend:
    options.setdefault("approve", lambda cost: True)
    backend = get_backend(MACHINE, shots=SHOTS, ledger=ledger, **options)
    assert isinstance(backend, MachineBackend)
    return backend


def test_its_names_are_machines(service: AcmeService) -> None:
    assert parse_name(MACHINE).is_machine
    assert not parse_name(MACHINE).is_fake
    assert "acme_NAME" in {backend.name for backend in list_backends()}
    with pytest.raises(OptionError, match="no Estimator"):
        backend_of(machine=ExecutionOptions("estimator"))


def test_its_best_machine_is_chosen_for_a_layer(
    service: AcmeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machines that are alike are taken by name; a package of before has no name for the best."""
    service.machine_names = ["acme_two", MACHINE]
    assert parse_name("acme").is_choice
    assert get_backend("acme", layer=LayerSpec(2)).name == MACHINE
    monkeypatch.delattr(Acme, "choice")
    assert not parse_name("acme").is_machine
    assert parse_name(MACHINE).is_machine


def test_nobody_else_sells_them() -> None:
    assert not parse_name(MACHINE).is_machine


def test_a_layer_is_planned_sold_and_answered(service: AcmeService, tmp_path: Path) -> None:
    shown: list[MachineCost] = []
    backend = backend_of(tmp_path / "jobs.sqlite", approve=lambda cost: not shown.append(cost))
    request = ask(backend, 5)
    result = backend.evaluate(request)
    aer = get_backend("aer")
    by_aer = aer.evaluate(replace(ask(aer, 5), shots=None))
    np.testing.assert_allclose(result.values, by_aer.values, atol=1e-10)
    assert [cost.qpu_seconds for cost in shown] == [5 * SECONDS_PER_ROW]
    assert (len(service.jobs), len(result.job_ids)) == (3, 3)
    # The same request again is answered from the ledger.
    backend_of(tmp_path / "jobs.sqlite").evaluate(request)
    assert len(service.jobs) == 3


def test_nothing_is_sent_without_a_yes(service: AcmeService) -> None:
    backend = backend_of(approve=lambda cost: False)
    with pytest.raises(ApprovalError):
        backend.evaluate(ask(backend))
    assert service.jobs == []


def test_what_it_accepted_unseen_is_found_by_its_tag(service: AcmeService, tmp_path: Path) -> None:
    service.faults.append(Fault("start", KeyboardInterrupt(), after=True))
    path = tmp_path / "jobs.sqlite"
    first = backend_of(path)
    request = ask(first, 2)
    with pytest.raises(SendingInterruptedError):
        first.submit(request)
    first.close()
    assert len(service.jobs) == 1
    again = backend_of(path)
    again.evaluate(request)
    assert len(service.jobs) == 1
    again.close()
    entries = Ledger.existing(path).entries()
    assert [entry.job_id for entry in entries] == [service.jobs[0].id]


def test_its_service_is_understood_by_its_own_words(service: AcmeService) -> None:
    """What does not fit into its queue waits here, and is sent once there is room."""
    service.faults.append(Fault("start", BackendError(FULL), first=2))
    backend = MachineBackend(
        MACHINE, ACME, shots=SHOTS, approve=lambda cost: True, clock=Time().clock
    )
    assert len(backend.evaluate(ask(backend, 4)).job_ids) == len(service.jobs) == 2
    service.faults.append(Fault("start", BackendError("no such circuit")))
    with pytest.raises(BackendError, match="no such circuit"):
        backend.evaluate(ask(backend, 6))


def test_a_trained_model_is_validated_on_its_machine(service: AcmeService, qhc: Qhc) -> None:
    few = ("--epochs", "1", "--train-limit", "64", "--limit", "4", "--json")
    code, out, err = qhc("run", *few, "--out", "made")
    assert code == 0, err
    loss = last_line(out)["loss"]
    given = ("--checkpoint", "made", "--backend", MACHINE, "--limit", "4", *HASTE)
    code, out, err = qhc("estimate", *given, "--json")
    assert code == 0, err
    assert last_line(out)["qpu_seconds"] == 4 * SECONDS_PER_ROW
    code, out, err = qhc("run", *given, "--yes", "--out", "sold", "--json")
    assert code == 0, err
    assert last_line(out)["loss"] == pytest.approx(loss, abs=1e-6)
    assert len(service.jobs) == 2
    code, out, _ = qhc("jobs", "sold", "--json")
    assert [job["state"] for job in last_line(out)["jobs"]] == ["done", "done"]
    code, out, _ = qhc("backends", "--device", "fake_manila")
    assert "acme_NAME" in out
    assert "machines (credentials from the test; plan premium" in out
