"""The report: what it says, that it stands alone, and its statistics."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot

from experiments.record import RunFolder
from experiments.report import figures, write_report
from experiments.report.circuit import DRAWN_LAYERS, readable_circuit
from experiments.report.comparison import (
    Group,
    band,
    group_runs,
    paired_difference,
    spread,
)
from experiments.report.projection import MAX_POINTS, pca, subsample, tsne
from experiments.report.records import Run, read_run
from experiments.report.style import looks
from qbackend.ansatze import Cnots
from qbackend.errors import RecordError, RunFolderError
from qbackend.spec import LayerSpec

from .runs import synthetic_run

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


class Page(HTMLParser):
    """What a test asks of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.in_cell = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attributes}))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.in_cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.in_cell:
            self.rows[-1][-1] += data.strip()

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def sections(self) -> list[str]:
        return [attributes["id"] for attributes in self.all("section")]

    @property
    def pictures(self) -> set[str]:
        return {attributes["alt"] for attributes in self.all("img")}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = synthetic_run(tmp_path_factory.mktemp("runs") / "digits", n_images=120)
    write_report([folder])
    return folder


def drawn(folder: Path) -> set[str]:
    return {path.stem for path in (folder / "figures").glob("*.png")}


def test_a_page_is_the_runs_and_names_it(digits: Path) -> None:
    page = Page(digits / "report.html")
    assert page.sections == ALL_SECTIONS
    assert "digits · quantum · aer" in page.text
    assert (
        "The model hybrid-digits with its 4-wire quantum layer was trained on digits" in page.text
    )
    assert "qhc run --recipe digits --seed 0" in page.text


def test_numbers_are_those_of_the_records(digits: Path) -> None:
    page = Page(digits / "report.html")
    run = read_run(digits)
    (found,) = run.evaluations
    low, high = (100 * bound for bound in found["accuracy_interval"])
    scores = [f"{100 * found[name]:.2f}" for name in ("precision", "recall", "f1")]
    accuracy = f"{100 * found['accuracy']:.2f}"
    assert [
        "test, best epoch",
        "aer (exact)",
        "120",
        f"{found['loss']:.4f}",
        accuracy,
        f"{low:.2f} to {high:.2f}",
        *scores,
        f"{found['seconds']:.2f}",
    ] in page.rows
    for record in found["per_class"]:
        row = [f"{100 * record[name]:.2f}" for name in ("precision", "recall", "f1")]
        assert [record["class"], str(record["support"]), *row] in page.rows
    median = np.median([epoch["seconds"] for epoch in run.epochs[1:]])
    assert f"{1000 * median:.1f} ms" in page.text
    assert f"{max(epoch['peak_memory_mib'] for epoch in run.epochs):.1f} MiB" in page.text
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
    matrix = np.array(found["confusion"])
    np.fill_diagonal(matrix, 0)
    rows = Page(digits / "report.html").rows
    first = rows[rows.index(["True class", "Predicted class", "Images", "Share (%)"]) + 1]
    assert int(first[2]) == matrix.max() > 0
    assert matrix[int(first[0]), int(first[1])] == matrix.max()


def test_a_page_stands_alone(digits: Path) -> None:
    page = Page(digits / "report.html")
    assert not page.all("script")
    assert not page.all("link")
    assert page.all("img")
    assert all(each["src"].startswith("data:image/png;base64,") for each in page.all("img"))
    assert all(each["alt"] and each["width"] and each["height"] for each in page.all("img"))
    assert [each["href"] for each in page.all("a")] == [f"#{name}" for name in page.sections]
    assert "url(" not in (digits / "report.html").read_text()
    assert len(page.all("title")) == 1


