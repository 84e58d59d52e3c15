"""The page, the table and the picture of `noise_model.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

WIDEST = 10
"""Qubits up to which factors are compared: beyond, too few shots read all zeros."""
COLUMNS = 4
_PAGE = """# Is the noise model to be believed?

**Question.** A validation under `aer:DEVICE` predicts what the machine will answer. How far off is
it?

**Protocol.** Seven IBM machines ran a ZZ feature map and its inverse, which ideally leaves every
qubit in zero; 1,000 shots each. The share of shots that read all zeros was measured by the Unitary
Foundation's metriq project (its repository
[metriq-data](https://github.com/unitaryfoundation/metriq-data), CC BY 4.0). The noise model of qhc,
on the snapshot of the same machine that qiskit-ibm-runtime ships, predicts it on the best line of
qubits by reported errors, on the median one, and on one that nine in ten lines are better than:
where the machine ran it is not recorded, nor how it was compiled. The snapshot is not of the
measurement's day. All lines of the device are looked at, and each prediction is exact.

**Factor.** log(measured) / log(predicted on the best line): how many times the errors of the best
line it takes. 1 is a machine that does as its snapshot says on its best qubits.

{summary}

![Measured and predicted shares](noise-model.png)

{sentences}

**Every measurement**

{table}

Wider circuits, of 12 to 50 qubits, were measured too, and are predicted by `--most-qubits 50`, from
minutes to hours each; they are not part of this page.

Rows with qubits, shots and standard errors: [noise-model.csv](noise-model.csv). Command:

    python benchmarks/evidence/noise_model.py
"""


def write_page(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """noise-model.png and noise-model.md in the folder."""
    jobs: dict[tuple[str, int, str], dict[str, Any]] = {}
    for row in rows:
        job = jobs.setdefault((row["device"], row["qubits"], row["measured_at"]), dict(row))
        job[row["place"]] = row["predicted"]
    devices: dict[str, list[dict[str, Any]]] = {}
    for key in sorted(jobs):
        devices.setdefault(key[0], []).append(jobs[key])
    _draw(devices).savefig(out / "noise-model.png", dpi=80)
    text = _PAGE.format(
        summary=_summary(devices), sentences=_sentences(devices), table=_table(devices)
    )
    (out / "noise-model.md").write_text(text)


def factor(measured: float, predicted: float) -> float | None:
    """How many times the predicted errors were there; None where the shares say nothing."""
    if not 0 < measured < 1 or not 0 < predicted < 1:
        return None
    return math.log(measured) / math.log(predicted)


def _narrow(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [job for job in jobs if job["qubits"] <= WIDEST]


def _factors(jobs: Sequence[dict[str, Any]]) -> list[float]:
    found = (factor(job["measured"], job["best"]) for job in _narrow(jobs))
    return [each for each in found if each is not None]


def _summary(devices: dict[str, list[dict[str, Any]]]) -> str:
    lines = [
        f"| machine | snapshot | measured | jobs up to {WIDEST} qubits | factor: median | from "
        "| to | between best and poor line |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, jobs in devices.items():
        found, narrow = _factors(jobs), _narrow(jobs)
        if not found:
            continue
        days = sorted(job["measured_at"][:10] for job in jobs)
        within = sum(job["poor"] <= job["measured"] <= job["best"] for job in narrow)
        lines.append(
            f"| {name} | {jobs[0]['snapshot']} | {days[0]} | {len(narrow)} | {median(found):.2f} "
            f"| {min(found):.2f} | {max(found):.2f} | {within} of {len(narrow)} |"
        )
    return "\n".join(lines)


def _sentences(devices: dict[str, list[dict[str, Any]]]) -> str:
    every = {name: median(found) for name, jobs in devices.items() if (found := _factors(jobs))}
    if not every:
        return ""
    low, high = min(every, key=every.__getitem__), max(every, key=every.__getitem__)
    narrow = [job for jobs in devices.values() for job in _narrow(jobs)]
    within = sum(job["poor"] <= job["measured"] <= job["best"] for job in narrow)
    better = sum(job["measured"] > job["best"] for job in narrow)
    return (
        f"**In one sentence.** Real machines had {every[low]:.1f} ({low}) to {every[high]:.1f} "
        f"({high}) times the errors that their snapshots report for the best line of qubits. Of "
        f"{len(narrow)} circuits of up to {WIDEST} qubits {within} lie between the best and the "
        f"poor line, so that their place can explain them, {better} did better than the best "
        f"line, and {len(narrow) - within - better} worse than the poor one."
    )


def _table(devices: dict[str, list[dict[str, Any]]]) -> str:
    lines = [
        "| machine | qubits | measured | predicted: best | median | poor | factor |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, jobs in devices.items():
        for job in jobs:
            found = factor(job["measured"], job["best"])
            shown = "" if found is None or job["qubits"] > WIDEST else f"{found:.2f}"
            lines.append(
                f"| {name} | {job['qubits']} | {job['measured']:.3f} ± {job['standard_error']:.3f} "
                f"| {job['best']:.3f} | {job['median']:.3f} | {job['poor']:.3f} | {shown} |"
            )
    return "\n".join(lines)


def _draw(devices: dict[str, list[dict[str, Any]]]) -> plt.Figure:
    n_rows = math.ceil(len(devices) / COLUMNS)
    size = (3.2 * COLUMNS, 2.8 * n_rows)
    figure, panels = plt.subplots(
        n_rows, COLUMNS, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for panel in panels.flat[len(devices) :]:
        panel.axis("off")
    for panel, (name, jobs) in zip(panels.flat, devices.items(), strict=False):
        n_qubits = [job["qubits"] for job in jobs]
        best, middle, poor = ([job[key] for job in jobs] for key in ("best", "median", "poor"))
        panel.fill_between(n_qubits, poor, best, alpha=0.25, label="predicted, best to poor line")
        panel.plot(n_qubits, middle, lw=1, marker="_", label="predicted, median line")
        if len(jobs) == 1:
            # A band has no width there.
            panel.vlines(n_qubits, poor, best, lw=8, alpha=0.25)
        errors = [job["standard_error"] for job in jobs]
        shares = [job["measured"] for job in jobs]
        panel.errorbar(n_qubits, shares, errors, fmt="k.", capsize=2, label="measured")
        panel.set_title(f"{name}, snapshot of {jobs[0]['snapshot']}", fontsize=9)
    for panel in panels[-1]:
        panel.set_xlabel("qubits")
    for panel in panels[:, 0]:
        panel.set_ylabel("share of zeros")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower right", fontsize=9)
    return figure
