"""How a machine is asked to execute: the options by name, and which of them go together."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..circuits.copying import Copying
from ..errors import OptionError, suggest
from .patience import POLL_SECONDS

Primitive = Literal["sampler", "estimator"]
Generation = Literal["server", "client"]
Mode = Literal["auto", "job", "batch", "session"]
Decoupling = Literal["XX", "XpXm", "XY4"]
Preference = Literal["fidelity", "queue", "seconds"]
Mitigation = Literal["none", "m3", "tensored", "trex"]
Copies = Literal["auto"] | int
Border = Literal[0, 1]

CORRECTED_HERE: tuple[Mitigation, ...] = ("m3", "tensored")
"""By circuits that calibrate: the same counts can be read with each of them, and with none."""

SWITCH = ""
"""What a flag takes that is there or not."""

ABOVE_ZERO = math.nextafter(0.0, 1.0)
"""The least number that is above 0."""


def _said(
    words: str = "",
    takes: str = "NAME",
    *,
    least: float | None = None,
    is_physical: bool = False,
    is_later: bool = False,
) -> dict[str, Any]:
    """All that is to be said of an option beside its name, its type and its default.

    Args:
        words: of its flag's help, `{}` for the default; an option without words has no flag.
        takes: what the flag's help calls its value.
        least: of a finite number, or `ABOVE_ZERO`; a vendor may have a most.
        is_physical: whether a result depends on it; the others say how to wait and what to spend.
        is_later: whether there are ledgers from before there was this option: requests that do
            without it keep the identity that they have there.
    """
    return {
        "words": words,
        "takes": takes,
        "least": least,
        "is_physical": is_physical,
        "is_later": is_later,
    }


@dataclass(frozen=True)
class ExecutionOptions:
    """How a machine is asked to execute.

    The one statement of these options: the recipe's [machine] section, the command's flags and a
    request's identity follow from it. What a vendor's machines do not have, its `check` refuses.

    Raises:
        OptionError: a value out of range, or one that the chosen primitive does not have.
    """

    primitive: Primitive = field(
        default="sampler", metadata=_said("sampler or estimator.  [default: {}]", is_physical=True)
    )
    """Sampler executes a circuit per row and basis, Estimator takes the observables as they are."""
    generation: Generation = field(
        default="server",
        metadata=_said(
            "Runtime's primitives of the server or of the client.  [default: {}]",
            is_physical=True,
        ),
    )
    """Who processes what the primitives are asked for."""
    mode: Mode = field(
        default="auto", metadata=_said("auto, job, batch or session.  [default: {}]")
    )
    """auto is job mode for one job and a batch for several."""
    copies: Copies = field(
        default="auto",
        metadata=_said(
            "Copies of the layer side by side on the chip: as many as fit, or N.  [default: {}]",
            "auto|N",
            least=1,
        ),
    )
    """Of the layer, side by side on the chip: so many rows one execution answers; auto is as many
    as fit."""
    border: Border = field(
        default=1,
        metadata=_said("Idle qubits between two copies, 0 or 1.  [default: {}]", "N"),
    )
    """Idle qubits on every way from one copy to another."""
    fidelity_within: float = field(
        default=0.1,
        metadata=_said(
            "Share by which a copy's reported fidelity may be below the best one's.  [default: {}]",
            "X",
            least=0,
        ),
    )
    """Share by which a copy's reported fidelity, gates times readout, may be below the best
    one's."""
    precision: float | None = field(
        default=None,
        metadata=_said(
            "Standard error for the Estimator to reach, in place of --shots.",
            "X",
            least=ABOVE_ZERO,
            is_physical=True,
        ),
    )
    """Standard error for the Estimator to reach, in place of shots."""
    fractional_gates: bool = field(
        default=False,
        metadata=_said(
            "Use fractional gates, RX and RZZ by any angle, where they shorten the layer.",
            SWITCH,
            is_physical=True,
            is_later=True,
        ),
    )
    """What IBM's Heron processors have beside their fixed gates."""
    dynamical_decoupling: Decoupling | None = field(
        default=None, metadata=_said("On idle qubits: XX, XpXm or XY4.", is_physical=True)
    )
    """Pulses on idle qubits that cancel to nothing, and slow drifts with them."""
    gate_twirling: bool = field(
        default=False, metadata=_said("Twirl two-qubit gates.", SWITCH, is_physical=True)
    )
    """Random Paulis around two-qubit gates, which make coherent errors random ones."""
    measurement_twirling: bool = field(
        default=False, metadata=_said("Twirl measurements.", SWITCH, is_physical=True)
    )
    """Random flips before readout."""
    readout_mitigation: Mitigation = field(
        default="none",
        metadata=_said("m3 or tensored for the Sampler, trex for the Estimator.", is_physical=True),
    )
    """m3 and tensored correct the Sampler's counts here, trex is the Estimator's own."""
    zne: tuple[float, ...] = field(
        default=(),
        metadata=_said(
            "Noise factors of zero-noise extrapolation, for example 1,3,5; Estimator.",
            "LIST",
            is_physical=True,
        ),
    )
    """Noise factors of the Estimator's zero-noise extrapolation, by a line; empty for none."""
    rep_delay: float | None = field(
        default=None,
        metadata=_said(
            "Seconds between the shots, for example 0.0001.  [default: the machine's]",
            "S",
            least=0,
            is_physical=True,
            is_later=True,
        ),
    )
    """Seconds from a measurement to the next shot, in which the qubits relax; the machine's own
    where it is not given."""
    prefer: Preference = field(
        default="fidelity",
        metadata=_said(
            "With --backend ibm, what decides among the account's machines: fidelity, queue or "
            "seconds.  [default: {}]"
        ),
    )
    """By what the best machine of an account is chosen, where none is named."""
    max_execution_time: int | None = field(
        default=None,
        metadata=_said(
            "Seconds of QPU time after which a job is stopped.  [default: by its estimate and "
            "the budget]",
            "S",
            least=1,
        ),
    )
    """Seconds of QPU time after which a job is stopped; where it is not given they follow from its
    estimate and the budget, see `budget.time_limit`."""
    max_qpu_seconds: float = field(
        default=60.0,
        metadata=_said(
            "Budget of QPU time for the whole run.  [default: {}]", "S", least=ABOVE_ZERO
        ),
    )
    """Budget of QPU time for the whole run: more is refused before jobs are sent, by the estimate,
    and stopped by the service after."""
    deadline: float | None = field(
        default=None, metadata=_said("Seconds to wait for results.", "S", least=ABOVE_ZERO)
    )
    """Seconds to wait for results; for ever where it is not given."""
    poll: tuple[float, float] = field(default=POLL_SECONDS, metadata=_said())
    """Shortest and longest pause between two looks at a job, seconds."""

    def __post_init__(self) -> None:
        _check_ranges(self)
        if self.primitive == "sampler":
            _check_sampler(self)
        else:
            _check_estimator(self)

    def physical(self) -> dict[str, Any]:
        """Those that a result depends on; without later ones that are left as they are."""
        values = {each: getattr(self, each.name) for each in fields(self)}
        return {
            each.name: value
            for each, value in values.items()
            if each.metadata["is_physical"]
            and not (each.metadata["is_later"] and value == each.default)
        }

    @property
    def copying(self) -> Copying:
        """How many copies of a layer, and where.

        No part of what is physical: a compiled layer has its copies, or stands alone.
        """
        return Copying(self.copies, self.border, self.fidelity_within)

    @property
    def calibrates(self) -> bool:
        """Whether each job carries two circuits more, by which the readout is corrected here."""
        return self.readout_mitigation in CORRECTED_HERE


