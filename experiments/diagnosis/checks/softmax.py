"""Softmax in front of amplitude encoding: states that all lie near the uniform one.

The uniform superposition is what RX turns and CNOTs leave alone: of it such a circuit's outputs are
0 whatever its weights, and so are its gradients by them.
"""

from __future__ import annotations

import math

import torch

from qbackend.layers.program import Layer

from ..derivatives import MOST_WIRES, cotangents, product_states, pulled, rms
from ..findings import Finding, Outcome, skipped
from ..parts import Part, spread_out
from ..subject import Subject

ROWS = 64
NEAR = 0.5
"""Squared overlap beyond which a state has more in common with the uniform one than with all
others together."""


def look(subject: Subject) -> Outcome:
    """How near the states are, and what gradients by weights that leaves."""
    parts = [part for part in subject.called_parts if part.is_amplitude]
    if not parts:
        return skipped("no quantum layer with amplitude encoding")
    findings: list[Finding] = []
    seen = "no softmax in front of amplitude encoding"
    for part in parts:
        rows = part.rows(subject.evaluated.features[part.name]).double()
        lengths = rows.norm(dim=1)
        overlaps = rows.sum(dim=1).square() / (rows.shape[1] * lengths.square().clamp_min(1e-300))
        if not _is_softmax(subject, part, rows):
            continue
        assert part.spec is not None
        findings.append(_found(subject, part, part.spec, rows, overlaps))
        seen = f"states overlap with the uniform one by {overlaps.mean():.3f}"
    return Outcome(seen, tuple(findings))


def _is_softmax(subject: Subject, part: Part, rows: torch.Tensor) -> bool:
    if subject.evaluated.activations[part.name].name == "SoftmaxBackward0":
        return True
    limit = math.sqrt(torch.finfo(torch.float32).eps)
    return bool((rows > 0).all()) and bool(((rows.sum(dim=1) - 1).abs() < limit).all())


def _found(
    subject: Subject, part: Part, layer: Layer, rows: torch.Tensor, overlaps: torch.Tensor
) -> Finding:
    overlap, spread = overlaps.mean().item(), overlaps.std().item()
    n_features = rows.shape[1]
    evidence = [
        f"squared overlap of the states with the uniform one: {overlap:.4f} ± {spread:.4f} over "
        f"{len(rows)} rows; 1 is the uniform state itself, a state without preference has "
        f"{1 / n_features:.4f}",
    ]
    outputs = part.answers(subject.evaluated.outputs[part.name]).double()
    evidence.append(
        f"outputs differ from image to image by {outputs.std(dim=0).mean():.4f} (standard "
        "deviation; their range is -1 to 1)"
    )
    if layer.n_weights and layer.n_wires <= MOST_WIRES:
        generator, weight = subject.generator(), part.weight()
        chosen = spread_out(rows, ROWS)
        ones = torch.ones(1, n_features, dtype=torch.float64)
        elsewhere = product_states(ROWS, layer, generator)
        here, there, uniform = (
            rms(pulled(layer, states, weight, cotangents(len(states), layer, generator)).by_weights)
            for states in (chosen, elsewhere, ones)
        )
        evidence.append(
            f"gradient by weights (RMS, of one image): {here:.2e} at these states, {there:.2e} at "
            f"product states, {uniform:.0e} at the uniform one"
        )
    near = overlap > NEAR
    return Finding(
        "warning" if near else "note",
        f"softmax in front of the amplitude encoding of '{part.name}': "
        + ("all states are nearly the uniform one" if near else "amplitudes are positive"),
        tuple(evidence),
        "leave softmax out, or take tanh: amplitudes may have either sign, and the encoding "
        "normalises by itself; encoding='angle' is the other way",
    )
