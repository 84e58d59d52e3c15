"""The ablation of pointwise convolutions: axes, tables, and that nothing is trained twice."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch.nn import functional

import experiments.studies.series as series
from experiments.assembly.construct import model_plan, trained_model
from experiments.config.recipe import list_recipes, load_config
from experiments.records.folder import RunFolder
from experiments.report.write import write_report
from experiments.studies.axes import Axes
from experiments.studies.qpc.axes import LOSSES, OPTIMISERS, QpcSetting
from experiments.studies.qpc.study import QpcStudy
from experiments.training.optimise import build_loss
from models import POINTWISE_ARMS, PointwiseSpec
from qbackend.errors import ConfigError, OptionError, SpecError, UnknownNameError

from ..support.command_line import Qhc, assert_refused, exit_code, without_reports

RECIPES = ("qpc-fashionmnist", "qpc-cifar10", "qpc-mobilenet", "qpc-resnet")
COMMAND = (
    "ablate", "qpc", "--dataset", "digits", "--epochs", "1", "--seeds", "2", "--jobs", "1",
    "--arm", "quantum,conv", "--depth", "1", "--loss", "cross_entropy,margin",
    "--optimiser", "adamw",
)  # fmt: skip

STUDY = QpcStudy()

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One small ablation: circuits and convolutions under two losses, two seeds."""
    with without_reports():
        path = tmp_path_factory.mktemp("ablation") / "out"
        assert exit_code(*COMMAND, "--out", str(path)) == 0
        yield path


def rows_of(folder: Path) -> Rows:
    with (folder / "qpc.csv").open() as file:
        return list(csv.DictReader(file))


def outcome(test: float) -> dict[str, float]:
    numbers = {"parameters": 10, "quantum_parameters": 4, "seconds": 1.0, "cpu_seconds": 2.0}
    return {**numbers, "validation": 0.9, "test_best": test, "test_last": test - 0.1}


def test_the_star_compares_each_training_with_the_convolution() -> None:
    star = STUDY.settings()
    assert STUDY.combine(Axes.typed(STUDY.axes, {}).centre) == QpcSetting(
        "quantum", 2, "cross_entropy", "adamw"
    )
    # All arms, the other depths, two more losses and two more optimisers for two arms each.
    assert len(star) == len(set(star)) == len(POINTWISE_ARMS) + 3 + 2 * 2 + 2 * 2
    assert {STUDY.reference(setting) for setting in star} <= set(star)
    # Depth means nothing to two of the arms.
    every = STUDY.settings(full=True)
    assert len(every) == ((len(POINTWISE_ARMS) - 2) * 4 + 2) * 3 * 3
    assert set(star) < set(every)


def test_the_table_of_record_has_a_row_per_arm_and_depth() -> None:
    star = STUDY.settings(loss="cross_entropy", optimiser="adamw")
    assert [s.depth for s in star if s.arm == "quantum"] == [1, 2, 4, 8]
    assert {s.arm for s in star} == set(POINTWISE_ARMS)
    assert len(star) == len(POINTWISE_ARMS) + 3