def test_every_picture_is_a_file_too(digits: Path) -> None:
    assert drawn(digits) == {
        *("loss", "accuracy", "f1", "confusion", "predictions-wrong", "predictions-right"),
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
    folder = synthetic_run(tmp_path / "run", epochs=0, n_images=40)
    RunFolder(folder).note("run", checkpoint="runs/other/checkpoint.safetensors")
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
    axes = figures.confusion(np.array(found["confusion"]), classes).axes[0]
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
    assert not page.all("script")
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


# Several runs


def of_values(name: str, values: Mapping[int, float]) -> Group:
    runs = [SimpleNamespace(seed=seed, value=value) for seed, value in values.items()]
    return Group(name, {}, cast(tuple[Run, ...], tuple(runs)))


def value(run: Any) -> float:
    return run.value


def test_spread_by_hand() -> None:
    found = spread([0.90, 0.92, 0.97])
    assert (found.n, found.mean) == (3, pytest.approx(0.93, abs=1e-15))
    # Deviations -0.03, -0.01, 0.04; their squares add up to 0.0026.
    assert found.deviation == pytest.approx(math.sqrt(0.0026 / 2), abs=1e-15)
    assert math.isnan(spread([0.9]).deviation)
    assert math.isnan(spread([]).mean)


def test_paired_difference_by_hand() -> None:
    first = of_values("a", {0: 0.90, 1: 0.92, 2: 0.94, 7: 0.10})
    second = of_values("b", {0: 0.88, 1: 0.91, 2: 0.90, 8: 0.99})
    found = paired_difference(first, second, value)
    assert found is not None
    # Differences 0.02, 0.01, 0.04: mean 0.07/3, variance 0.0014/6; t(0.975, 2) = 4.30265273.
    assert found.n_seeds == 3
    assert found.mean == pytest.approx(0.07 / 3, abs=1e-15)
    reach = 4.30265273 * math.sqrt(0.0014 / 6 / 3)
    assert (found.low, found.high) == pytest.approx((0.07 / 3 - reach, 0.07 / 3 + reach), abs=1e-9)


def test_one_shared_seed_makes_no_pair() -> None:
    assert (
        paired_difference(of_values("a", {0: 1.0, 1: 2}), of_values("b", {1: 1.0}), value) is None
    )


@given(
    st.dictionaries(st.integers(0, 20), st.floats(0, 1), min_size=2),
    st.dictionaries(st.integers(0, 20), st.floats(0, 1), min_size=2),
    st.floats(-1, 1),
)
def test_paired_differences_are_antisymmetric_and_ignore_what_seeds_share(
    ones: dict[int, float], others: dict[int, float], shift: float
) -> None:
    first, second = of_values("a", ones), of_values("b", others)
    found = paired_difference(first, second, value)
    if found is None:
        assert len(ones.keys() & others.keys()) < 2
        return
    back = paired_difference(second, first, value)
    assert back is not None
    assert (found.mean, found.low) == pytest.approx((-back.mean, -back.high), abs=1e-12)
    moved = paired_difference(
        of_values("a", {seed: each + shift * seed for seed, each in ones.items()}),
        of_values("b", {seed: each + shift * seed for seed, each in others.items()}),
        value,
    )
    assert moved is not None
    # Rounding of numbers up to 21, times t(0.975, 1) = 12.7.
    assert (moved.low, moved.high) == pytest.approx((found.low, found.high), abs=1e-12)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("several")
    folders = [
        synthetic_run(root / f"{arm}-{seed}", arm=arm, seed=seed, n_images=60)
        for arm in ("quantum", "linear")
        for seed in (3, 1, 2)
    ]
    noisy = synthetic_run(root / "noisy", backend="aer:ibm_brisbane", seed=1, epochs=8, n_images=60)
    return [*folders, noisy]


def test_groups_differ_in_more_than_the_seed(several: list[Path]) -> None:
    groups = group_runs([read_run(folder) for folder in several])
    assert [(group.name, [run.seed for run in group.runs]) for group in groups] == [
        ("quantum · aer", [1, 2, 3]),
        ("linear · aer", [1, 2, 3]),
        ("quantum · aer:ibm_brisbane", [1]),
    ]


def test_of_two_runs_alike_the_later_counts(several: list[Path]) -> None:
    earlier, later = read_run(several[0]), read_run(several[0])
    later.run["started"] = "2999-01-01T00:00:00+00:00"
    (group,) = group_runs([later, earlier])
    assert group.runs == (later,)


def test_a_band_covers_the_runs_that_reached_an_epoch(several: list[Path]) -> None:
    runs = [read_run(several[0]), read_run(several[-1])]
    found = band(Group("both", {}, tuple(runs)), "validation", "accuracy")
    assert list(found.epochs) == [1, 2, 3, 4, 5, 6, 7, 8]
    values = [run.epochs[1]["validation"]["accuracy"] for run in runs]
    assert found.mean[1] == pytest.approx(sum(values) / 2, abs=1e-15)
    assert found.deviation[1] == pytest.approx(abs(values[0] - values[1]) / math.sqrt(2), abs=1e-15)
    assert found.mean[7] == runs[1].epochs[7]["validation"]["accuracy"]


def test_several_runs_side_by_side(several: list[Path], tmp_path: Path) -> None:
    (several[0] / "report.html").touch()
    page = Page(write_report(several, tmp_path / "comparison"))
    assert page.sections == ["results", "differences", "curves", "cost", "settings", "runs"]
    for group in group_runs([read_run(folder) for folder in several]):
        values = np.array([run.evaluations[0]["accuracy"] for run in group.runs])
        (row,) = (row for row in page.rows if row[:1] == [group.name] and len(row) == 8)
        assert row[1:3] == [str(len(values)), f"{100 * values.mean():.2f}"]
        assert row[3] == (f"{100 * values.std(ddof=1):.2f}" if len(values) > 1 else "–")
    (pair,) = (row for row in page.rows if row[:2] == ["quantum · aer", "linear · aer"])
    assert pair[2] == "3"
    links = [each["href"] for each in page.all("a") if not each["href"].startswith("#")]
    (link,) = links
    assert (tmp_path / "comparison" / link).resolve() == (several[0] / "report.html").resolve()
    assert {"accuracy", "differences", "validation-loss"} <= drawn(tmp_path / "comparison")


def test_several_runs_go_beside_the_first(several: list[Path]) -> None:
    page = write_report(several[:2])
    assert page.parent.parent == several[0].parent
    assert page.parent.name.startswith("comparison-")


def test_looks_are_told_apart() -> None:
    arms = ("quantum", "quantum-frozen", "linear", "mlp", "none", "classical")
    backends = ("aer", "aer:ibm_brisbane", "ibm_brisbane")
    found = looks([(arm, backend) for arm in arms for backend in backends])
    assert len(set(found)) == len(found)
    assert len({look.colour for look in found}) == len({look.marker for look in found}) == len(arms)
    assert len(set(looks([("quantum", "aer")] * 4))) == 4


# Projections and the circuit


def test_pca_agrees_with_the_singular_values() -> None:
    features = np.random.default_rng(1).normal(size=(50, 5)) * [5, 3, 1, 1, 1]
    values = np.linalg.svd(features - features.mean(axis=0), compute_uv=False) ** 2
    found = pca(features)
    for axis, share in zip(found.axes, values / values.sum(), strict=False):
        assert f"{100 * share:.1f} % of variance" in axis
    assert found.points.var(axis=0) * len(features) == pytest.approx(values[:2], rel=1e-10)


@pytest.mark.parametrize("features", [np.ones((12, 4)), np.arange(12.0)[:, None]])
def test_projections_of_poor_features_are_finite(features: np.ndarray) -> None:
    for project in (pca, tsne):
        points = project(features).points
        assert points.shape == (12, 2)
        assert np.isfinite(points).all()


def test_tsne_is_repeatable_and_keeps_groups() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(60, 4)) + 50.0 * (np.arange(60) % 2)[:, None]
    first, second = (tsne(features).points for _ in range(2))
    assert np.array_equal(first, second)
    middles = [first[group::2].mean(axis=0) for group in (0, 1)]
    nearest = np.argmin([np.linalg.norm(first - middle, axis=1) for middle in middles], axis=0)
    assert np.array_equal(nearest, np.arange(60) % 2)


