"""Calibrations of IBM devices that qiskit-ibm-runtime ships.

https://quantum.cloud.ibm.com/docs/api/qiskit-ibm-runtime/fake-provider
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from functools import cache
from typing import Any

from qiskit.circuit import Parameter
from qiskit.circuit.library import RXGate, RZZGate
from qiskit.transpiler import Target
from qiskit_ibm_runtime import fake_provider
from qiskit_ibm_runtime.fake_provider.fake_backend import FakeBackendV2

from ..circuits.fractional import has_fractional_gates
from ..errors import OptionError, UnknownNameError, suggest
from ..seam.device import Device, RepDelay

WITH_FRACTIONAL_GATES = "Heron"
"""IBM's family of processors that has them."""


def list_snapshots() -> tuple[str, ...]:
    """Names of all devices with a snapshot, `fake_...`, sorted."""
    return tuple(sorted(_classes()))


def load_snapshot(name: str, *, fractional_gates: bool = False) -> Device:
    """The snapshot of device `ibm_NAME` or `fake_NAME`.

    With `fractional_gates` it has RX and RZZ, as its service would report them: the snapshots are
    without, and the service gives them the errors and durations of SX and CZ.
    https://quantum.cloud.ibm.com/docs/guides/fractional-gates

    Raises:
        UnknownNameError: no such snapshot; the message suggests near names.
        OptionError: a processor without fractional gates.
    """
    classes = _classes()
    family = name.partition("_")[0]
    snapshot = "fake_" + name.removeprefix("ibm_").removeprefix("fake_")
    if family not in ("ibm", "fake") or snapshot not in classes:
        known = [known.replace("fake_", "ibm_") if family == "ibm" else known for known in classes]
        raise UnknownNameError(f"no snapshot of device '{name}': {suggest(name, known)}")
    backend, remark = _load(snapshot)
    properties = backend.properties()
    target = backend.target
    if fractional_gates and not has_fractional_gates(target):
        if _family(backend) != WITH_FRACTIONAL_GATES:
            raise no_fractional_gates(name)
        target = _with_fractional_gates(target)
        remark = "; ".join(filter(None, (remark, "errors of RX and RZZ are those of SX and CZ")))
    return Device(
        name=name,
        target=target,
        source="snapshot",
        calibrated_at=properties.last_update_date if properties else None,
        remark=remark,
        rep_delay=reported_rep_delay(backend.configuration()),
    )


def reported_rep_delay(configuration: Any) -> RepDelay | None:
    """What a device's configuration, of the client's classes, says of the time between shots."""
    default = getattr(configuration, "default_rep_delay", None)
    if default is None:
        return None
    can_choose = getattr(configuration, "dynamic_reprate_enabled", False)
    known = getattr(configuration, "rep_delay_range", None) if can_choose else None
    return RepDelay(default, *(known or ()))


def no_fractional_gates(name: str) -> OptionError:
    """The error for a device without them."""
    return OptionError(
        f"'{name}' has no fractional gates, which IBM's {WITH_FRACTIONAL_GATES} processors have: "
        "leave --fractional-gates out, or choose another device (qhc backends lists them)"
    )


def _family(backend: FakeBackendV2) -> str:
    kind = getattr(backend.configuration(), "processor_type", None) or {}
    return str(kind.get("family", ""))


def _with_fractional_gates(target: Target) -> Target:
    """The same target with RX as SX and RZZ as CZ."""
    extended = deepcopy(target)
    for gate, like in ((RXGate, "sx"), (RZZGate, "cz")):
        extended.add_instruction(gate(Parameter("theta")), dict(target[like]))
    return extended


@cache
def _load(snapshot: str) -> tuple[FakeBackendV2, str]:
    """The snapshot's backend, and what the library remarks on it, which it does only once."""
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always", UserWarning)
        backend = _classes()[snapshot]()
        _ = backend.target
    told = (str(remark.message) for remark in remarks if remark.category is UserWarning)
    return backend, "; ".join(told)


@cache
def _classes() -> dict[str, type[FakeBackendV2]]:
    kinds = (value for value in vars(fake_provider).values() if isinstance(value, type))
    named = {getattr(kind, "backend_name", None): kind for kind in kinds}
    return {name: kind for name, kind in named.items() if name and issubclass(kind, FakeBackendV2)}
