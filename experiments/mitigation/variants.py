"""The ways to mitigate errors that are compared, and the requests that answer them.

Variants that read the same counts are one request: without correction, by either readout
mitigation, and by a map that is fitted on training images. What changes the circuit or the
primitive is a request of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np

from qbackend.errors import OptionError
from qbackend.machines.backend import MachineBackend
from qbackend.machines.options import CORRECTED_HERE, ExecutionOptions
from qbackend.seam.requests import CompiledLayer, Request

from ..config.run import MitigationVariant
from ..config.sections import Config

RAW = "raw"
"""Nothing is mitigated: what the others are compared with."""

UNMITIGATED: dict[str, Any] = {
    "primitive": "sampler",
    "precision": None,
    "dynamical_decoupling": None,
    "gate_twirling": False,
    "measurement_twirling": False,
    "readout_mitigation": "none",
    "zne": (),
}
"""The options of an execution that the comparison chooses."""

OF_THE_CIRCUIT: dict[MitigationVariant, dict[str, Any]] = {
    "decoupling": {"dynamical_decoupling": "XX"},
    "twirling": {"gate_twirling": True, "measurement_twirling": True},
    "trex": {"primitive": "estimator", "readout_mitigation": "trex"},
    "zne": {"primitive": "estimator", "zne": (1.0, 3.0, 5.0)},
}
"""Those that execute something else than raw, each with the service's own defaults: the sequence
and the noise factors are Runtime's.

https://quantum.cloud.ibm.com/docs/api/qiskit-ibm-runtime/options-dynamical-decoupling-options
https://quantum.cloud.ibm.com/docs/api/qiskit-ibm-runtime/options-zne-options
"""

NAMES: tuple[str, ...] = (RAW, *get_args(MitigationVariant))
"""In the order of every table."""


@dataclass(frozen=True)
class Question:
    """One request to the machine.

    Attributes:
        options: that it is executed with.
        variants: that its answer is read as; the first is read as it is.
        calibrates: whether it has rows of training images, to fit a map on.
    """

    options: ExecutionOptions
    variants: tuple[str, ...]
    calibrates: bool = False

    def n_rows(self, n_test: int, n_training: int, compiled: CompiledLayer) -> int:
        """Rows of so many images; on a layer in copies each of them calibrates with all."""
        return n_test + self.calibrates * n_training * max(1, len(compiled.copies))

    def alone(self, variant: str) -> Question:
        """What would be asked if one of the variants were wanted, and no other."""
        corrected = variant if variant in CORRECTED_HERE else "none"
        if self.variants[0] == RAW:
            options = replace(self.options, readout_mitigation=corrected)
            return Question(options, (variant,), calibrates=variant == "calibrated")
        return self

    def seed(self, seed: int) -> int:
        """Of a simulator's sampling: no two requests share their random numbers."""
        drawn = np.random.SeedSequence([seed, NAMES.index(self.variants[0])])
        return int(drawn.generate_state(1)[0] >> 1)


@dataclass(frozen=True)
class Questions:
    """All requests of a comparison, in order, and why a variant is not among them."""

    asked: tuple[Question, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


def questions(config: Config, target: MachineBackend) -> Questions:
    """The fewest requests that answer the config's variants on a machine.

    What the service's own primitives cannot do on a machine, the client's generation does.
    """
    base = replace(config.machine, **UNMITIGATED)
    wanted = config.run.mitigations or ()
    chosen = [name for name in get_args(MitigationVariant) if name in wanted]
    asked: list[Question] = []
    left_out: dict[str, str] = {}
    read: list[str] = [RAW]
    for name in chosen:
        if name == "calibrated":
            read.append(name)
            continue
        changed = OF_THE_CIRCUIT.get(name, {"readout_mitigation": name})
        found = _possible(replace(base, **changed), target)
        if isinstance(found, str):
            left_out[name] = found
        elif name in CORRECTED_HERE:
            read.append(name)
        else:
            asked.append(Question(found, (name,)))
    if any(name in CORRECTED_HERE for name in read):
        # The same circuits calibrate for both.
        base = replace(base, readout_mitigation=next(n for n in CORRECTED_HERE[::-1] if n in read))
    first = Question(base, tuple(read), calibrates="calibrated" in read)
    return Questions((first, *asked), left_out)


def zero_rows(
    asked: Sequence[Question],
    compiled: CompiledLayer,
    n_test: int,
    n_training: int,
    shots: int | None,
) -> list[Request]:
    """Requests with as many rows as the questions have, for their costs."""
    n_rows = [question.n_rows(n_test, n_training, compiled) for question in asked]
    rows = (np.zeros((each, len(compiled.parameters))) for each in n_rows)
    return [Request(compiled, each, shots=shots, together=tuple(n_rows)) for each in rows]


def _possible(options: ExecutionOptions, target: MachineBackend) -> ExecutionOptions | str:
    """The options as the machine can have them, or why it cannot."""
    try:
        target.asking(options)
    except OptionError as error:
        by_client = replace(options, generation="client")
        try:
            target.asking(by_client)
        except OptionError:
            return str(error)
        return by_client
    return options
