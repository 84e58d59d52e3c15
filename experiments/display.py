"""What a person sees of a run: progress on standard error, a table of results at the end."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.status import Status
from rich.table import Table

from .config import Config
from .record import Record, RunFolder

if TYPE_CHECKING:
    from qbackend.ibm.gateway import Progress as MachineProgress

REFRESH = 0.1
"""Seconds between two updates of the progress bar."""


CALIBRATIONS = {"snapshot": "the shipped snapshot", "live": "the service", "file": "a noise file"}
"""Where a device's calibration comes from, in words."""


STAGE_WORDS = {
    "ideal": "without noise",
    "noise": "simulated noise",
    "machine": "machine",
    "corrected": "machine, corrected",
}
"""The stages of a validation on a machine."""

LINES = 20
"""Lines that a count of any length is told in, where there is no terminal."""


class Display:
    """Says on standard error how a run gets on; the bar only where a person is looking."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._spinner: Status | None = None
        self._done, self._shown = 0, 0.0

    def say(self, message: str) -> None:
        """A line of its own."""
        self.console.print(message, markup=False, soft_wrap=True)

    def begin_run(self, config: Config, folder: RunFolder, parameters: int, quantum: int) -> None:
        """What is about to happen, where, and what is unusual about it."""
        shots = "" if config.run.shots is None else f", {config.run.shots} shots"
        self.say(
            f"{config.model.name} ({config.model.arm}) on {config.data.name}, "
            f"backend {config.run.backend}{shots}, seed {config.run.seed}: "
            f"{parameters:,} parameters, {quantum} of them quantum"
        )
        for note in folder.run["notes"]:
            self.say(f"note: {note}")
        self.say(f"run folder: {folder.path}")

    @contextmanager
    def training(self) -> Iterator[Display]:
        """Shows a bar with the time left while it lasts, on a terminal."""
        if not self.console.is_terminal:
            yield self
            return
        columns = _columns(TextColumn("{task.percentage:3.0f} %"))
        with Progress(*columns, console=self.console, transient=True) as self._progress:
            yield self
        self._progress = None

    @contextmanager
    def counting(self, what: str, total: int, done: int) -> Iterator[Callable[[], None]]:
        """Yields what is to be called when one more is done: a bar on a terminal, else lines."""
        if done == total:
            yield lambda: None
            return
        if self.console.is_terminal:
            columns = _columns(MofNCompleteColumn())
            with Progress(*columns, console=self.console, transient=True) as progress:
                task = progress.add_task(what, total=total, completed=done)
                yield lambda: progress.advance(task)
            return
        yield _Lines(self, what, total, done)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Shows, on a terminal, where a machine's jobs are, from the first `progress` on."""
        try:
            yield
        finally:
            if self._spinner is not None:
                self._spinner.stop()
                self._spinner = None

    def progress(self, progress: MachineProgress) -> None:
        """Where a machine's jobs are; nothing where nobody is looking, or beside a bar."""
        if not self.console.is_terminal or self._progress is not None:
            return
        if self._spinner is None:
            self._spinner = self.console.status("")
            self._spinner.start()
        self._spinner.update(escape(progress_words(progress)))

    def begin(self, epoch: int, n_epochs: int, n_steps: int) -> None:
        if self._progress is None:
            return
        self._done = (epoch - 1) * n_steps
        if not self._progress.tasks:
            # A resumed run starts where it was, or the time left would be an illusion.
            self._progress.add_task("", total=n_epochs * n_steps, completed=self._done)
        self._progress.update(
            self._progress.task_ids[0], description=f"epoch {epoch} of {n_epochs}"
        )

    def step(self) -> None:
        self._done += 1
        if self._progress is not None and time.monotonic() - self._shown > REFRESH:
            self._shown = time.monotonic()
            self._progress.update(self._progress.task_ids[0], completed=self._done)

    def end(self, record: Record) -> None:
        train, validation = record["train"], record["validation"]
        self.say(
            f"epoch {record['epoch']:3d}   loss {train['loss']:.4f}   "
            f"accuracy {percent(train['accuracy'])}   "
            f"validation: loss {validation['loss']:.4f}   "
            f"accuracy {percent(validation['accuracy'])}   F1 {validation['f1']:.4f}   "
            f"{record['seconds'] + record['validation_seconds']:.2f} s"
        )


