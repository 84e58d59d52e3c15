"""How a machine is asked to execute: the options by name, and which of them go together."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, fields
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

SWITCH = ""
"""What a flag takes that is there or not."""

_CHOICES: dict[str, Any] = {
    "primitive": Primitive,
    "generation": Generation,
    "mode": Mode,
    "dynamical_decoupling": Decoupling,
    "readout_mitigation": Mitigation,
}


def _said(words: str, takes: str = "NAME", *, is_physical: bool = False) -> dict[str, Any]:
    """What an option's flag says, what value that takes, and whether a result depends on it.

    The options that are not physical say how to wait, and what to spend.
    """
    return {"words": words, "takes": takes, "is_physical": is_physical}


@dataclass(frozen=True)
class ExecutionOptions:
    """How a machine is asked to execute.

    The one statement of these options: the recipe's [machine] section, the command's flags and a
    request's identity follow from it.

    Attributes:
        primitive: Sampler gives every Z observable from one circuit per row, Estimator any
            observable.
        generation: of Runtime's primitives: processed on the "server" or by the "client".
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
        mode: "auto" is job mode for one job and a batch for several.
        poll: shortest and longest pause between two looks at a job, seconds.

    Raises:
        OptionError: a value out of range, or one that the chosen primitive does not have.
    """

    primitive: Primitive = field(
        default="sampler",
        metadata=_said("sampler or estimator.  [default: sampler]", is_physical=True),
    )
    generation: Generation = field(
        default="server",
        metadata=_said(
            "Runtime's primitives of the server or of the client.  [default: server]",
            is_physical=True,
        ),
    )
    mode: Mode = field(
        default="auto", metadata=_said("auto, job, batch or session.  [default: auto]")
    )
    precision: float | None = field(
        default=None,
        metadata=_said(
            "Standard error for the Estimator to reach, in place of --shots.",
            "X",
            is_physical=True,
        ),
    )
    dynamical_decoupling: Decoupling | None = field(
        default=None, metadata=_said("On idle qubits: XX, XpXm or XY4.", is_physical=True)
    )
    gate_twirling: bool = field(
        default=False, metadata=_said("Twirl two-qubit gates.", SWITCH, is_physical=True)
    )
    measurement_twirling: bool = field(
        default=False, metadata=_said("Twirl measurements.", SWITCH, is_physical=True)
    )
    readout_mitigation: Mitigation = field(
        default="none",
        metadata=_said("m3 or tensored for the Sampler, trex for the Estimator.", is_physical=True),
    )
    zne: tuple[float, ...] = field(
        default=(),
        metadata=_said(
            "Noise factors of zero-noise extrapolation, for example 1,3,5; Estimator.",
            "LIST",
            is_physical=True,
        ),
    )
    max_execution_time: int | None = field(
        default=None, metadata=_said("Seconds of QPU time after which a job is stopped.", "S")
    )
    max_qpu_seconds: float = field(
        default=60.0, metadata=_said("Budget of QPU time for the whole run.  [default: 60]", "S")
    )
    deadline: float | None = field(
        default=None, metadata=_said("Seconds to wait for results.", "S")
    )
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

    def physical(self) -> dict[str, Any]:
        """Those that a result depends on."""
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.metadata.get("is_physical")
        }

    @property
    def calibrates(self) -> bool:
        """Whether each job carries two circuits more, by which the readout is corrected here."""
        return self.readout_mitigation in ("m3", "tensored")


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