def _check_ranges(options: ExecutionOptions) -> None:
    types = get_type_hints(ExecutionOptions)
    for each in fields(ExecutionOptions):
        value = getattr(options, each.name)
        if value is None and type(None) not in get_args(types[each.name]):
            raise OptionError(f"{each.name} takes a value, got None: leave it out for its default")
        if value is not None and not _is_count(value, types[each.name]):
            _check_choice(each.name, value, types[each.name])
        if value is not None and not isinstance(value, str):
            _check_least(each.name, value, each.metadata["least"])
    if options.zne and (len(set(options.zne)) < 2 or min(options.zne) < 1):
        raise OptionError(
            f"zne takes at least two different noise factors of at least 1, got {options.zne}; "
            "for example 1, 3, 5"
        )
    if not options.fidelity_within < 1:
        raise OptionError(f"fidelity_within must be below 1, got {options.fidelity_within!r}")
    shortest, longest = options.poll
    if not 0 <= shortest <= longest < math.inf:
        raise OptionError(f"poll must be two rising numbers of seconds, got {options.poll}")


def _is_count(value: object, kind: Any) -> bool:
    """Whether a whole number is what the type takes beside words."""
    return int in get_args(kind) and isinstance(value, int) and not isinstance(value, bool)


def _check_choice(name: str, value: object, kind: Any) -> None:
    """Raise `OptionError` for a value that is none of a `Literal`'s, alone or beside None."""
    literals = [kind, *get_args(kind)]
    choices = next((get_args(each) for each in literals if get_origin(each) is Literal), None)
    if choices is not None and value not in choices:
        raise OptionError(
            f"unknown {name} '{value}': {suggest(str(value), list(map(str, choices)))}"
        )


def _check_least(name: str, value: float, least: float | None) -> None:
    if least is not None and not (math.isfinite(value) and value >= least):
        bound = "a number above 0" if least == ABOVE_ZERO else f"at least {least:g}"
        raise OptionError(f"{name} must be {bound}, got {value!r}")


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
