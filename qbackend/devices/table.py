"""The devices that a noise model can be had of, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from qiskit.transpiler import Target

from ..circuits.device_form import Preparation, compile_for_target
from ..errors import OptionError
from ..layers.program import Layer
from ..seam.device import Device
from .snapshots import list_snapshots, load_snapshot


@dataclass(frozen=True)
class CompiledCost:
    """What a layer takes on a device.

    Attributes:
        two_qubit_gates: how many.
        two_qubit_depth: how many one after the other.
        duration: of the circuit, seconds.
        fidelity: product of the reported fidelities of its gates and readouts.
    """

    two_qubit_gates: int
    two_qubit_depth: int
    duration: float
    fidelity: float


@dataclass(frozen=True)
class DeviceInfo:
    """A device's line in the table; an error is None where the device reports none.

    Attributes:
        name: as `get_backend` takes it behind `aer:`.
        n_qubits: how many it has.
        two_qubit_gate: the native one, "none" on a single qubit.
        one_qubit_error: of a quarter turn (sx, or u2 on older devices), median over the qubits.
        two_qubit_error: median over the calibrated pairs.
        readout_error: median over the qubits.
        calibrated_at: date of the values.
        remark: what their source says of them, if anything.
        cost: of the layer asked about; None without one, or where it does not fit.
    """

    name: str
    n_qubits: int
    two_qubit_gate: str
    one_qubit_error: float | None
    two_qubit_error: float | None
    readout_error: float | None
    calibrated_at: datetime | None
    remark: str
    cost: CompiledCost | None


def device_table(
    spec: Layer | None = None,
    *,
    names: Sequence[str] | None = None,
    preparation: Preparation = "auto",
) -> list[DeviceInfo]:
    """The devices of these names, by default all that have a snapshot, and what `spec` costs there.

    Compiling for a large device takes seconds: name the devices where time matters.

    Raises:
        UnknownNameError: no such device or preparation; the message suggests.
    """
    devices = (load_snapshot(name) for name in (list_snapshots() if names is None else names))
    return [describe(device, spec, preparation=preparation) for device in devices]


def describe(
    device: Device, spec: Layer | None, *, preparation: Preparation = "auto"
) -> DeviceInfo:
    """One device's line."""
    target = device.target
    two_qubit_gate = native_two_qubit_gate(target)
    return DeviceInfo(
        name=device.name,
        n_qubits=target.num_qubits or 0,
        two_qubit_gate=two_qubit_gate or "none",
        one_qubit_error=_median_error(target, "sx" if "sx" in target.operation_names else "u2"),
        two_qubit_error=_median_error(target, two_qubit_gate),
        readout_error=_median_error(target, "measure"),
        calibrated_at=device.calibrated_at,
        remark=device.remark,
        cost=None if spec is None else _cost(spec, device, preparation),
    )


def _cost(spec: Layer, device: Device, preparation: Preparation) -> CompiledCost | None:
    try:
        compiled = compile_for_target(
            spec, device.target, device=device.name, preparation=preparation
        )
    except OptionError:
        # Too few qubits, or too few of them calibrated: the table says so by leaving it out.
        return None
    record = compiled.record
    return CompiledCost(
        two_qubit_gates=record["two_qubit_gates"],
        two_qubit_depth=record["two_qubit_depth"],
        duration=record["duration"],
        fidelity=record["gate_fidelity"] * record["readout_fidelity"],
    )


def native_two_qubit_gate(target: Target) -> str | None:
    """The gate on two qubits that takes no angle; where there are several, the commonest."""
    fixed = [
        name
        for name in target.operation_names
        if getattr(target.operation_from_name(name), "num_qubits", 0) == 2
        and not target.operation_from_name(name).params
    ]
    return max(fixed, key=lambda name: len(target[name]), default=None)


def _median_error(target: Target, name: str | None) -> float | None:
    """Over where it is calibrated: IBM reports an error of 1 for a gate that is not."""
    if name is None or name not in target.operation_names:
        return None
    errors = [getattr(values, "error", None) for values in target[name].values()]
    calibrated = [error for error in errors if error is not None and error < 1]
    return median(calibrated) if calibrated else None
