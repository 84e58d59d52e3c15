"""What a run found, for a person and for a program: a table, a line of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from qbackend.validation.telling import table_text

from ..records.comparisons import MitigationRecord
from ..records.folder import RunFolder
from ..records.joint import JointRecord
from ..records.lines import EvaluationRecord
from ..records.run_records import RunRecords
from ..records.scores import Means
from ..report.drift.facts import drift_facts, drift_summary
from ..report.facts import (
    charge_facts,
    compiled_facts,
    compiled_words,
    copy_words,
    device_words,
    far_off_words,
    machine_facts,
)
from ..report.machine.joint_words import (
    DIFFERENCE_HEADINGS,
    difference_rows,
    headings,
    joint_facts,
    joint_rows,
    joint_sentences,
    joint_summary,
)
from ..report.machine.mitigation_words import HEADINGS, cells, sentences
from ..report.machine.mitigation_words import summary as mitigation_summary
from ..report.numbers import percent
from ..report.row_facts import row_facts, row_summary


def show_results(folder: RunFolder, console: Console) -> None:
    """The run's accuracy, cost and report; precision and recall are in the report."""
    run = RunRecords.read(folder.path)
    if run.joint is not None:
        _show_joint(run.joint, folder, console)
        return
    backends = list(dict.fromkeys(record.backend for record in run.evaluations))
    console.print(_table(run, backends))
    if run.mitigation is not None:
        # Whole, however narrow the terminal is.
        _show_compared([_mitigation_table(run.mitigation)], sentences(run.mitigation), console)
    for name, fact in _facts(run, backends).items():
        console.print(f"{name}: {fact}", markup=False, soft_wrap=True)
    console.print(f"report: {folder.report}", markup=False, soft_wrap=True)


def _show_joint(found: JointRecord, folder: RunFolder, console: Console) -> None:
    """Several models side by side, and the first or every two of them beside each other."""
    shots = f", {found.shots:,} shots" if found.shots else ""
    title = f"{len(found.members)} models on {found.backend}, {found.n_images:,} images{shots}"
    beside = difference_rows(found, every=False)
    how = f" on the same images{', calibrated' if found.n_training else ''}, in points"
    tables = [
        _whole_table(title, headings(found), joint_rows(found), n_words=3),
        _whole_table(f"differences{how}", DIFFERENCE_HEADINGS, beside, n_words=1),
    ]
    _show_compared(tables, joint_sentences(found), console)
    if len(beside) < len(found.differences):
        console.print("every two of them stand beside each other in the report", markup=False)
    for name, fact in joint_facts(found).items():
        console.print(f"{name}: {fact}", markup=False, soft_wrap=True)
    console.print(f"report: {folder.report}", markup=False, soft_wrap=True)


def _show_compared(tables: Sequence[Table], told: Sequence[str], console: Console) -> None:
    """Tables and what follows from them, whole however narrow the terminal is."""
    for table in tables:
        console.print(table_text(table), markup=False, soft_wrap=True)
    for sentence in told:
        console.print(f"- {sentence}", markup=False, soft_wrap=True)
    console.print()


def _mitigation_table(found: MitigationRecord) -> Table:
    """A row per variant."""
    title = f"mitigation on {found.machine}, {found.n_images:,} images"
    rows = [[each.name, each.verdict or "", *cells(found, each)] for each in found.variants]
    return _whole_table(title, ("variant", "verdict", *HEADINGS)[: len(rows[0])], rows, n_words=2)


