"""Barren plateaus: gradients by weights that vanish with the number of wires.

Letters: N rows, W weights, Q wires.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from qbackend import LayerSpec
from qbackend.layers.program import Layer

from ..derivatives import (
    MOST_WIRES,
    one_output_each,
    product_states,
    pulled,
    random_weights,
    rms,
)
from ..findings import Finding, Outcome, skipped
from ..parts import Part, spread_out
from ..subject import Subject

ROWS = 128
ROWS_OF_CIRCUIT = 32
"""Of a circuit of the user's own, whose rows are gone through one by one."""
WIDTHS = (4, 6, 8)
SHOTS = 1024
"""What a machine takes of a circuit where nothing else is said."""
ERRORS = 5
"""Standard errors that a verdict keeps away from its limit."""


@dataclass(frozen=True)
class Variance:
    """Of the derivative of an output by a weight, over random weights and product states.

    Attributes:
        value: mean over weights and outputs.
        error: standard error of that.
    """

    value: float
    error: float

    @property
    def size(self) -> float:
        """Root of the variance: how large a derivative is."""
        return math.sqrt(self.value)

    @property
    def largest(self) -> float:
        """The same as large as it may be by its standard errors."""
        return math.sqrt(self.value + ERRORS * self.error)


def look(subject: Subject) -> Outcome:
    """The variance against the floor of shots, over the data, and against the number of wires."""
    findings, words, known = [], [], set()
    for part in subject.called_parts:
        layer = part.spec
        if layer is None or layer.key in known or layer.n_weights == 0:
            continue
        known.add(layer.key)
        if layer.n_wires > MOST_WIRES:
            words.append(f"'{part.name}': {layer.n_wires} wires are too many to look at")
            continue
        own = variance(layer, subject.seed)
        trend = _trend(layer, subject.seed)
        words.append(
            f"gradients of {own.size:.3f} at {layer.n_wires} wires, observables on "
            f"{_locality(layer)} of them"
            + ("" if trend is None else f", times {2 ** (trend[0] / 2):.2f} for each wire more")
        )
        shots = subject.shots or SHOTS
        if own.largest < 1 / math.sqrt(2 * shots):
            findings.append(_found(subject, part, layer, own, trend))
    if not words:
        return skipped("no quantum layer with weights")
    return Outcome("; ".join(words), tuple(findings))


@lru_cache(maxsize=32)
def variance(layer: Layer, seed: int) -> Variance:
    """Over weights uniform in [0, 2π) and product states, one output for each of N rows."""
    generator = torch.Generator().manual_seed(seed)
    count = ROWS if isinstance(layer, LayerSpec) else ROWS_OF_CIRCUIT
    squares = (
        pulled(
            layer,
            product_states(count, layer, generator),
            random_weights(count, layer, generator),
            one_output_each(count, layer, generator),
        )
        .by_weights.square()
        .mean(dim=1)
    )
    return Variance(squares.mean().item(), squares.std().item() / math.sqrt(count))


def _trend(layer: Layer, seed: int) -> tuple[float, float] | None:
    """Bits of variance that a wire more adds, below zero, and the standard error of that.

    Of layers like this one with 4, 6 and 8 wires; None for a circuit of the user's own, of which
    there is one width.
    """
    if not isinstance(layer, LayerSpec):
        return None
    found = [variance(_of_width(layer, n), seed) for n in WIDTHS]
    if min(each.value for each in found) == 0:
        return None
    bits = torch.tensor([math.log2(each.value) for each in found], dtype=torch.float64)
    errors = torch.tensor([each.error / each.value / math.log(2) for each in found]).double()
    apart = torch.tensor(WIDTHS, dtype=torch.float64) - sum(WIDTHS) / len(WIDTHS)
    weight = apart / apart.square().sum()
    return float(weight @ bits), float((weight * errors).norm())


def _of_width(layer: LayerSpec, n_wires: int) -> LayerSpec:
    """The same layer on another number of wires, its observables as local or as global."""
    locality = _locality(layer)
    widest = n_wires if locality == layer.n_wires and layer.n_wires > 1 else min(locality, n_wires)
    if widest == 1:
        return replace(layer, n_wires=n_wires, observables=())
    return replace(layer, n_wires=n_wires, observables=("Z" * widest + "I" * (n_wires - widest),))


def _locality(layer: Layer) -> int:
    """On how many wires the widest observable acts."""
    if isinstance(layer, LayerSpec):
        return max(layer.n_wires - each.count("I") for each in layer.observables)
    terms = [term for each in layer.program().observables for term in each.to_sparse_list()]
    return max((len(qubits) for _, qubits, _ in terms), default=0)


def _found(
    subject: Subject,
    part: Part,
    layer: Layer,
    own: Variance,
    trend: tuple[float, float] | None,
) -> Finding:
    shots, locality = subject.shots or SHOTS, _locality(layer)
    kind = "global" if locality == layer.n_wires > 1 else "local"
    evidence = [
        f"a derivative by a weight is {own.size:.1e} (root of the variance over random weights and "
        f"product states, {own.largest:.1e} at most by {ERRORS} standard errors); {shots} shots "
        f"leave an error of {1 / math.sqrt(2 * shots):.1e} in it",
        f"observables act on up to {locality} of {layer.n_wires} wires ({kind})",
        f"over the data, at the weights as they are: {_over_data(subject, part, layer):.1e}",
    ]
    vanishes = trend is not None and trend[0] + 2 * trend[1] < -0.5
    if trend is not None:
        evidence.insert(
            1,
            f"with 4, 6 and 8 wires the variance changes by a factor {2 ** trend[0]:.2f} a wire "
            f"({trend[0]:.2f} ± {trend[1]:.2f} bits; a random circuit's halves, 1 does not vanish)",
        )
    return Finding(
        "warning" if vanishes or subject.shots else "note",
        f"a plateau: gradients of '{part.name}' drown in the noise of {shots} shots",
        tuple(evidence),
        "fewer wires or layers, observables on single wires, or initial weights near zero; "
        f"{math.ceil(1 / (2 * own.value)) if own.value else 'no number of':,} shots would make "
        "noise and derivative equal"
        if own.value
        else "no derivative at all: see the check 'dead'",
    )


def _over_data(subject: Subject, part: Part, layer: Layer) -> float:
    count = ROWS if isinstance(layer, LayerSpec) else ROWS_OF_CIRCUIT
    rows = spread_out(part.rows(subject.evaluated.features[part.name]), count)
    chosen = one_output_each(len(rows), layer, subject.generator())
    return rms(pulled(layer, rows, part.weight(), chosen).by_weights)
