"""What a run found, for a person and for a program: a table, a line of JSON."""

from __future__ import annotations

import io
import statistics

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ..records.facts import (
    best_epoch,
    charged_words,
    compiled_facts,
    compiled_words,
    device_words,
    job_words,
    machine_facts,
    percent,
)
from ..records.folder import Record, RunFolder
from ..records.row_facts import row_facts, row_summary

UNLIMITED = 10_000
"""Characters of a line; no table is as wide."""


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


def _scores(record: Record) -> tuple[str, ...]:
    low, high = record.get("accuracy_interval", (None, None))
    interval = "" if low is None else f"{100 * low:.1f} to {100 * high:.1f}"
    return percent(record["accuracy"]), interval, f"{record['loss']:.4f}", f"{record['f1']:.4f}"
