"""The best of an account's machines for a layer: all of them side by side, and the chosen one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..circuits.device_form import Preparation
from ..errors import MachineError, OptionError, PlanError
from ..layers.program import Layer
from ..seam.requests import CompiledLayer, Request
from .backend import MachineBackend, say_nothing
from .gateway import Gateway, Progress
from .options import ExecutionOptions, Preference
from .service import MachineInfo, Service
from .vendor import Vendor


@dataclass(frozen=True)
class Candidate:
    """One of the account's machines.

    Attributes:
        name: of the machine.
        n_qubits: that it has.
        pending_jobs: that wait there.
        status: in the service's words.
        copies: of the layer, side by side; None where it was not compiled.
        fidelity: expected of the layer by today's calibration, the mean of its copies; likewise.
        seconds: of QPU time that the rows take there.
        calibrated_at: ISO 8601.
        reason: why it cannot be taken; empty where it can.
    """

    name: str
    n_qubits: int
    pending_jobs: int
    status: str
    copies: int | None = None
    fidelity: float | None = None
    seconds: float | None = None
    calibrated_at: str | None = None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """What is known of it, for JSON and TOML."""
        return {key: value for key, value in asdict(self).items() if value not in (None, "")}


@dataclass(frozen=True)
class Choice:
    """An account's machines for a layer.

    Attributes:
        candidates: the best first, those that cannot be taken last.
        prefer: by what it is the best.
    """

    candidates: tuple[Candidate, ...]
    prefer: Preference

    @property
    def chosen(self) -> Candidate:
        """The best."""
        return self.candidates[0]

    @property
    def sentence(self) -> str:
        """Which one, and why."""
        best = self.chosen
        able = [each for each in self.candidates if not each.reason]
        if len(able) == 1:
            return f"{best.name} is chosen: it is the only one of the account that can be taken"
        among = f"of {len(able)} machines"
        if self.prefer == "queue":
            why = f"the fewest jobs wait there, {best.pending_jobs:,}, {among}"
        elif self.prefer == "seconds":
            why = f"it takes the least QPU time, {best.seconds:,.1f} s, {among}"
        else:
            why = f"the highest expected fidelity of this layer, {best.fidelity:.3f}, {among}"
        ties = [each for each in able if _rank(each, self.prefer)[0] == _rank(best, self.prefer)[0]]
        if len(ties) > 1:
            why += f"; {len(ties)} are alike in that, and of those it is the best in the rest"
        return f"{best.name} is chosen: {why}"


def choose_machine(
    vendor: Vendor,
    layer: Layer,
    *,
    rows: Sequence[int] = (1,),
    machine: ExecutionOptions | None = None,
    credentials: Path | None = None,
    profile: str | None = None,
    progress: Callable[[Progress], None] = say_nothing,
    service: Service | None = None,
    shots: int | None = None,
    preparation: Preparation = "auto",
    **unused: Any,
) -> Choice:
    """The best machine of an account of a vendor's for a layer; nothing is sent.

    Args:
        vendor: whose account it is.
        layer: to be executed.
        rows: of each request whose seconds are estimated.
        machine: how to execute; its `prefer` says what decides.
        credentials, profile, progress, service, shots, preparation: as `MachineBackend` takes them.
        unused: what else a machine's backend takes, which only an execution has a use for.

    Raises:
        CredentialsError: no account.
        MachineError: none of its machines can be taken; the message says why, one by one.
        QhcError: the service does not answer.
    """
    options = machine or ExecutionOptions()
    account: dict[str, Any] = {"credentials": credentials, "profile": profile, "service": service}

    def tell(words: str) -> None:
        progress(Progress(0, 0, words))

    def connect() -> Service:
        return service or vendor.connect(credentials, profile, is_local=False)

    def backend_of(name: str) -> MachineBackend:
        # Each has a connection of its own: one that has settled on an instance sees no other's.
        return MachineBackend(
            name,
            vendor,
            shots=shots,
            options=options,
            preparation=preparation,
            progress=progress,
            **account,
        )

    gateway = Gateway(connect, meanings=vendor.meaning, tell=tell, deadline=options.deadline)
    machines = gateway.ask(lambda service: service.machines())
    return best_of(layer, machines, backend_of, prefer=options.prefer, rows=rows)


def best_of(
    layer: Layer,
    machines: Sequence[MachineInfo],
    backend_of: Callable[[str], MachineBackend],
    *,
    prefer: Preference,
    rows: Sequence[int],
) -> Choice:
    """The best of these machines for requests of a layer; nothing is sent.

    Args:
        layer: to be executed.
        machines: of the account.
        backend_of: makes the backend of a machine's name.
        prefer: what decides; the others decide between machines that are alike in it.
        rows: of each request whose seconds are estimated.

    Raises:
        MachineError: none of them can be taken; the message says why, one by one.
        QhcError: the service does not answer.
    """
    found = [_candidate(layer, each, backend_of, rows) for each in machines]
    able = sorted((c for c in found if not c.reason), key=lambda c: _rank(c, prefer))
    unable = sorted((c for c in found if c.reason), key=lambda c: c.name)
    if not able:
        reasons = [f"\n  - {each.name}: {each.reason}" for each in unable]
        raise MachineError(
            "the account has no machine that this layer could be executed on now; to wait for one "
            "of them, name it; to rehearse without: --backend fake_fez" + "".join(reasons)
        )
    return Choice((*able, *unable), prefer)


def expected_fidelity(compiled: CompiledLayer) -> float:
    """The product of the reported fidelities of gates and readouts; of copies their mean."""
    places = [copy.record for copy in compiled.copies] or [compiled.record]
    return float(np.mean([each["gate_fidelity"] * each["readout_fidelity"] for each in places]))


def _candidate(
    layer: Layer,
    machine: MachineInfo,
    backend_of: Callable[[str], MachineBackend],
    rows: Sequence[int],
) -> Candidate:
    known: dict[str, Any] = {
        "name": machine.name,
        "n_qubits": machine.n_qubits,
        "pending_jobs": machine.pending_jobs,
        "status": machine.status,
    }
    if not machine.operational:
        return Candidate(**known, reason=f"takes no jobs: {machine.status}")
    if machine.n_qubits < layer.n_wires:
        reason = f"has {machine.n_qubits} qubits, the layer {layer.n_wires} wires"
        return Candidate(**known, reason=reason)
    backend = backend_of(machine.name)
    try:
        compiled = backend.compile(layer)
        seconds = sum(_seconds(backend, compiled, n_rows) for n_rows in rows)
    except (MachineError, OptionError, PlanError) as error:
        return Candidate(**known, reason=str(error))
    finally:
        backend.close()
    return Candidate(
        **known,
        copies=max(1, len(compiled.copies)),
        fidelity=expected_fidelity(compiled),
        seconds=seconds,
        calibrated_at=compiled.record["calibrated_at"],
    )


def _seconds(backend: MachineBackend, compiled: CompiledLayer, n_rows: int) -> float:
    """Of QPU time, of one request."""
    asked = np.zeros((n_rows, len(compiled.parameters)))
    return backend.estimate(Request(compiled, asked, shots=backend.shots)).qpu_seconds


def _rank(candidate: Candidate, prefer: Preference) -> tuple[float, float, float, str]:
    """The smallest is the best."""
    assert candidate.fidelity is not None
    assert candidate.seconds is not None
    fidelity, queue = -candidate.fidelity, float(candidate.pending_jobs)
    seconds = candidate.seconds
    ranks = {
        "fidelity": (fidelity, queue, seconds),
        "queue": (queue, fidelity, seconds),
        "seconds": (seconds, fidelity, queue),
    }
    return (*ranks[prefer], candidate.name)
