"""How a machine is asked to execute: the options by name, and which of them go together."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..errors import OptionError, suggest

Primitive = Literal["sampler", "estimator"]
Generation = Literal["server", "client"]
Mode = Literal["auto", "job", "batch", "session"]
Decoupling = Literal["XX", "XpXm", "XY4"]
Mitigation = Literal["none", "m3", "tensored", "trex"]

MAX_EXECUTION_SECONDS = 10_800
"""The longest time that a job may ask for.

https://quantum.cloud.ibm.com/docs/guides/max-execution-time
"""

_CHOICES: dict[str, Any] = {
    "primitive": Primitive,
    "generation": Generation,
    "mode": Mode,
    "dynamical_decoupling": Decoupling,
    "readout_mitigation": Mitigation,
}


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
        zne: noise factors of zero-noise extrapolation, linear; empty for none; Estimator only.
        max_execution_time: seconds of QPU time after which a job is stopped, at most 10800.
        max_qpu_seconds: budget of all jobs of a run, by the estimate before they are sent.
        deadline: seconds to wait for results before giving up waiting, None for ever.
        poll: shortest and longest pause between two looks at a job, seconds.

    Raises:
        OptionError: a value out of range, or one that the chosen primitive does not have.
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

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in get_args(choices):
                raise OptionError(
                    f"unknown {name} '{value}': {suggest(str(value), get_args(choices))}"
                )
        _check_ranges(self)
        if self.primitive == "sampler":
            _check_sampler(self)
        else:
            _check_estimator(self)

    @property
    def calibrates(self) -> bool:
        """Whether each job carries two circuits more, by which the readout is corrected here."""
        return self.readout_mitigation in ("m3", "tensored")


def check_local(options: ExecutionOptions) -> None:
    """Raise `OptionError` for what Runtime's local testing mode would silently leave out.

    It executes what it is given: what the client's generation works into the circuits is there,
    what the service would do with them is not.
    https://quantum.cloud.ibm.com/docs/guides/local-testing-mode
    """
    if options.generation == "server":
        for name, chosen in (
            ("dynamical_decoupling", options.dynamical_decoupling is not None),
            ("gate_twirling", options.gate_twirling),
            ("measurement_twirling", options.measurement_twirling),
            ("zne", bool(options.zne)),
            ("readout_mitigation=trex", options.readout_mitigation == "trex"),
        ):
            if chosen:
                raise OptionError(
                    f"a fake device has no {name} with server-side primitives, because IBM's "
                    "service would do it: add --set machine.generation=client"
                )
    elif options.calibrates and options.gate_twirling and not options.measurement_twirling:
        # The client's simulator loses the randomisations of a circuit that they leave as it is.
        raise OptionError(
            "a fake device cannot twirl the gates of a job that calibrates the readout, unless "
            "measurements are twirled too: add --set machine.measurement_twirling=true"
        )


def _check_ranges(options: ExecutionOptions) -> None:
    for name in ("precision", "max_qpu_seconds", "deadline"):
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise OptionError(f"{name} must be a number above 0, got {value!r}")
    seconds = options.max_execution_time
    if seconds is not None and not 1 <= seconds <= MAX_EXECUTION_SECONDS:
        raise OptionError(
            f"max_execution_time must be 1 to {MAX_EXECUTION_SECONDS} seconds, got {seconds!r}"
        )
    if options.zne and (len(set(options.zne)) < 2 or min(options.zne) < 1):
        raise OptionError(
            f"zne takes at least two different noise factors of at least 1, got {options.zne}; "
            "for example 1, 3, 5"
        )
    shortest, longest = options.poll
    if not 0 <= shortest <= longest < math.inf:
        raise OptionError(f"poll must be two rising numbers of seconds, got {options.poll}")


def _check_sampler(options: ExecutionOptions) -> None:
    if options.precision is not None:
        raise OptionError("the Sampler takes shots, not a precision; the Estimator takes either")
    if options.zne:
        raise OptionError(
            "the Sampler has no zne: take --set machine.primitive=estimator, or the Sampler's "
            "readout mitigation and twirling"
        )
    _check_mitigation(options, ("none", "m3", "tensored"))


def _check_estimator(options: ExecutionOptions) -> None:
    _check_mitigation(options, ("none", "trex"))


def _check_mitigation(options: ExecutionOptions, available: Collection[str]) -> None:
    if options.readout_mitigation not in available:
        raise OptionError(
            f"the {options.primitive} has no readout mitigation '{options.readout_mitigation}', "
            f"it has {', '.join(available)}"
        )
