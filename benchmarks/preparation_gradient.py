"""How well derivatives by features predict what a layer under a device's noise does.

    python benchmarks/preparation_gradient.py

For features from a softmax, at random logits of several scales, and random steps in the logits of
several sizes: the error of the predicted change of a random combination of outputs, relative to the
change itself, root mean square over rows. Derivatives: the exact one (by central differences) and
the one of the averaged preparation noise; see `qbackend/gradients/noisy_preparation.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import click
import numpy as np

from qbackend import LayerSpec, get_backend
from qbackend.gradients.noisy_preparation import PreparationAverage, averaged_gradient
from qbackend.layers.inputs import Array
from qbackend.seam.requests import Request

SCALES = (0.01, 0.1, 1.0, 3.0, 6.0)
STEPS = (0.001, 0.03, 0.1, 0.3)
ROWS = 200
DIFFERENCE = 1e-7
"""Relative to the features' norm; below where the angles of a degenerate row settle again."""


def softmax(logits: Array) -> Array:
    """Row by row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def by_logits(features: Array, gradient: Array) -> Array:
    """The gradient by the logits of a softmax, from that by its outputs."""
    return features * (gradient - np.sum(features * gradient, axis=1, keepdims=True))


def exact_gradient(outputs: Callable[[Array], Array], features: Array) -> Array:
    """By central differences, (B, F)."""
    sizes = DIFFERENCE * np.linalg.norm(features, axis=1)
    slopes = [
        (outputs(features + sizes[:, None] * unit) - outputs(features - sizes[:, None] * unit))
        / (2 * sizes)
        for unit in np.eye(features.shape[1])
    ]
    return np.stack(slopes, axis=1)


def compare(device: str, preparation: str, spec: LayerSpec) -> None:
    """Print a table for one preparation."""
    rng = np.random.default_rng(0)
    weights = rng.uniform(0, 2 * np.pi, spec.n_weights)
    cotangent = rng.normal(size=(ROWS, spec.n_outputs))
    backend = get_backend(f"native:{device}", preparation=preparation)
    compiled = backend.compile(spec)

    def values(features: Array) -> Array:
        return backend.evaluate(Request(compiled, compiled.rows(features, weights))).values

    def outputs(features: Array) -> Array:
        return np.sum(values(features) * cotangent, axis=1)

    average = PreparationAverage.over(spec.n_wires)
    forms = average.fit(values(average.states))
    heads = "".join(f"   step {step:<5g} exact averaged" for step in STEPS)
    click.echo(f"{preparation}\n{'scale':>8s}{'cosine':>9s}{heads}")
    for scale in SCALES:
        logits = scale * rng.normal(size=(ROWS, spec.n_features))
        features = softmax(logits)
        exact = by_logits(features, exact_gradient(outputs, features))
        averaged = by_logits(features, averaged_gradient(features, forms, cotangent))
        norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(averaged, axis=1)
        line = f"{scale:8g}{np.median(np.sum(exact * averaged, axis=1) / norms):9.4f}"
        for size in STEPS:
            step = size * rng.normal(size=logits.shape)
            change = (outputs(softmax(logits + step)) - outputs(softmax(logits - step))) / 2
            errors = [
                np.linalg.norm(np.sum(gradient * step, axis=1) - change) / np.linalg.norm(change)
                for gradient in (exact, averaged)
            ]
            line += f"{errors[0]:19.3f}{errors[1]:9.3f}"
        click.echo(line)


@click.command(help=__doc__)
@click.option("--device", default="fake_brisbane")
@click.option("--wires", default=4)
def main(device: str, wires: int) -> None:
    """Print a table for each preparation."""
    for preparation in ("compact", "textbook"):
        compare(device, preparation, LayerSpec(wires))


if __name__ == "__main__":
    main()
