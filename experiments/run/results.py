"""What a run found, for a person and for a program: a table, a line of JSON."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ..records.folder import Record, RunFolder
from ..rows.words import row_facts, row_summary

CALIBRATIONS = {"snapshot": "the shipped snapshot", "live": "the service", "file": "a noise file"}
"""Where a device's calibration comes from, in words."""


UNLIMITED = 10_000
"""Characters of a line; no table is as wide."""

SHOWN_JOBS = 5
"""Ids of a training's jobs are looked for in its ledger."""

STAGE_WORDS = {
    "ideal": "without noise",
    "noise": "simulated noise",
    "machine": "machine",
    "corrected": "machine, corrected",
}
"""The stages of a validation on a machine."""


def show_results(folder: RunFolder, console: Console) -> None:
    """The run's accuracy, cost and report; precision and recall are in the report."""
    epochs, run = folder.epochs(), folder.run
    evaluations = folder.evaluations()
    backends = list(dict.fromkeys(record["backend"] for record in evaluations))
    table = Table("split", box=SIMPLE_HEAD)
    # A device's name is not to be cut short.
    longest = max(len(name) for name in ("calibrated", *backends)) if len(backends) > 1 else 0
    table.add_column("weights", min_width=longest)
    for heading in ("images", "accuracy", "95 % interval", "loss", "F1"):
        table.add_column(heading, justify="right", no_wrap=True)
    best = best_epoch(epochs)
    if best is not None:
        table.add_row("validation", "best", "", *_scores(best["validation"]))
    for record in evaluations:
        weights = record["checkpoint"] if epochs else "given"
        place = f" on {record['backend']}" if len(backends) > 1 else ""
        place += ", calibrated" if "calibration" in record else ""
        images = f"{record['n_images']:,}"
        table.add_row(record["split"], f"{weights}{place}", images, *_scores(record))
    console.print(table)
    facts = {"parameters": f"{run['parameters']:,}, {run['quantum_parameters']} of them quantum"}
    facts["backend"] = ", then ".join(backends)
    compiled = evaluations[-1].get("compiled")
    if compiled is not None:
        facts["device"] = device_words(compiled)
        facts |= compiled_facts(evaluations[-1], compiled_words)
    validation = folder.validation_record
    if validation is not None:
        facts |= machine_facts(validation)
    rows = folder.row_record
    if rows is not None:
        facts |= row_facts(rows)
        if "job_ids" in rows:
            facts["jobs"] = job_words(rows["job_ids"])
            facts["QPU time"] = charged_words(rows)
    if "checkpoint" in run:
        facts["checkpoint"] = run["checkpoint"]
    if best is not None:
        facts["best epoch"] = f"{best['epoch']} of {len(epochs)}, by validation accuracy"
        # The first epoch also compiles kernels and fills caches.
        seconds = statistics.median(epoch["seconds"] for epoch in epochs[1:] or epochs)
        facts["time per epoch"] = f"{seconds:.2f} s (median), validation not counted"
        facts["peak memory"] = f"{max(epoch['peak_memory_mib'] for epoch in epochs):,.0f} MiB"
    facts["report"] = str(folder.report)
    for name, fact in facts.items():
        console.print(f"{name}: {fact}", markup=False, soft_wrap=True)


def summary(folder: RunFolder) -> Record:
    """The line that `--json` prints: the run's last evaluation."""
    record, run = folder.evaluations()[-1], folder.run
    sampled = record["jobs"] > 0
    return {
        "run": str(folder.path),
        **{key: record[key] for key in ("backend", "split", "n_images", "accuracy")},
        **{key: record[key] for key in ("accuracy_interval", "loss", "precision", "recall", "f1")},
        **({key: record[key] for key in ("shots", "jobs", "qpu_seconds")} if sampled else {}),
        **_device_summary(folder),
        **_machine_summary(folder),
        **({} if folder.row_record is None else row_summary(folder.row_record)),
        "seed": run["seed"],
        "report": str(folder.report),
    }


def waiting_summary(folder: RunFolder) -> Record:
    """The line that `--json` prints of a run whose jobs are on their way."""
    from ..assembly.access import Access
    from .jobs import list_jobs

    jobs = [job.to_dict() for job in list_jobs(folder.path, Access())]
    backend = folder.config().run.backend
    return {"run": str(folder.path), "backend": backend, "status": "waiting", "jobs": jobs}


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


def _device_summary(folder: RunFolder) -> Record:
    """Of a device's last evaluation: what it was, and the accuracy without its noise."""
    evaluations = folder.evaluations()
    compiled = evaluations[-1].get("compiled")
    if compiled is None:
        return {}
    keys = ("device", "calibration", "calibrated_at", "two_qubit_gates", "preparation", "noise")
    ideal = [record["accuracy"] for record in evaluations if "compiled" not in record]
    return {
        **({"ideal_accuracy": ideal[-1]} if ideal else {}),
        **{key: compiled[key] for key in keys if key in compiled},
    }


def _machine_summary(folder: RunFolder) -> Record:
    """Of a validation on a machine: the simulated accuracies, agreement, and what it cost."""
    found = folder.validation_record
    if found is None:
        return {}
    accuracies = {r["stage"]: r["accuracy"] for r in folder.evaluations() if "stage" in r}
    pairs = {tuple(pair["stages"]): pair for pair in found["agreement"]}
    ideal = pairs["ideal", "machine"]
    keys = ("job_ids", "estimated_seconds", "charged_seconds")
    return {
        "ideal_accuracy": accuracies["ideal"],
        **({"noise_accuracy": accuracies["noise"]} if "noise" in accuracies else {}),
        "machine_accuracy": accuracies["machine"],
        "agreement": ideal["share"],
        "output_rmse": ideal["output_rmse"],
        **{key: found[key] for key in keys if key in found},
        # Those of all requests, where the last evaluation's are one request's.
        **(
            {"jobs": len(found["job_ids"]), "qpu_seconds": found["charged_seconds"]}
            if "job_ids" in found
            else {}
        ),
    }


def table_text(table: Table) -> str:
    """A table as a file keeps it: as wide as its longest names and numbers take."""
    drawn = io.StringIO()
    width = Console(width=UNLIMITED).measure(table).maximum
    Console(file=drawn, width=width).print(table)
    return drawn.getvalue()


def best_epoch(epochs: Sequence[Record]) -> Record | None:
    """The epoch whose model was kept, as `checkpoint.Best` decides it."""
    ranked = [(epoch["validation"]["accuracy"], -epoch["validation"]["loss"]) for epoch in epochs]
    return epochs[ranked.index(max(ranked))] if epochs else None


def _scores(record: Record) -> tuple[str, ...]:
    low, high = record.get("accuracy_interval", (None, None))
    interval = "" if low is None else f"{100 * low:.1f} to {100 * high:.1f}"
    return percent(record["accuracy"]), interval, f"{record['loss']:.4f}", f"{record['f1']:.4f}"


def percent(share: float) -> str:
    """A share as it is printed."""
    return f"{100 * share:.2f} %"