def progress_words(progress: MachineProgress) -> str:
    """Where a machine's jobs are, in a line."""
    words = progress.words
    if progress.job_id is not None:
        words = f"job {progress.job_id}: {words}"
    if progress.queue_position is not None:
        words += f", place {progress.queue_position} in the queue"
    if progress.jobs:
        words += f" ({progress.done} of {progress.jobs} jobs done; Ctrl-C leaves them running)"
    return words


def _columns(done: ProgressColumn) -> tuple[ProgressColumn, ...]:
    """Of a progress bar, with the time left."""
    return TextColumn("{task.description}"), BarColumn(), done, TimeRemainingColumn()


class _Lines:
    """Counts, and says so from time to time."""

    def __init__(self, display: Display, what: str, total: int, done: int) -> None:
        self.display, self.what, self.total, self.done = display, what, total, done
        self.left, self.start = total - done, time.monotonic()

    def __call__(self) -> None:
        self.done += 1
        counted = self.left - (self.total - self.done)
        if self.done % max(1, self.left // LINES) and self.done < self.total:
            return
        seconds = (time.monotonic() - self.start) / counted * (self.total - self.done)
        self.display.say(f"{self.what}: {self.done} of {self.total}, about {seconds:.0f} s left")


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
        facts["compiled layer"] = compiled_words(compiled)
    validation = folder.validation_record
    if validation is not None:
        facts |= machine_facts(validation)
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
        "seed": run["seed"],
        "report": str(folder.report),
    }


def waiting_summary(folder: RunFolder) -> Record:
    """The line that `--json` prints of a run whose jobs are on their way."""
    from .job_list import list_jobs
    from .machine import Access

    jobs = [job.to_dict() for job in list_jobs(folder.path, Access())]
    backend = folder.config().run.backend
    return {"run": str(folder.path), "backend": backend, "status": "waiting", "jobs": jobs}


def machine_facts(validation: Record) -> dict[str, str]:
    """What a machine's answers are worth beside the simulated ones, and what they cost."""
    facts = {}
    for pair in validation["agreement"]:
        one, other = pair["stages"]
        if other == "machine":
            words = f"{pair['same']} of {validation['n_images']} images get the same class"
            if pair["output_rmse"] is not None:
                words += f"; outputs differ by {pair['output_rmse']:.4f} (RMSE)"
            facts[f"{STAGE_WORDS[one]} against machine"] = words
    if "job_ids" in validation:
        facts["jobs"] = ", ".join(validation["job_ids"])
        facts["QPU time"] = charged_words(validation)
    return facts


def charged_words(validation: Record) -> str:
    """Seconds charged, and how far the estimate was off."""
    estimated, charged = validation["estimated_seconds"], validation["charged_seconds"]
    if not estimated:
        return "none charged: simulated on this computer"
    words = f"{charged:.1f} s charged, {estimated:.1f} s estimated"
    if validation["unsettled"]:
        return f"{words}; {validation['unsettled']} jobs are not settled yet"
    return f"{words} ({100 * (charged / estimated - 1):+.0f} %)"


def device_words(compiled: Record) -> str:
    """Which device's noise, and how old its calibration is."""
    words = str(compiled["device"])
    if "calibration" in compiled:
        words += f", calibration from {CALIBRATIONS[compiled['calibration']]}"
    if compiled.get("calibrated_at"):
        words += f" of {compiled['calibrated_at'][:10]}"
    return words


def compiled_words(compiled: Record) -> str:
    """What the layer takes on the device."""
    return (
        f"{compiled['two_qubit_gates']} two-qubit gates, {compiled['encoder']} encoder, "
        f"reported gate fidelity {compiled['gate_fidelity']:.3f}"
    )


def _device_summary(folder: RunFolder) -> Record:
    """Of a device's last evaluation: what it was, and the accuracy without its noise."""
    evaluations = folder.evaluations()
    compiled = evaluations[-1].get("compiled")
    if compiled is None:
        return {}
    keys = ("device", "calibration", "calibrated_at", "two_qubit_gates", "encoder", "noise")
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
    }


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