def test_a_subsample_is_small_sorted_and_fixed() -> None:
    chosen = subsample(10 * MAX_POINTS)
    assert len(set(chosen)) == MAX_POINTS
    assert np.array_equal(chosen, np.sort(chosen))
    assert np.array_equal(chosen, subsample(10 * MAX_POINTS))
    assert np.array_equal(subsample(7), np.arange(7))


@pytest.mark.parametrize("ansatz", ["basic_entangler", "strongly_entangling", "rotation_only"])
@pytest.mark.parametrize("encoding", ["amplitude", "angle"])
def test_the_drawing_is_the_layer_with_wire_0_on_top(encoding: str, ansatz: str) -> None:
    spec = LayerSpec(4, encoding, ansatz, n_layers=DRAWN_LAYERS)
    drawing = readable_circuit(spec)
    cnots = [
        tuple(drawing.find_bit(qubit).index for qubit in item.qubits)
        for item in drawing
        if item.operation.name == "cx"
    ]
    described = [op.pairs for op in spec.operations if isinstance(op, Cnots)]
    assert cnots == [pair for pairs in described for pair in pairs]
    weights = {parameter.name for parameter in drawing.parameters if parameter.name[0] == "w"}
    assert weights == {f"w[{index}]" for index in range(spec.n_weights)}
    assert drawing.count_ops()["read"] == 4


def test_a_deep_circuit_is_drawn_in_part(tmp_path: Path) -> None:
    folder = synthetic_run(
        tmp_path / "run", evaluated=False, epochs=0, settings=("layer.n_layers=9",)
    )
    page = Page(write_report([folder]))
    assert f"The first {DRAWN_LAYERS} of 9 layers are drawn" in page.text
