"""From a Qiskit backend, or a class or factory of one, to what executes layers on it."""

from __future__ import annotations

from typing import Any

from qiskit.providers import BackendV2

from ..aer.exact import AerExact
from ..aer.own_noise import AerOwnNoise, check_model, compile_to_model, has_noise, width
from ..errors import OptionError
from ..layers.program import Layer
from ..seam.backend import Capabilities, QuantumBackend, check_width
from ..seam.requests import CompiledLayer
from ..seam.simulators import simulator_capabilities
from .finding import find, made
from .sampled import QiskitBackend


class SimulatorSampled(QiskitBackend):
    """Runs on an `AerSimulator` with a noise model, to whose gates layers are compiled.

    See `QiskitBackend` for the arguments. Raises `OptionError` for a model of which Aer would apply
    a part only.
    """

    def __init__(self, device: BackendV2, name: str, **options: Any) -> None:
        super().__init__(device, name, **options)
        check_model(device)

    @property
    def capabilities(self) -> Capabilities:
        return simulator_capabilities(exact=False, max_wires=width(self.device), noisy=True)

    def compile(self, spec: Layer) -> CompiledLayer:
        check_width(self, spec)
        return compile_to_model(spec, self.device)


def backend_of(given: Any, *, shots: int | None = None, seed: int | None = None) -> QuantumBackend:
    """What executes layers on a `BackendV2`, or on what a class or factory of one makes.

    An `AerSimulator` is exact unless `shots` are given: under its own noise model, or ideal.

    Raises:
        OptionError: none of these, a class that needs arguments, or a machine that is paid for.
    """
    name = getattr(given, "__name__", type(given).__name__)
    if isinstance(given, type) and _is_a(given, "qiskit_ibm_runtime", "IBMBackend"):
        raise _paid_for("ibm_fez")
    device = given if isinstance(given, BackendV2) else made(given, name)
    return _executing(device, name, None, shots, seed)


def backend_at(path: str, *, shots: int | None = None, seed: int | None = None) -> QuantumBackend:
    """The same for what `finding.find` finds at `MODULE:OBJECT`.

    Raises:
        UnknownNameError: no such module or object.
        OptionError: as above, or arguments that are no plain values.
    """
    return _executing(find(path), path, path, shots, seed)


def _executing(
    device: Any, source: str, path: str | None, shots: int | None, seed: int | None
) -> QuantumBackend:
    if isinstance(device, QuantumBackend):
        if shots is not None:
            raise OptionError("shots belong to the backend: give them where it is made")
        return device
    if not isinstance(device, BackendV2):
        raise OptionError(
            f"'{source}' is a {type(device).__name__}, not a Qiskit BackendV2; a backend is a name "
            "(qhc backends lists them), a BackendV2, or a class or function that returns one"
        )
    kind = type(device)
    if _is_a(kind, "qiskit_ibm_runtime", "IBMBackend"):
        raise _paid_for(device.name)
    name = f"{kind.__name__} {device.name}" if path is None else f"qiskit:{path}"
    if not _is_a(kind, "qiskit_aer", "AerBackend"):
        return QiskitBackend(device, name, path=path, shots=shots, seed=seed)
    if has_noise(device):
        name = name if path else f"{name} with its own noise"
        if shots is None:
            return AerOwnNoise(device, name)
        return SimulatorSampled(device, name, path=path, shots=shots, seed=seed)
    if shots is None:
        return AerExact()
    return QiskitBackend(device, name, path=path, shots=shots, seed=seed)


def _is_a(kind: type, package: str, name: str) -> bool:
    """Whether a class is another of that name, without importing where that is from."""
    return any(
        each.__name__ == name and each.__module__.partition(".")[0] == package
        for each in kind.__mro__
    )


def _paid_for(machine: str) -> OptionError:
    return OptionError(
        f"'{machine}' is a machine of IBM Quantum's, whose time is paid for: take it by its name, "
        f"backend='{machine}', which plans, asks for approval and keeps a ledger of its jobs"
    )
