"""What happens around the quantum layer, and in it: feature space, circuit."""

from __future__ import annotations

from typing import Any

from qbackend.circuits.logical import compile_layer
from qbackend.layers.spec import LayerSpec

from ...assembly.construct import model_plan
from ..circuit import DRAWN_LAYERS
from ..numbers import counted
from ..projection import pca, perplexity, subsample, tsne
from ..reading import Answers, Run
from ..render import Drawing, Part
from . import figures

FEWEST_POINTS = 10
"""A picture of fewer features would show nothing."""


def features(run: Run) -> Part | None:
    """What enters and what leaves the quantum layer, or the control in its place."""
    answers = run.answers()
    if answers is None or answers.features is None or run.headline is None:
        return None
    if len(answers.labels) < FEWEST_POINTS:
        return None
    names = run.headline.classes
    chosen = subsample(len(answers.labels))
    bridge = model_plan(run.config).bridge(run.arm)
    drawings = {}
    for where, values in _places_of(answers, bridge):
        points = values[chosen].astype(float)
        place = f"{where} the {bridge or 'head'}"
        for kind, project in (("PCA", pca), ("t-SNE", tsne)):
            found = figures.scatter(
                project(points), answers.labels[chosen], names, f"{kind} {place}"
            )
            key = f"{kind.lower().replace('-', '')}-{where}"
            words = f"{kind} of {counted(values.shape[1], 'value')} {place}, coloured by class."
            drawings[key] = Drawing(found, words)
    note = f"{len(chosen):,} of {len(answers.labels):,} evaluated images"
    note += ", drawn at random; " if len(chosen) < len(answers.labels) else "; "
    note += f"{counted(answers.features.shape[1], 'feature')} before"
    if bridge and answers.outputs is not None:
        note += f", {counted(answers.outputs.shape[1], 'output')} after"
    note += (
        ". PCA's axes carry the share of variance that is written on them. t-SNE (perplexity "
        f"{perplexity(len(chosen)):g}, fixed seed) keeps neighbours together; distances between "
        "groups and the sizes of groups mean nothing. Colours stand for the true classes."
    )
    return Part({"features_note": note}, drawings)


def _places_of(answers: Answers, bridge: str | None) -> list[tuple[str, Any]]:
    """Features before the bridge and, where there is one, outputs after it."""
    found = [("before", answers.features)]
    return [*found, ("after", answers.outputs)] if bridge else found


def circuit(run: Run) -> Part | None:
    """The quantum layer, drawn and in numbers."""
    spec = run.spec
    if spec is None:
        return None
    record = compile_layer(spec).record
    facts = [
        ("Encoding", f"{spec.encoding}, {spec.n_features} features"),
        ("Ansatz", f"{spec.ansatz}, {counted(spec.n_layers, 'layer')}"),
        ("Weights", f"{spec.n_weights}{' (frozen)' if run.arm == 'quantum-frozen' else ''}"),
        ("Observables", ", ".join(spec.observables)),
        (
            "Circuit",
            f"{record['gates']} gates on {record['qubits']} qubits, depth {record['depth']}; "
            f"{record['two_qubit_gates']} two-qubit gates, depth {record['two_qubit_depth']}; "
            "before it is compiled for a device",
        ),
    ]
    words = f"Circuit on {spec.n_wires} wires: {spec.encoding} encoding, then {facts[1][1]}."
    return Part(
        {"circuit_note": _circuit_note(spec), "circuit_facts": facts},
        {"circuit": Drawing(figures.circuit(spec), words)},
    )


def _circuit_note(spec: LayerSpec) -> str:
    """How to read the drawing."""
    drawn = ""
    if spec.n_layers > DRAWN_LAYERS:
        drawn = f" The first {DRAWN_LAYERS} of {spec.n_layers} layers are drawn."
    feature = "x[i] is feature i in radians, " if spec.encoding == "angle" else ""
    return (
        f"Wire 0 is the most significant bit of a basis state. In the boxes {feature}w[i] is "
        f"weight i in radians; ⟨Z⟩ marks a wire that an observable reads.{drawn}"
    )
