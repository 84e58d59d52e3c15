"""How a machine is asked to execute: the options by name, and which of them go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Primitive = Literal["sampler", "estimator"]
Generation = Literal["server", "client"]
Mode = Literal["auto", "job", "batch", "session"]
Decoupling = Literal["XX", "XpXm", "XY4"]
Mitigation = Literal["none", "m3", "tensored", "trex"]


@dataclass(frozen=True)
class ExecutionOptions:
    """What a recipe's [machine] section and the command's flags say of an execution.

    Attributes:
        primitive: Sampler gives every Z observable from one circuit per row.
        generation: of Runtime's primitives: processed on the "server" or by the "client".
        mode: "auto" is job mode for one job and a batch for several.
        precision: target standard error of the Estimator, in place of shots.
        dynamical_decoupling: the sequence on idle qubits, None for none.
        gate_twirling: Pauli twirling of the two-qubit gates.
        measurement_twirling: random flips before readout.
        readout_mitigation: "m3" and "tensored" correct the Sampler's counts here, "trex" is the
            Estimator's own.
        zne: noise factors of zero-noise extrapolation, empty for none; Estimator only.
        max_execution_time: seconds of QPU time after which a job is stopped, at most 10800.
        max_qpu_seconds: budget of all jobs of a run, by the estimate before they are sent.
        deadline: seconds to wait for results before giving up waiting, None for ever.
        poll: shortest and longest pause between two looks at a job, seconds.
    """

    primitive: Primitive = "sampler"
    generation: Generation = "server"
    mode: Mode = "auto"
    precision: float | None = None
    dynamical_decoupling: Decoupling | None = None
    gate_twirling: bool = False
    measurement_twirling: bool = False
    readout_mitigation: Mitigation = "none"
    zne: tuple[float, ...] = ()
    max_execution_time: int | None = None
    max_qpu_seconds: float = 60.0
    deadline: float | None = None
    poll: tuple[float, float] = (5.0, 30.0)
