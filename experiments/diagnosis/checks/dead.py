"""Weights that change nothing, features that nothing depends on, outputs that nobody reads.

A derivative is analytic in weights and features: one that is zero at random points is zero.

Letters: N rows, F features, W weights, M outputs.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from qbackend.layers.program import Layer

from ..derivatives import MOST_WIRES, cotangents, product_states, pulled, random_weights
from ..findings import Finding, Outcome, skipped
from ..parts import Part
from ..subject import Subject
from ..watch import as_it_was, watched

ROWS = 16
ROUNDING = 1e-12
"""Of a derivative in float64 that is zero, times the largest."""


def look(subject: Subject) -> Outcome:
    """Derivatives at random weights and states, and the loss's by the outputs."""
    findings, words, known = [], [], set()
    for part in subject.called_parts:
        layer = part.spec
        if layer is None or layer.n_wires > MOST_WIRES or layer.key in known:
            continue
        known.add(layer.key)
        generator = subject.generator()
        found = pulled(
            layer,
            product_states(ROWS, layer, generator),
            random_weights(ROWS, layer, generator),
            cotangents(ROWS, layer, generator),
        )
        weights, features = _zero(found.by_weights), _zero(found.by_features)
        findings += [*_weights(part, layer, weights), *_features(part, features)]
        words.append(
            f"'{part.name}': {layer.n_weights - len(weights)} of {layer.n_weights} weights and "
            f"{layer.n_features - len(features)} of {layer.n_features} features count"
        )
    findings += _outputs(subject)
    if not subject.called_parts:
        return skipped("no quantum layer")
    return Outcome("; ".join(words) or "circuits too wide to look at", tuple(findings))


def _zero(derivatives: Tensor) -> list[int]:
    """Columns of (N, W) in which there is nothing but rounding."""
    largest = derivatives.abs().amax(dim=0)
    if not largest.numel():
        return []
    return (largest <= ROUNDING * max(1.0, largest.max().item())).nonzero().flatten().tolist()


def _weights(part: Part, layer: Layer, dead: list[int]) -> Iterator[Finding]:
    if not dead:
        return
    listed = ", ".join(map(str, dead[:8])) + (", …" if len(dead) > 8 else "")
    many = f" in each of {len(part.layers)} circuits" if len(part.layers) > 1 else ""
    yield Finding(
        "defect" if len(dead) == layer.n_weights else "warning",
        f"{len(dead)} of {layer.n_weights} weights of '{part.name}' change nothing",
        (
            f"numbers {listed}{many}: the derivative of every output is 0 to rounding "
            f"({ROUNDING:.0e}) at {ROWS} random weights and states",
        ),
        "gates behind which nothing but what commutes with them is measured (RZ before Z), or "
        "that no observable sees: leave them out, or measure otherwise",
    )


def _features(part: Part, dead: list[int]) -> Iterator[Finding]:
    if dead:
        yield Finding(
            "warning",
            f"nothing depends on {len(dead)} features of '{part.name}'",
            (
                f"numbers {', '.join(map(str, dead[:8]))}: the derivative of every output is 0 to "
                f"rounding ({ROUNDING:.0e}) at {ROWS} random weights and states",
            ),
            "an observable that sees their wires, or entanglement that brings them there",
        )


def _outputs(subject: Subject) -> Iterator[Finding]:
    parts = subject.called_parts
    inputs = subject.batches()[0]
    with as_it_was(subject.model, training=True, seed=subject.seed):
        seen = watched(subject.model, parts, inputs)
        loss = subject.loss_of(seen.output)
        if loss.requires_grad:
            loss.backward()
        gradients = {part.name: seen.outputs[part.name].grad for part in parts}
    for part in parts:
        gradient = gradients[part.name]
        # Where there is none at all, that is for the check of gradients to say.
        if gradient is None or not gradient.any():
            continue
        by_output = part.answers(gradient).abs().amax(dim=0)
        unread = (by_output == 0).nonzero().flatten().tolist()
        if unread:
            yield Finding(
                "warning",
                f"nobody reads {len(unread)} of {len(by_output)} outputs of '{part.name}'",
                (
                    f"numbers {', '.join(map(str, unread[:8]))}: the loss's gradient by them is "
                    f"exactly 0 over {len(inputs)} samples",
                ),
                "give the next layer as many inputs as the circuit has outputs, or measure fewer",
            )
