"""The recipe's [machine] section."""

from __future__ import annotations

from pydantic import model_validator

from qbackend.ibm.options import (
    Decoupling,
    ExecutionOptions,
    Generation,
    Mitigation,
    Mode,
    Primitive,
)

from .section import Section

_DEFAULTS = ExecutionOptions()


class MachineSection(Section):
    """How a machine is asked to execute; a simulator has no use for it.

    The values and what goes with what are those of `qbackend.ibm.options.ExecutionOptions`.
    """

    primitive: Primitive = _DEFAULTS.primitive
    """Sampler gives every Z observable from one circuit per row, Estimator any observable."""
    generation: Generation = _DEFAULTS.generation
    """Runtime's primitives of the server or of the client."""
    mode: Mode = _DEFAULTS.mode
    """auto is job mode for one job and a batch for several."""
    precision: float | None = _DEFAULTS.precision
    """Target standard error of the Estimator, in place of shots."""
    dynamical_decoupling: Decoupling | None = _DEFAULTS.dynamical_decoupling
    """Sequence on idle qubits."""
    gate_twirling: bool = _DEFAULTS.gate_twirling
    measurement_twirling: bool = _DEFAULTS.measurement_twirling
    readout_mitigation: Mitigation = _DEFAULTS.readout_mitigation
    """m3 and tensored for the Sampler, trex for the Estimator."""
    zne: tuple[float, ...] = _DEFAULTS.zne
    """Noise factors of zero-noise extrapolation; Estimator only."""
    max_execution_time: int | None = _DEFAULTS.max_execution_time
    """Seconds of QPU time after which a job is stopped."""
    max_qpu_seconds: float = _DEFAULTS.max_qpu_seconds
    """Budget of all jobs of the run, by the estimate before they are sent."""
    deadline: float | None = _DEFAULTS.deadline
    """Seconds to wait for results before giving up waiting."""
    poll: tuple[float, float] = _DEFAULTS.poll
    """Shortest and longest pause between two looks at a job, seconds."""

    @model_validator(mode="after")
    def _go_together(self) -> MachineSection:
        self.options()
        return self

    def options(self) -> ExecutionOptions:
        """For the backend."""
        return ExecutionOptions(**self.model_dump())