@pytest.mark.parametrize(
    ("typed", "error", "words"),
    [
        ({"arm": "low_rank"}, UnknownNameError, "did you mean 'low-rank'"),
        ({"loss": "margins"}, UnknownNameError, "did you mean 'margin'"),
        ({"optimiser": "adamww"}, UnknownNameError, "did you mean 'adamw'"),
        ({"depth": "deep"}, OptionError, "'deep' is not a depth"),
        ({"depth": "0"}, OptionError, "at least 1, got 0"),
        ({"arm": ","}, OptionError, "arm needs at least one value"),
    ],
)
def test_mistakes_on_an_axis(typed: dict[str, str], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        STUDY.settings(**typed)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--recipe", "digits"), "'hybrid-digits' has no pointwise convolutions to exchange"),
        (("--set", "layer.n_wires=3"), "pointwise layers have no 'n_wires'"),
        (("--set", "layer.pattern=fc*"), "'fc*' matches no 1x1 convolution"),
        (("--set", "fabric.devices=2"), "leave fabric.devices at 1"),
        (("--jobs", "0"), "jobs must be at least 1"),
    ],
)
def test_mistakes_leave_with_2_before_anything_is_made(
    qhc: Qhc, arguments: tuple[str, ...], words: str
) -> None:
    assert_refused(qhc, words, "ablate", "qpc", "--dataset", "digits", "--jobs", "1", *arguments)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipes_resolve_for_every_setting(recipe: str) -> None:
    assert recipe in list_recipes()
    plain = load_config(recipe)
    assert model_plan(plain).is_pixelwise
    for setting in STUDY.settings():
        settings = [f"{key}={value}" for key, value in STUDY.values(setting).items()]
        config = load_config(recipe, settings)
        assert (config.model.arm, config.train.optimiser) == (setting.arm, setting.optimiser)
        spec = model_plan(config).spec
        assert isinstance(spec, PointwiseSpec)
        assert setting.depth in (None, spec.depth)
        # Nothing but what the setting names differs, so that like is compared with like.
        assert config.data == plain.data
        assert config.train.epochs == plain.train.epochs
        if setting.optimiser == plain.train.optimiser:
            assert config.train.lr == plain.train.lr
    assert load_config(recipe, ["train.optimiser=sgd"]).train.lr == 0.1
    assert load_config(recipe, ["train.optimiser=sgd", "train.lr=0.3"]).train.lr == 0.3


def test_the_layer_section_changes_the_pointwise_convolutions() -> None:
    chosen = ["layer.n_layers=5", "layer.ansatz=unentangled", "layer.pattern=stages.1.*"]
    config = load_config("qpc-cifar10", chosen)
    assert model_plan(config).spec == PointwiseSpec(5, "unentangled", "stages.1.*")
    assert not model_plan(load_config("digits")).is_pixelwise
    with pytest.raises(SpecError, match="no 'observables'"):
        model_plan(load_config("qpc-cifar10", ['layer.observables=["ZZ"]']))


def test_losses_are_what_their_names_say() -> None:
    logits = torch.tensor([[2.0, 1.5, -1.0], [0.0, 3.0, 1.0]])
    labels = torch.tensor([0, 2])
    found = {
        name: build_loss(
            load_config("qpc-cifar10", [f"train.{key}={value}" for key, value in values.items()])
        )(logits, labels).item()
        for name, values in LOSSES.items()
    }
    # Hinges over the other classes, divided by the number of classes: 0.5 and 0; 0 and 3.
    assert found["margin"] == pytest.approx((0.5 / 3 + 3.0 / 3) / 2)
    assert found["cross_entropy"] == pytest.approx(
        -functional.log_softmax(logits, dim=1)[[0, 1], labels].mean().item()
    )
    uniform = -functional.log_softmax(logits, dim=1).mean().item()
    assert found["label_smoothing"] == pytest.approx(0.9 * found["cross_entropy"] + 0.1 * uniform)
    with pytest.raises(ConfigError) as caught:
        load_config("qpc-cifar10", ["train.loss=margin", "train.label_smoothing=0.1"])
    assert "label_smoothing goes with cross_entropy" in str(caught.value)


def test_a_summary_by_hand() -> None:
    circuit = QpcSetting("quantum", 2, "margin", "sgd")
    conv = STUDY.reference(circuit)
    found = STUDY.summarise(
        {
            (circuit, 0): outcome(0.6),
            (circuit, 1): outcome(0.7),
            (conv, 0): outcome(0.59),
            (conv, 1): outcome(0.71),
        }
    )
    assert [each.setting for each in found] == [circuit, conv]
    one, reference = found
    assert (one.test.mean, one.last.mean) == pytest.approx((0.65, 0.55))
    assert reference.difference is None
    assert one.difference is not None
    # Differences of +0.01 and -0.01: their deviation over the root of two, times Student's t.
    reach = stats.t.ppf(0.975, 1) * math.sqrt(0.0002) / math.sqrt(2)
    assert one.difference.mean == pytest.approx(0.0)
    assert (one.difference.low, one.difference.high) == pytest.approx((-reach, reach))
    (alone,) = STUDY.summarise({(circuit, 0): outcome(0.6)})
    assert alone.difference is None


