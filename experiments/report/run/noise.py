"""What a device's noise did to a run: the device, the compiled layer, and what was lost."""

from __future__ import annotations

from collections.abc import Mapping

from ...records.lines import Compiled, EvaluationRecord
from ..facts import (
    compiled_facts,
    device_words,
    executor,
    preparation_words,
    stage_words,
)
from ..numbers import counted, number, percent, signed
from ..pictures.circuit import LINE, beginning
from ..reading import Run
from ..render import Drawing, Part
from ..words import titled
from . import figures

PARTS = {
    "one_qubit": "gates on one qubit",
    "two_qubit": "gates on two qubits",
    "relaxation": "relaxation during gates",
    "readout": "readout",
    "idle": "relaxation while idle",
}
"""Parts of a device's noise, in words."""


def device(run: Run) -> Part | None:
    """The device behind the last evaluation, and the same images without its noise."""
    found = run.headline
    if found is None or found.compiled is None:
        return None
    compiled, ideal = found.compiled, run.ideal_accuracy
    there = "device" if executor(found.backend) == "machine" else executor(found.backend)
    costs = compiled_facts(compiled, found.narrower, _cost)
    facts = [*titled({there: device_words(compiled)}), *titled(costs)]
    if compiled.noise is not None:
        facts.append(("Noise", _strengths(compiled.noise)))
    if ideal is not None:
        facts.append(("Accuracy without noise", percent(ideal)))
    for record in run.evaluations:
        if record.compiled is not None and record.checkpoint == found.checkpoint:
            facts.append((_answered(record, there), _accuracy(record.accuracy, ideal)))
    note = "All of these accuracies are of the same weights on the same images."
    if compiled.noise is not None:
        note += (
            " The strength of a part is 1 where it is what the device reports, 0 where it is off."
            f" The noise model is in {run.folder.name}/noise.json."
        )
    context = {"device_facts": facts, "device_note": note}
    circuit = run.compiled_circuit()
    title = there.capitalize()
    if circuit is None:
        return Part(context, title=title)
    drawn, cut = beginning(circuit)
    context["device_circuit_note"] = (
        "The circuit as it is compiled for the device, on its qubits by their numbers; angle[i] "
        f"and weight[i] are angles in radians.{cut} The whole of it is in "
        f"{run.folder.name}/compiled.qpy."
    )
    words = f"Circuit on {counted(circuit.num_qubits, 'qubit')} of the device, in its own gates."
    drawing = Drawing(figures.circuit(drawn, fold=LINE), words)
    return Part(context, {"device-circuit": drawing}, title)


def _cost(compiled: Compiled) -> str:
    return (
        f"{counted(compiled.two_qubit_gates, 'two-qubit gate')}, two-qubit depth "
        f"{compiled.two_qubit_depth}, {preparation_words(compiled)}"
        f"{number(1e6 * compiled.duration, 2)} µs; product of the reported fidelities: gates "
        f"{number(compiled.gate_fidelity, 3)}, readout {number(compiled.readout_fidelity, 3)}"
    )


def _strengths(noise: Mapping[str, float]) -> str:
    return ", ".join(f"{PARTS[part]} × {strength:g}" for part, strength in noise.items())


def _answered(record: EvaluationRecord, there: str) -> str:
    if record.calibration is not None:
        return f"Calibrated on {counted(record.calibration.images, 'training image')}"
    stage = record.stage
    if stage is None:
        return f"Accuracy on the {there}"
    return f"Accuracy, {stage_words(record.backend)[stage]}"


def _accuracy(accuracy: float, ideal: float | None) -> str:
    words = percent(accuracy)
    if ideal is None:
        return words
    return f"{words}, {signed(100 * (accuracy - ideal))} points against none"
