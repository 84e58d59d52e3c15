"""A layer compiled for a machine as it is calibrated now, with what a run has to know of that."""

from __future__ import annotations

from dataclasses import asdict, replace

from ..circuits.copied import with_copies
from ..circuits.device_form import Preparation, compile_for_target
from ..layers.program import Layer
from ..seam.device import Device
from ..seam.requests import CompiledLayer
from .options import ExecutionOptions


def compile_for_machine(
    spec: Layer, device: Device, name: str, preparation: Preparation, options: ExecutionOptions
) -> CompiledLayer:
    """The layer on the machine's best qubits, with its copies.

    Raises:
        OptionError: too many wires or copies, or a gate that the machine has no calibration for.
    """
    target, at = device.target, device.calibrated_at
    compiled = compile_for_target(spec, target, device=name, preparation=preparation)
    compiled = with_copies(compiled, target, options.copying)
    record = {**compiled.record, "calibrated_at": None if at is None else at.isoformat()}
    record |= {} if device.rep_delay is None else {"rep_delay": asdict(device.rep_delay)}
    return replace(compiled, record=record)
