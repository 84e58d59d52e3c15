"""What a device's noise did to a run: the device, the compiled layer, and what was lost."""

from __future__ import annotations

from ...records.facts import STAGE_WORDS, compiled_facts, device_words
from ...records.folder import Record
from ..reading import Run
from ..render import Part
from ..words import counted, number, percent, signed

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
    if found is None or "compiled" not in found:
        return None
    compiled = found["compiled"]
    costs = compiled_facts(found, _cost).items()
    facts = [
        ("Device", device_words(compiled)),
        *((name.capitalize(), cost) for name, cost in costs),
    ]
    if "noise" in compiled:
        facts.append(("Noise", _strengths(compiled["noise"])))
    ideal = [record for record in run.evaluations if "compiled" not in record]
    if ideal:
        facts.append(("Accuracy without noise", percent(ideal[-1]["accuracy"])))
    for record in run.evaluations:
        if "compiled" in record and record["checkpoint"] == found["checkpoint"]:
            facts.append((_answered(record), _accuracy(record, ideal)))
    note = "All of these accuracies are of the same weights on the same images."
    if "noise" in compiled:
        note += (
            " The strength of a part is 1 where it is what the device reports, 0 where it is off."
            f" The noise model is in {run.folder.name}/noise.json."
        )
    return Part({"device_facts": facts, "device_note": note})


def _cost(compiled: Record) -> str:
    return (
        f"{counted(compiled['two_qubit_gates'], 'two-qubit gate')}, two-qubit depth "
        f"{compiled['two_qubit_depth']}, {number(1e6 * compiled['duration'], 2)} µs, "
        f"{compiled['preparation']} preparation; product of the reported fidelities: gates "
        f"{number(compiled['gate_fidelity'], 3)}, readout {number(compiled['readout_fidelity'], 3)}"
    )


def _strengths(noise: Record) -> str:
    return ", ".join(f"{PARTS[part]} × {strength:g}" for part, strength in noise.items())


def _answered(record: Record) -> str:
    if "calibration" not in record:
        stage = record.get("stage")
        return "Accuracy on the device" if stage is None else f"Accuracy, {STAGE_WORDS[stage]}"
    return f"Calibrated on {counted(record['calibration']['images'], 'training image')}"


def _accuracy(record: Record, ideal: list[Record]) -> str:
    words = percent(record["accuracy"])
    if not ideal:
        return words
    change = 100 * (record["accuracy"] - ideal[-1]["accuracy"])
    return f"{words}, {signed(change)} points against none"
