"""What happens around the quantum layer, and in it: feature space, circuit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qiskit.quantum_info import SparsePauliOp

from qbackend.circuits.logical import compile_layer
from qbackend.layers.circuit_layer import CircuitLayer
from qbackend.layers.spec import LayerSpec

from ...assembly.construct import model_plan
from ...records.compiled_circuit import on_qubits
from ..numbers import counted
from ..pictures.circuit import DRAWN_LAYERS, LINE, beginning, opened, readable_circuit
from ..pictures.projection import pca, perplexity, subsample, tsne
from ..reading import Answers, Run
from ..render import Drawing, Part
from . import figures

FEWEST_POINTS = 10
"""A picture of fewer features would show nothing."""

COMES_AS_ANGLES = (
    " Features come as angles in (-π, π): π times tanh of what the network before it makes."
)

SHOWN_NAMES = 16
"""Of parameters and observables."""


def features(run: Run) -> Part | None:
    """What enters and what leaves the quantum layer, or the control in its place."""
    answers = run.answers()
    if answers is None or answers.features is None or run.headline is None:
        return None
    if len(answers.labels) < FEWEST_POINTS:
        return None
    names = run.headline.classes
    chosen = subsample(len(answers.labels))
    bridge = _bridge_words(run)
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


def _bridge_words(run: Run) -> str | None:
    if run.config.model.factory is not None:
        return "quantum layer"
    return model_plan(run.config).bridge(run.arm)


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
    frozen = " (frozen)" if run.arm == "quantum-frozen" else ""
    gates = (
        f"{record['gates']} gates on {record['qubits']} qubits, depth {record['depth']}; "
        f"{record['two_qubit_gates']} two-qubit gates, depth {record['two_qubit_depth']}; "
    )
    of_all = _among_others(run)
    if isinstance(spec, CircuitLayer):
        facts = _own_facts(spec, frozen)
        facts.append(("In rotations", f"{gates}before it is compiled for a device"))
        comes = "" if run.config.model.factory is not None else COMES_AS_ANGLES
        return Part(*_own_drawing(spec, [*of_all, *facts], comes))
    assert isinstance(spec, LayerSpec)
    facts = [
        *of_all,
        ("Encoding", f"{spec.encoding}, {spec.n_features} features"),
        ("Ansatz", f"{spec.ansatz}, {counted(spec.n_layers, 'layer')}"),
        ("Weights", f"{spec.n_weights}{frozen}"),
        ("Observables", ", ".join(spec.observables)),
        ("Circuit", f"{gates}before it is compiled for a device"),
    ]
    words = (
        f"Circuit on {spec.n_wires} wires: {spec.encoding} encoding, then {dict(facts)['Ansatz']}."
    )
    return Part(
        {"circuit_note": _circuit_note(spec), "circuit_facts": facts},
        {"circuit": Drawing(figures.circuit(readable_circuit(spec)), words)},
    )


def _own_facts(spec: CircuitLayer, frozen: str) -> list[tuple[str, str]]:
    """What a circuit of the user's own takes and gives."""
    outputs = f"probabilities of the {spec.n_outputs} basis states"
    if spec.outputs == "expectations":
        outputs = _listed([_sum_words(observable) for observable in spec.observables])
    weights = _listed([parameter.name for parameter in spec.weights])
    return [
        ("Circuit", f"{spec.circuit.name}, {counted(spec.n_wires, 'qubit')}"),
        ("Features", _listed([parameter.name for parameter in spec.features])),
        ("Weights", weights + frozen),
        ("Outputs", outputs),
    ]


def _among_others(run: Run) -> list[tuple[str, str]]:
    """Which layer of several is drawn."""
    layers = run.own_layers
    if len(layers) < 2:
        return []
    widths = ", ".join(str(layer.n_wires) for layer in layers)
    return [("Layers", f"{len(layers)}, in order of {widths} wires; the widest is drawn")]


def _own_drawing(
    spec: CircuitLayer, facts: list[tuple[str, str]], comes: str
) -> tuple[dict[str, Any], dict[str, Drawing]]:
    whole = opened(spec.circuit)
    drawn, cut = beginning(on_qubits(whole, [f"qubit {each}" for each in range(spec.n_wires)]))
    note = f"Qubit 0 is the right-most letter of an observable.{comes}{cut}"
    words = f"Circuit {spec.circuit.name} on {counted(spec.n_wires, 'qubit')}."
    drawing = Drawing(figures.circuit(drawn, fold=LINE), words)
    return {"circuit_note": note, "circuit_facts": facts}, {"circuit": drawing}


def _listed(names: Sequence[str]) -> str:
    """How many, and the first ones."""
    more = f", and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f"{len(names)}: {', '.join(names[:SHOWN_NAMES])}{more}" if names else "none"


def _sum_words(observable: SparsePauliOp) -> str:
    words = ""
    for letters, coefficient in observable.to_list():
        sign, size = "-" if coefficient.real < 0 else "+", abs(coefficient.real)
        words += f" {sign} {letters if size == 1 else f'{size:g} {letters}'}"
    return words.removeprefix(" + ").strip()


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