def test_the_tables_have_every_run_and_every_setting(folder: Path) -> None:
    rows = rows_of(folder)
    assert {(row["arm"], row["loss"], row["seed"]) for row in rows} == {
        (arm, loss, seed)
        for arm in ("quantum", "conv")
        for loss in ("cross_entropy", "margin")
        for seed in "01"
    }
    assert len(rows) == 8
    for row in rows:
        assert row["depth"] == ("1" if row["arm"] == "quantum" else "")
        weights = 8 * 12 + 13 * 15 if row["arm"] == "quantum" else 0
        assert int(row["quantum_parameters"]) == weights
        assert 0 <= float(row["test_best"]) <= 1
    saved = json.loads((folder / "qpc.json").read_text())
    assert len(saved["cells"]) == 8
    assert [each["setting"]["arm"] for each in saved["settings"]].count("quantum") == 2
    text = (folder / "qpc.txt").read_text()
    assert "best minus conv" in text
    assert "…" not in text
    page = (folder / "report.html").read_text()
    assert "circuits and controls" in page
    assert (folder / "figures" / "accuracy.png").exists()


def test_a_run_of_the_ablation_is_a_run_like_any_other(folder: Path) -> None:
    run = RunFolder.open(folder / "runs" / "quantum-depth1-cross_entropy-adamw-seed0")
    assert run.status == "finished"
    model, info = trained_model(run.checkpoint, backend="aer", seed=0)
    assert (info.model, info.arm) == ("qpcnn-s", "quantum")
    assert info.spec == PointwiseSpec(1).to_dict()
    (row,) = [
        row
        for row in rows_of(folder)
        if (row["arm"], row["loss"], row["seed"]) == ("quantum", "cross_entropy", "0")
    ]
    best = [each for each in run.evaluations() if each.checkpoint == "best"]
    assert float(row["test_best"]) == best[-1].accuracy
    assert sum(p.numel() for p in model.parameters()) == int(row["parameters"])


def test_the_same_command_trains_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a finished run was trained again")

    before = (folder / "qpc.csv").read_bytes()
    monkeypatch.setattr(series, "start", refuse)
    monkeypatch.setattr(series, "resume", refuse)
    # Finished runs are known even where their outcomes were lost.
    (folder / "cells.jsonl").unlink()
    assert exit_code(*COMMAND, "--out", str(folder)) == 0
    assert (folder / "qpc.csv").read_bytes() == before


def test_another_recipe_does_not_mix_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = [*COMMAND, "--set", "train.lr=0.5", "--out", str(folder)]
    assert exit_code(*changed) == 2
    assert "train.lr is 0.01 there and 0.5 here" in capsys.readouterr().err


def test_a_checkpoint_answers_on_another_backend(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = folder / "runs" / "quantum-depth1-cross_entropy-adamw-seed0"
    chosen = ("--backend", "aer", "--limit", "50", "--json", "--out", str(tmp_path / "again"))
    assert exit_code("run", "--checkpoint", str(run), *chosen) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["backend"], answer["n_images"]) == ("aer", 50)
    page = write_report([tmp_path / "again"]).read_text()
    assert "with quantum pointwise convolutions of depth 1" in page


def test_every_optimiser_of_the_ablation_can_be_trained_with() -> None:
    for name in OPTIMISERS:
        assert load_config("qpc-cifar10", [f"train.optimiser={name}"]).train.optimiser == name