def _whole_table(
    title: str, names: Sequence[str], rows: Sequence[Sequence[str]], *, n_words: int
) -> Table:
    """Two lines of words above narrow columns, of which the first `n_words` are no numbers."""
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", title_style="")
    for place, name in enumerate(names):
        words = "\n".join(name.rsplit(" ", 1))
        table.add_column(words, justify="right" if place >= n_words else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _table(run: RunRecords, backends: Sequence[str]) -> Table:
    """A row per evaluation, and one for the best epoch."""
    table = Table("split", box=SIMPLE_HEAD)
    # A device's name is not to be cut short.
    longest = max(len(name) for name in ("calibrated", *backends)) if len(backends) > 1 else 0
    table.add_column("weights", min_width=longest)
    for heading in ("images", "accuracy", "95 % interval", "loss", "F1"):
        table.add_column(heading, justify="right", no_wrap=True)
    if run.best_epoch is not None:
        table.add_row("validation", "best", "", *_scores(run.best_epoch.validation, ""))
    for record in run.evaluations:
        weights = record.checkpoint if run.epochs else "given"
        place = f" on {record.backend}" if len(backends) > 1 else ""
        place += ", calibrated" if record.calibration is not None else ""
        low, high = record.accuracy_interval
        scores = _scores(record, f"{100 * low:.1f} to {100 * high:.1f}")
        table.add_row(record.split, f"{weights}{place}", f"{record.n_images:,}", *scores)
    return table


def _facts(run: RunRecords, backends: Sequence[str]) -> dict[str, str]:
    """What the table does not say."""
    state, last, best = run.state, run.evaluations[-1], run.best_epoch
    facts = {"parameters": f"{state.parameters:,}, {state.quantum_parameters} of them quantum"}
    if run.mitigation is not None:
        backends = [*backends, run.mitigation.machine]
    facts["backend"] = ", then ".join(backends)
    if last.compiled is not None:
        facts["device"] = device_words(last.compiled)
        facts |= compiled_facts(last.compiled, last.narrower, compiled_words)
        if copies := copy_words(last.compiled):
            facts["copies"] = copies
    if run.validation is not None:
        if last.compiled is not None and (far := far_off_words(run.validation, last.compiled)):
            facts["far off"] = far
        facts |= machine_facts(run.validation)
    if run.rows is not None:
        facts |= row_facts(run.rows)
    if run.mitigation is not None:
        facts["device"] = device_words(run.mitigation.compiled)
        facts |= charge_facts(run.mitigation.charges)
    if run.drift is not None:
        facts |= drift_facts(run.drift)
    if run.provenance.checkpoint is not None:
        facts["checkpoint"] = run.provenance.checkpoint
    if best is not None:
        facts["best epoch"] = f"{best.epoch} of {len(run.epochs)}, by validation accuracy"
        seconds = run.median(lambda epoch: epoch.seconds)
        facts["time per epoch"] = f"{seconds:.2f} s (median), validation not counted"
        facts["peak memory"] = f"{run.peak_memory_mib:,.0f} MiB"
    if last.metrics:
        facts["own metrics"] = ", ".join(f"{k} {value:.4g}" for k, value in last.metrics.items())
    return facts


def summary(folder: RunFolder) -> dict[str, Any]:
    """The line that `--json` prints: the run's last evaluation."""
    run = RunRecords.read(folder.path)
    if run.joint is not None:
        own = {"seed": run.config.run.seed, "report": str(folder.report)}
        return {"run": str(folder.path), **joint_summary(run.joint), **own}
    record = run.evaluations[-1]
    return {
        "run": str(folder.path),
        **record.only("backend", "split", "n_images", "accuracy"),
        **record.only("accuracy_interval", "loss", "precision", "recall", "f1", "metrics"),
        **(record.only("shots", "jobs", "qpu_seconds") if record.jobs > 0 else {}),
        **_device_summary(run),
        **_machine_summary(run),
        **({} if run.rows is None else row_summary(run.rows)),
        **({} if run.mitigation is None else mitigation_summary(run.mitigation)),
        **({} if run.drift is None else drift_summary(run.drift)),
        "seed": run.config.run.seed,
        "report": str(folder.report),
    }


def waiting_summary(folder: RunFolder) -> dict[str, Any]:
    """The line that `--json` prints of a run whose jobs are on their way."""
    from ..assembly.access import Access
    from .jobs import list_jobs

    jobs = [job.to_dict() for job in list_jobs(folder.path, Access())]
    backend = folder.config().run.backend
    return {"run": str(folder.path), "backend": backend, "status": "waiting", "jobs": jobs}


def _device_summary(run: RunRecords) -> dict[str, Any]:
    """Of a device's last evaluation: what it was, and the accuracy without its noise."""
    compiled, ideal = run.evaluations[-1].compiled, run.ideal_accuracy
    if compiled is None:
        return {}
    copies = {"copies": len(compiled.copies)} if compiled.copies else {}
    keys = ("device", "calibration", "calibrated_at", "two_qubit_gates", "preparation", "noise")
    accuracy = {} if ideal is None else {"ideal_accuracy": ideal}
    return {**accuracy, **compiled.only(*keys), **copies}


def _machine_summary(run: RunRecords) -> dict[str, Any]:
    """Of a validation on a machine: the simulated accuracies, agreement, and what it cost."""
    found = run.validation
    if found is None:
        return {}
    accuracies = {record.stage: record.accuracy for record in run.evaluations}
    ideal, charges = found.pair("ideal", "machine"), found.charges
    line = {"ideal_accuracy": accuracies["ideal"]}
    if "noise" in accuracies:
        line["noise_accuracy"] = accuracies["noise"]
    line["machine_accuracy"] = accuracies["machine"]
    return {
        **line,
        "agreement": ideal.share,
        "output_rmse": ideal.output_rmse,
        **({"far_off": found.far_off} if found.copies else {}),
        **({} if charges is None else charges.summary()),
        # Those of all requests, where the last evaluation's are one request's.
        **(
            {}
            if charges is None
            else {"jobs": len(charges.job_ids), "qpu_seconds": charges.charged_seconds}
        ),
    }


def _scores(record: Means | EvaluationRecord, interval: str) -> tuple[str, ...]:
    return percent(record.accuracy), interval, f"{record.loss:.4f}", f"{record.f1:.4f}"
