"""What records say, in words: stated once for the terminal, the line of JSON and the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .folder import Record

CALIBRATIONS = {"snapshot": "the shipped snapshot", "live": "the service", "file": "a noise file"}
"""Where a device's calibration comes from, in words."""

SHOWN_JOBS = 5
"""Ids of a training's jobs are looked for in its ledger."""

STAGE_WORDS = {
    "ideal": "without noise",
    "noise": "simulated noise",
    "machine": "machine",
    "corrected": "machine, corrected",
}
"""The stages of a validation on a machine."""


def machine_facts(validation: Record) -> dict[str, str]:
    """What a machine's answers are worth beside the simulated ones, and what they cost."""
    facts = {}
    for pair in validation["agreement"]:
        one, other = pair["stages"]
        if other == "machine":
            words = f"{pair['same']:,} of {validation['n_images']:,} images get the same class"
            if pair["output_rmse"] is not None:
                words += f"; outputs differ by {pair['output_rmse']:.4f} (RMSE)"
            facts[f"{STAGE_WORDS[one]} against machine"] = words
    if "job_ids" in validation:
        facts["jobs"] = job_words(validation["job_ids"])
        facts["QPU time"] = charged_words(validation)
    return facts


def job_words(job_ids: Sequence[str]) -> str:
    """The jobs' ids, the first ones of many."""
    shown = ", ".join(job_ids[:SHOWN_JOBS])
    more = len(job_ids) - SHOWN_JOBS
    return f"{shown} and {more} more" if more > 0 else shown


def charged_words(validation: Record) -> str:
    """Seconds charged, and how far the estimate was off."""
    estimated, charged = validation["estimated_seconds"], validation["charged_seconds"]
    if not estimated:
        return "none charged: simulated on this computer"
    words = f"{charged:.1f} s charged, {estimated:.1f} s estimated"
    if validation["unsettled"]:
        return f"{words}; not settled yet: {validation['unsettled']} (qhc jobs asks again)"
    return f"{words} ({100 * (charged / estimated - 1):+.0f} %)"


def device_words(compiled: Record) -> str:
    """Which device, and how old its calibration is."""
    words = str(compiled["device"])
    if "calibration" in compiled:
        words += f", calibration from {CALIBRATIONS[compiled['calibration']]}"
    elif compiled.get("calibrated_at"):
        words += ", calibration"
    if compiled.get("calibrated_at"):
        words += f" of {compiled['calibrated_at'][:10]}"
    return words


def compiled_facts(evaluation: Record, words: Callable[[Record], str]) -> dict[str, str]:
    """What the layer, or every kind of circuit of a net with many, takes on the device."""
    kinds = [evaluation["compiled"], *evaluation.get("narrower", [])]
    if kinds[0].get("n_circuits", 1) == len(kinds) == 1:
        return {"compiled layer": words(kinds[0])}
    return {
        f"compiled, {kind['n_circuits']} circuits of {kind['n_wires']} wires": words(kind)
        for kind in kinds
    }


def compiled_words(compiled: Record) -> str:
    """What a circuit takes on the device."""
    return (
        f"{compiled['two_qubit_gates']} two-qubit gates, {compiled['preparation']} preparation, "
        f"reported gate fidelity {compiled['gate_fidelity']:.3f}"
    )


def best_epoch(epochs: Sequence[Record]) -> Record | None:
    """The epoch whose model was kept, as `checkpoint.Best` decides it."""
    ranked = [(epoch["validation"]["accuracy"], -epoch["validation"]["loss"]) for epoch in epochs]
    return epochs[ranked.index(max(ranked))] if epochs else None


def percent(share: float) -> str:
    """A share as it is printed."""
    return f"{100 * share:.2f} %"
