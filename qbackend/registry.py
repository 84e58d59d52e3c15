"""Backend names and what they stand for.

A name is `KEY` or `KEY:ARGUMENT`. Third parties add keys through the entry-point group
`qbackend.backends`: each entry names a `BackendFactory`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol

from .base import QuantumBackend, check_shots
from .errors import OptionError, UnknownNameError, suggest

ENTRY_POINT_GROUP = "qbackend.backends"


class BackendFactory(Protocol):
    """Makes a backend from the part of its name after the colon."""

    def __call__(
        self, argument: str | None, *, shots: int | None, seed: int | None
    ) -> QuantumBackend:
        """The backend; `argument` is None for a name without a colon."""


@dataclass(frozen=True)
class BackendInfo:
    """A line of `qhc backends`: how the name is written, and what it stands for."""

    name: str
    summary: str


def get_backend(name: str, *, shots: int | None = None, seed: int | None = None) -> QuantumBackend:
    """The backend of that name.

    Args:
        name: see `list_backends`.
        shots: per row, where the backend samples.
        seed: of the sampling, for requests that bring none.

    Raises:
        UnknownNameError: no such backend; the message suggests.
        OptionError: shots out of range, or on a backend that cannot sample.
    """
    check_shots(shots)
    key, _, argument = name.partition(":")
    factories = _factories()
    if key not in factories:
        raise UnknownNameError(
            f"unknown backend '{name}': {suggest(key, factories)} (qhc backends lists them)"
        )
    return factories[key]()(argument or None, shots=shots, seed=seed)


def list_backends() -> list[BackendInfo]:
    """Our own backends, then those of other packages."""
    own = [
        BackendInfo("aer", "Qiskit Aer, exact expectations; --shots N samples"),
        BackendInfo("native", "our own batched simulator, exact, on CPU and CUDA"),
        BackendInfo("qiskit:MODULE:OBJECT", "any Qiskit BackendV2, through BackendEstimatorV2"),
    ]
    others = [
        BackendInfo(entry.name, f"from {entry.value}")
        for entry in entry_points(group=ENTRY_POINT_GROUP)
    ]
    return own + others


def _factories() -> dict[str, Callable[[], BackendFactory]]:
    """How to load the factory of each key; loading is what imports the backend's library."""
    others = {entry.name: entry.load for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return {**others, "aer": lambda: _aer, "native": lambda: _native, "qiskit": lambda: _qiskit}


def _aer(argument: str | None, *, shots: int | None, seed: int | None) -> QuantumBackend:
    from .aer import AerExact, AerSampled

    if argument is not None:
        raise OptionError(f"'aer' takes no device, got 'aer:{argument}'; use --backend aer")
    return AerExact() if shots is None else AerSampled(shots, seed)


def _native(argument: str | None, *, shots: int | None, seed: int | None) -> QuantumBackend:
    from .simulate import NativeBackend

    if argument is not None:
        raise OptionError(f"'native' takes no device, got 'native:{argument}'")
    if shots is not None:
        raise OptionError("'native' is exact and takes no shots; use --backend aer --shots N")
    return NativeBackend()


def _qiskit(argument: str | None, *, shots: int | None, seed: int | None) -> QuantumBackend:
    from .generic import QiskitBackend

    if argument is None:
        raise OptionError(
            "'qiskit' needs a module and an object, for example "
            "qiskit:qiskit.providers.basic_provider:BasicSimulator"
        )
    return QiskitBackend(argument, shots=shots, seed=seed)
