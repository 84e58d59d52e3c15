"""Every total of a report is that of its parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.records.comparisons import Charges, RowRecord, ValidationRecord
from experiments.records.folder import RunFolder
from experiments.report.comparison.groups import group_runs
from experiments.report.numbers import duration
from experiments.report.reading import Run, read_run
from experiments.report.run.provenance import cost
from experiments.report.write import write_report
from qbackend.machines.cost import Price
from tests.support.runs import synthetic_run

from .pages import Page


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return read_run(synthetic_run(tmp_path / "run", n_images=130, skill=3.0))


def costs(run: Run) -> dict[str, str]:
    part = cost(run)
    assert part is not None
    return dict(part.context["cost"])


def test_images_are_those_of_the_classes_and_of_the_answers(run: Run) -> None:
    page = Page(write_report([run.folder]))
    (found,) = run.evaluations
    n_images, right = found.n_images, round(found.accuracy * found.n_images)
    matrix = np.array(found.confusion)
    assert (matrix.sum(), np.trace(matrix)) == (n_images, right)
    classes = [row for row in page.rows if len(row) == 5 and row[1].isdigit()]
    assert sum(int(row[1]) for row in classes) == n_images
    assert [int(row[1]) for row in classes] == matrix.sum(axis=1).tolist()
    words = " ".join(page.pictures)
    assert f"{right} of {n_images} images on the diagonal" in words
    confused = [row for row in page.rows if len(row) == 4 and row[0] != row[1] and row[2].isdigit()]
    assert 0 < sum(int(row[2]) for row in confused) <= n_images - right


def test_times_are_those_of_the_epochs(run: Run) -> None:
    facts, epochs = costs(run), run.epochs
    seconds = sum(e.seconds for e in epochs) + sum(e.validation_seconds for e in epochs)
    assert facts["Training and validation"] == f"{duration(seconds)} together"
    cpu = sum(e.cpu_seconds for e in epochs)
    assert facts["CPU time of the process"].endswith(f"{duration(cpu)} in all")


def test_sampled_evaluations_add_up(tmp_path: Path) -> None:
    folder = RunFolder.open(synthetic_run(tmp_path / "run", n_images=30, jobs=2, qpu_seconds=1.5))
    folder.append(folder.evaluations()[0].model_copy(update={"jobs": 3, "qpu_seconds": 2.0}))
    assert costs(read_run(folder.path))["Jobs"] == "5, 3.5 s of QPU time"


LINES = {"validation": ValidationRecord, "rows": RowRecord}


@pytest.mark.parametrize("kind", LINES)
def test_a_machines_jobs_are_counted_once(tmp_path: Path, kind: str) -> None:
    """A corrected evaluation asks for the test's job again, and its calibration is none."""
    folder = RunFolder.open(
        synthetic_run(tmp_path / "run", n_images=30, epochs=0, jobs=1, qpu_seconds=4.0)
    )
    folder.append(folder.evaluations()[0].model_copy(update={"stage": "corrected"}))
    charges = Charges(
        job_ids=("test", "calibration"), estimated_seconds=5.0, charged_seconds=5.5, unsettled=0
    )
    run = replace(read_run(folder.path), **{kind: LINES[kind].model_construct(charges=charges)})
    assert costs(run)["Jobs"] == "2, 5.5 s of QPU time"
    charges = charges.model_copy(update={"price": Price(1.6, "USD")})
    run = replace(run, **{kind: LINES[kind].model_construct(charges=charges)})
    assert costs(run)["Jobs"] == "2, 5.5 s of QPU time, 8.80 USD"


def test_a_comparison_is_that_of_its_runs(tmp_path: Path) -> None:
    folders = [
        synthetic_run(tmp_path / f"{arm}-{seed}", arm=arm, seed=seed, n_images=60, skill=3.0)
        for arm in ("quantum", "linear")
        for seed in range(3)
    ]
    page = Page(write_report(folders, tmp_path / "comparison"))
    groups = group_runs([read_run(folder) for folder in folders])
    runs = [row for row in page.rows if row[0] in {folder.name for folder in folders}]
    assert len(runs) == sum(len(group.runs) for group in groups) == 6
    means = {}
    for group in groups:
        of_runs = [float(row[3]) for row in runs if row[1] == group.name]
        (scores,) = (row for row in page.rows if row[:1] == [group.name] and len(row) == 8)
        assert scores[1] == str(len(of_runs)) == "3"
        # Both are rounded to two decimals.
        assert float(scores[2]) == pytest.approx(np.mean(of_runs), abs=0.01)
        means[group.name] = float(scores[2])
    (pair,) = (row for row in page.rows if len(row) == 7 and row[0] in means and row[1] in means)
    difference = float(pair[3].replace("−", "-"))
    assert difference == pytest.approx(means[pair[0]] - means[pair[1]], abs=0.02)
