"""The report of a run: what it says, and that it stands alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

from experiments.report.pictures.projection import pca
from experiments.report.reading import read_run
from experiments.report.run import figures
from experiments.report.write import write_report
from qbackend.errors import RecordError, RunFolderError
from tests.support.runs import as_of_old, synthetic_run

from .pages import Page, drawn

ALL_SECTIONS = [
    "results",
    "curves",
    "confusion",
    "classes",
    "predictions",
    "features",
    "circuit",
    "cost",
    "protocol",
    "repeat",
]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = synthetic_run(tmp_path_factory.mktemp("runs") / "digits", n_images=120)
    write_report([folder])
    return folder


def test_a_page_is_the_runs_and_names_it(digits: Path) -> None:
    page = Page(digits / "report.html")
    assert page.sections == ALL_SECTIONS
    assert "digits · quantum · aer" in page.text
    assert (
        "The model hybrid-digits with its 4-wire quantum layer was trained on digits" in page.text
    )
    assert "qhc run --recipe digits --seed 0" in page.text


def test_a_run_of_old_has_the_same_page(digits: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(digits, tmp_path / "digits")
    as_of_old(folder)
    before = Page(folder / "report.html")
    page = Page(write_report([folder]))
    assert (page.rows, page.pictures) == (before.rows, before.pictures)


def test_numbers_are_those_of_the_records(digits: Path) -> None:
    page = Page(digits / "report.html")
    run = read_run(digits)
    (found,) = run.evaluations
    low, high = (100 * bound for bound in found.accuracy_interval)
    scores = [f"{100 * getattr(found, name):.2f}" for name in ("precision", "recall", "f1")]
    accuracy = f"{100 * found.accuracy:.2f}"
    assert [
        "test, best epoch",
        "aer (exact)",
        "120",
        f"{found.loss:.4f}",
        accuracy,
        f"{low:.2f} to {high:.2f}",
        *scores,
        f"{found.seconds:.2f}",
    ] in page.rows
    for record in found.per_class:
        row = [f"{100 * getattr(record, name):.2f}" for name in ("precision", "recall", "f1")]
        assert [record.name, str(record.support), *row] in page.rows
    median = np.median([epoch.seconds for epoch in run.epochs[1:]])
    assert f"{1000 * median:.1f} ms" in page.text
    assert f"{max(epoch.peak_memory_mib for epoch in run.epochs):.1f} MiB" in page.text
    assert ["Parameters", "12,345, of which 8 quantum"] in page.rows


def test_a_machines_jobs_and_seconds_are_told(tmp_path: Path) -> None:
    folder = synthetic_run(
        tmp_path / "run",
        backend="ibm_brisbane",
        settings=("run.shots=4000",),
        epochs=0,
        n_images=30,
        jobs=2,
        qpu_seconds=41.7,
    )
    page = Page(write_report([folder]))
    assert any(row[:1] == ["Evaluated"] and row[-2:] == ["Jobs", "QPU (s)"] for row in page.rows)
    (row,) = (row for row in page.rows if row[1:2] == ["ibm_brisbane (4,000 shots)"])
    assert row[-2:] == ["2", "41.7"]
    assert ["Jobs", "2, 41.7 s of QPU time"] in page.rows


def test_the_most_frequent_confusion_comes_first(digits: Path) -> None:
    (found,) = read_run(digits).evaluations
    matrix = np.array(found.confusion)
    np.fill_diagonal(matrix, 0)
    rows = Page(digits / "report.html").rows
    first = rows[rows.index(["True class", "Predicted class", "Images", "Share (%)"]) + 1]
    assert int(first[2]) == matrix.max() > 0
    assert matrix[int(first[0]), int(first[1])] == matrix.max()


def test_a_page_stands_alone(digits: Path) -> None:
    page = Page(digits / "report.html")
    assert not any("src" in each for each in page.all("script"))
    assert not page.all("link")
    assert page.all("svg")
    assert all(each["role"] == "img" and each["aria-label"] for each in page.all("svg"))
    links = [each.get("href", each.get("xlink:href", "")) for name, each in page.tags]
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links if link)
    assert [each["href"] for each in page.all("a")] == [f"#{name}" for name in page.sections]
    assert "url(h" not in (digits / "report.html").read_text()
    assert (digits / "report.html").read_text().partition("</head>")[0].count("<title>") == 1


def test_every_picture_is_a_file_too(digits: Path) -> None:
    assert drawn(digits) == {
        *("loss", "accuracy", "f1", "learning-rate", "seconds", "confusion"),
        *("predictions-wrong", "predictions-correct"),
        *("pca-before", "pca-after", "tsne-before", "tsne-after", "circuit"),
    }
    assert len(Page(digits / "report.html").pictures) == len(drawn(digits))


def test_drawing_leaves_no_trace_in_matplotlib(tmp_path: Path) -> None:
    settings = dict(matplotlib.rcParams)
    write_report([synthetic_run(tmp_path / "run", n_images=40)])
    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.parametrize(
    ("arm", "missing", "pictures"),
    [
        ("linear", {"circuit"}, {"pca-before", "pca-after", "tsne-before", "tsne-after"}),
        ("none", {"circuit"}, {"pca-before", "tsne-before"}),
        ("classical", {"circuit", "features"}, set()),
    ],
)
def test_what_a_model_does_not_have_is_left_out(
    tmp_path: Path, arm: str, missing: set[str], pictures: set[str]
) -> None:
    folder = synthetic_run(tmp_path / arm, arm=arm, n_images=40)
    page = Page(write_report([folder]))
    assert page.sections == [name for name in ALL_SECTIONS if name not in missing]
    assert {name for name in drawn(folder) if name.startswith(("pca", "tsne"))} == pictures
    assert "aer" not in page.all("title")


def test_an_interrupted_run_reports_what_there_is(tmp_path: Path) -> None:
    folder = synthetic_run(tmp_path / "run", epochs=2, evaluated=False, status="interrupted")
    page = Page(write_report([folder]))
    assert page.sections == ["curves", "circuit", "cost", "protocol", "repeat"]
    assert f"interrupted: 2 of 6 epochs recorded. Go on with: qhc resume {folder}" in page.text


def test_half_a_line_is_as_good_as_none(tmp_path: Path) -> None:
    folder = synthetic_run(tmp_path / "run", epochs=2, evaluated=False, status="running")
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"kind": "epo')
    assert len(read_run(folder).epochs) == 2


def test_a_validation_without_training_has_no_curves(tmp_path: Path) -> None:
    given = "runs/other/checkpoint.safetensors"
    folder = synthetic_run(tmp_path / "run", epochs=0, n_images=40, checkpoint=given)
    page = Page(write_report([folder]))
    assert "curves" not in page.sections
    assert "results" in page.sections
    assert ["Checkpoint", "runs/other/checkpoint.safetensors"] in page.rows


def test_a_run_that_has_only_begun_has_a_page(tmp_path: Path) -> None:
    folder = synthetic_run(tmp_path / "run", epochs=0, evaluated=False, status="running")
    assert Page(write_report([folder])).sections == ["circuit", "cost", "protocol", "repeat"]


def test_a_hundred_classes_scroll_and_carry_no_numbers(tmp_path: Path) -> None:
    classes = [f"class {index}" for index in range(100)]
    folder = synthetic_run(tmp_path / "run", arm="classical", classes=classes, n_images=200)
    page = Page(write_report([folder]))
    numbered = [row[:2] for row in page.rows if len(row) == 6]
    assert numbered[-100:] == [[str(index), name] for index, name in enumerate(classes)]
    assert any(each.get("class") == "scroll tall" for each in page.all("div"))
    (found,) = read_run(folder).evaluations
    axes = figures.confusion(np.array(found.confusion), classes).axes[0]
    assert not axes.texts
    points = pca(np.random.default_rng(0).normal(size=(300, 4)))
    assert not figures.scatter(points, np.arange(300) % 100, classes, "PCA").legends


def test_few_classes_have_their_counts_names_and_legend() -> None:
    matrix = np.array([[5, 0], [2, 3]])
    axes = figures.confusion(matrix, ["cat", "dog"]).axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["2", "3", "5"]
    points = pca(np.random.default_rng(0).normal(size=(20, 4)))
    (legend,) = figures.scatter(points, np.arange(20) % 2, ["cat", "dog"], "PCA").legends
    assert [text.get_text() for text in legend.get_texts()] == ["cat", "dog"]


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    classes = ["<script>alert(1)</script>", r"$\frac{1}$", *(str(index) for index in range(8))]
    folder = synthetic_run(tmp_path / "run", arm="classical", classes=classes, n_images=40)
    page = Page(write_report([folder]))
    assert "<script>alert" not in (folder / "report.html").read_text()
    assert r"$\frac{1}$" in page.text


@pytest.mark.parametrize("content", [None, "notes.txt"])
def test_a_folder_that_is_not_a_runs(tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "folder"
    if content:
        folder.mkdir()
        (folder / content).touch()
    with pytest.raises(RunFolderError, match="qhc report runs/"):
        write_report([folder])


def test_no_folder_at_all() -> None:
    with pytest.raises(RunFolderError, match="qhc report"):
        write_report([])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.jsonl", b"not JSON\n"),
        ("evaluation.npz", b"not an archive"),
        ("config.toml", b"[run]\nseed = 'x'\n"),
        ("state.json", b'{"status": "lost"}'),
        ("metrics.jsonl", b'{"kind": "epoch", "epoch": 1}\n'),
    ],
)
def test_damaged_records_are_named(digits: Path, tmp_path: Path, name: str, content: bytes) -> None:
    folder = shutil.copytree(digits, tmp_path / "run")
    (folder / name).write_bytes(content)
    with pytest.raises(RunFolderError, match=name):
        write_report([folder])


def test_a_folder_that_cannot_be_written_to(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "figures").touch()
    with pytest.raises(RecordError, match="figures"):
        write_report([digits], tmp_path)
