"""The noise ablation: its axes, its cells, its tables, and that nothing is done twice."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import experiments.studies.series as series
from experiments.assembly.construct import quantum_layers, trained_model
from experiments.assembly.fabric import FABRICS_OWN
from experiments.assembly.feed import evaluation_split, load_images
from experiments.config.recipe import load_config
from experiments.data.batches import BatchSource
from experiments.evaluation.evaluate import evaluate
from experiments.records.folder import RunFolder
from experiments.studies.axes import Axes
from experiments.studies.noise.axes import ALL, NoiseSetting
from experiments.studies.noise.outcome import noise_of, scores
from experiments.studies.noise.study import NoiseStudy
from experiments.studies.noise.summary import NoiseScores
from models import to_backend
from qbackend import get_backend
from qbackend.devices.noise_spec import NoiseSpec
from qbackend.errors import OptionError, UnknownNameError
from qbackend.seam.uncertainty import paired_share_interval
from qbackend.validation.records.environment import versions

from ..support.command_line import Qhc, assert_refused, exit_code, without_reports

DEVICE = "fake_manila"
STUDY = NoiseStudy()
CENTRE = NoiseSetting("fake_brisbane", ALL, 1.0, None, "compact", "ideal")
N_IMAGES = 60
COMMAND = (
    "ablate", "noise", "--epochs", "1", "--limit", str(N_IMAGES), "--seeds", "1", "--jobs", "1",
    "--calibrate", "30", "--device", DEVICE, "--part", "all", "--part", "readout",
    "--strength", "0,1", "--shots", "exact,64", "--preparation", "compact",
)  # fmt: skip

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One small ablation, all trainings and a part of every other axis."""
    with without_reports():
        path = tmp_path_factory.mktemp("ablation") / "out"
        assert exit_code(*COMMAND, "--out", str(path)) == 0
        yield path


def rows_of(folder: Path) -> Rows:
    with (folder / "noise.csv").open() as file:
        return list(csv.DictReader(file))


def the_row(rows: Rows, **wanted: str) -> dict[str, str]:
    usual = {"device": DEVICE, "part": ALL, "strength": "1.0", "shots": "exact"}
    chosen = {**usual, "training": "ideal", **wanted}
    (found,) = [row for row in rows if all(row[key] == value for key, value in chosen.items())]
    return found


def test_the_star_varies_strength_with_device_and_part_and_the_rest_alone() -> None:
    star = STUDY.settings()
    assert STUDY.combine(Axes.typed(STUDY.axes, {}).centre) == CENTRE
    # Devices by strengths, the other parts by strengths, and what is left of the other axes.
    assert len(star) == 6 * 6 + 4 * 6 + 4 + 1 + 2
    assert len(set(star)) == len(star)
    every = STUDY.settings(full=True)
    assert len(every) == 6 * 5 * 6 * 5 * 2 * 3
    assert set(star) < set(every)


def test_lists_narrow_the_axes() -> None:
    chosen = {"device": "ibm_fez", "strength": "1/4, 2", "shots": "exact,16"}
    axes = Axes.typed(STUDY.axes, chosen)
    values = [axes.values[name] for name in chosen]
    assert values == [("ibm_fez",), (0.25, 2.0), (None, 16)]
    assert axes.values["part"] == Axes.typed(STUDY.axes, {}).values["part"]
    # What the centre would have is not among the strengths: the first one stands in.
    assert axes.centre["strength"] == 0.25


def test_the_table_of_the_readme_has_four_settings() -> None:
    star = STUDY.settings(device="fake_brisbane", part="all", strength="1", shots="4096")
    assert {(each.preparation, each.training) for each in star} == {
        ("compact", "ideal"),
        ("textbook", "ideal"),
        ("compact", "noise-aware"),
        ("compact", "calibrated"),
    }
    assert {(each.device, each.part, each.strength, each.shots) for each in star} == {
        ("fake_brisbane", "all", 1.0, 4096)
    }


def test_a_setting_says_how_strong_each_part_is() -> None:
    assert noise_of(replace(CENTRE, strength=2.0)) == NoiseSpec(2.0, 2.0, 2.0, 2.0, 0.0)
    readout = replace(CENTRE, part="readout", strength=0.5)
    assert noise_of(readout) == NoiseSpec(0.0, 0.0, 0.0, 0.5, 0.0)


@pytest.mark.parametrize(
    ("typed", "error", "words"),
    [
        ({"device": "fake_brisbone"}, UnknownNameError, "did you mean 'fake_brisbane'"),
        ({"part": "read_out"}, UnknownNameError, "did you mean 'readout'"),
        ({"preparation": "dense"}, UnknownNameError, "known: compact, textbook"),
        ({"training": "noise_aware"}, UnknownNameError, "did you mean 'noise-aware'"),
        ({"strength": "-1"}, OptionError, "at least 0, got -1"),
        ({"strength": "high"}, OptionError, "'high' is not a strength"),
        ({"strength": "1/0"}, OptionError, "'1/0' is not a strength"),
        ({"shots": "0"}, OptionError, "shots must be at least 1"),
        ({"shots": "many"}, OptionError, "write one, or 'exact'"),
        ({"part": ","}, OptionError, "part needs at least one value"),
    ],
)
def test_mistakes_on_an_axis(typed: dict[str, str], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        STUDY.settings(**typed)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--device", "fake_fes"), "did you mean 'fake_fez'"),
        (("--engine", "rai"), "did you mean 'ray'"),
        (("--recipe", "digit"), "did you mean 'digits'"),
        (("--set", "model.arm=linear"), "has no circuit for noise"),
        (("--limit", "0"), "limit must be at least 1"),
        (("--calibrate", "1"), "calibrate must be at least 2"),
        (("--jobs", "0"), "jobs must be at least 1"),
    ],
)
def test_mistakes_leave_with_2_before_anything_is_made(
    qhc: Qhc, arguments: tuple[str, ...], words: str
) -> None:
    assert_refused(qhc, words, "ablate", "noise", *arguments)


def test_scores_by_hand() -> None:
    ideal = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 0], bool)
    right = np.array([1, 1, 1, 1, 0, 0, 0, 1, 0, 0], bool)
    found = scores(right, ideal)
    assert (found["n_images"], found["n_right"], found["accuracy"]) == (10, 5, 0.5)
    assert found["ideal_accuracy"] == pytest.approx(0.7)
    assert found["lost"] == pytest.approx(0.2)
    # Wilson's interval for 5 of 10, with z = 1.96.
    z = 1.959963984540054
    reach = z / (1 + z**2 / 10) * math.sqrt(0.025 + z**2 / 400)
    assert found["accuracy_low"] == pytest.approx(0.5 - reach)
    assert found["accuracy_high"] == pytest.approx(0.5 + reach)
    # Three images became wrong and one right, four stayed right and two wrong.
    assert (found["lost_low"], found["lost_high"]) == paired_share_interval(4, 3, 1, 2)


def test_what_no_image_shows_may_still_be_lost() -> None:
    """Two models that are right about the same images; also where that is all of them."""
    for right in (np.arange(200) > 1, np.ones(200, bool)):
        found = scores(right, right)
        assert found["lost"] == 0
        # If one image in a hundred changed, 200 would show none with a probability of 0.13.
        assert found["lost_low"] < -0.01 < 0.01 < found["lost_high"]


def over_seeds(*outcomes: dict[str, Any]) -> NoiseScores:
    (found,) = STUDY.summarise({(CENTRE, seed): each for seed, each in enumerate(outcomes)})
    return found


def test_a_summary_by_hand() -> None:
    one = {**scores(np.array([True] * 4), np.array([True] * 4)), "rmse": 0.3, "two_qubit_gates": 11}
    other = {**one, "accuracy": 0.5, "lost": 0.5, "rmse": 0.4}
    alone = over_seeds(one)
    assert alone.interval == (one["accuracy_low"], one["accuracy_high"])
    both = over_seeds(one, other)
    assert (both.accuracy.mean, both.lost, both.two_qubit_gates) == (0.75, 0.25, 11)
    assert both.rmse == pytest.approx(math.sqrt((0.09 + 0.16) / 2))
    # Half the difference times Student's t for one degree of freedom is more than can be lost.
    reach = 0.25 * stats.t.ppf(0.975, 1)
    assert reach > 1
    assert both.lost_interval == (-1.0, 1.0)
    assert both.interval == (0.0, 1.0)
    near = {**one, "lost": 0.01}
    small = over_seeds({**near, "n_images": 1000}, {**near, "lost": 0.02})
    reach = 0.005 * stats.t.ppf(0.975, 1)
    assert small.lost_interval == pytest.approx((0.015 - reach, 0.015 + reach))


def test_seeds_that_lose_the_same_leave_an_interval() -> None:
    """Four images tell no deviation of less than one in four."""
    one = {**scores(np.array([True] * 4), np.array([True] * 4)), "rmse": 0.3, "two_qubit_gates": 11}
    found = over_seeds(*[one] * 5)
    reach = stats.t.ppf(0.975, 4) / 4 / math.sqrt(5)
    assert found.lost_interval == pytest.approx((-reach, reach))
    assert found.interval == (pytest.approx(1 - reach), 1.0)


def test_the_model_without_noise_loses_nothing_to_itself(folder: Path) -> None:
    (ideal,) = (row for row in rows_of(folder) if row["device"] == "none")
    assert (ideal["lost"], ideal["lost_low"], ideal["lost_high"]) == ("0.0", "", "")
    (saved, *_) = json.loads((folder / "noise.json").read_text())["settings"]
    assert (saved["setting"], saved["lost_interval"]) == (None, None)


def test_the_table_has_a_row_for_every_cell(folder: Path) -> None:
    rows = rows_of(folder)
    star = STUDY.settings(
        device=DEVICE, part="all,readout", strength="0,1", shots="exact,64", preparation="compact"
    )
    assert len(rows) == 1 + len(star) == 1 + 2 * 2 + 1 + 2
    cells = [row for row in rows if row["device"] == DEVICE]
    assert {
        (row["part"], float(row["strength"]), row["shots"], row["training"]) for row in cells
    } == {(each.part, each.strength, str(each.shots or "exact"), each.training) for each in star}
    for row in rows:
        assert float(row["accuracy"]) == int(row["n_right"]) / int(row["n_images"])
        assert int(row["n_images"]) == N_IMAGES
        assert float(row["ideal_accuracy"]) - float(row["accuracy"]) == pytest.approx(
            float(row["lost"])
        )
    saved = json.loads((folder / "noise.json").read_text())
    assert len(saved["cells"]) == len(rows)
    assert (folder / "report.html").exists()


def test_no_noise_costs_nothing_and_noise_costs_something(folder: Path) -> None:
    rows = rows_of(folder)
    # The outputs to compare with left the layer in the features' float32.
    assert float(the_row(rows, strength="0.0")["rmse"]) < 1e-6
    assert float(the_row(rows)["rmse"]) > 1e-4
    assert float(the_row(rows, training="calibrated")["rmse"]) < float(the_row(rows)["rmse"])
    assert float(the_row(rows, part="readout")["rmse"]) > 1e-4
    assert float(the_row(rows, shots="64")["rmse"]) > float(the_row(rows)["rmse"])


@pytest.mark.parametrize("training", ["ideal", "noise-aware"])
def test_a_cell_is_the_model_on_the_noisy_backend(folder: Path, training: str) -> None:
    name = "ideal-seed0" if training == "ideal" else f"{DEVICE}-compact-seed0"
    run = RunFolder.open(folder / "models" / name)
    config = run.config()
    data = load_images(config, Path("data"), torch.device("cpu"))
    split = evaluation_split(data.test, N_IMAGES, 0)
    model, info = trained_model(run.checkpoint, backend="aer", seed=0)

    def answers() -> tuple[float, np.ndarray]:
        images = BatchSource(split, 32, device="cpu", mean=info.mean, std=info.std).epoch()
        found = evaluate(model, images, data.classes, 0.0)
        assert found.outputs is not None
        return found.scores.accuracy, found.outputs.numpy()

    _, ideal = answers()
    to_backend(model, get_backend(f"native:{DEVICE}", preparation="compact"))
    accuracy, noisy = answers()
    row = the_row(rows_of(folder), training=training)
    assert float(row["accuracy"]) == accuracy
    assert float(row["rmse"]) == pytest.approx(math.sqrt(np.mean((noisy - ideal) ** 2)), abs=1e-6)
    compiled = quantum_layers(model)[0].neural_network.compiled
    assert int(row["two_qubit_gates"]) == compiled.record["two_qubit_gates"]


def forbid(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError(f"{name} was called again")

    monkeypatch.setattr(module, name, refuse)


def test_the_same_command_computes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / "noise.csv").read_bytes()
    forbid(monkeypatch, series, "start")
    forbid(monkeypatch, NoiseStudy, "compute")
    assert exit_code(*COMMAND, "--out", str(folder)) == 0
    assert (folder / "noise.csv").read_bytes() == before


def test_a_killed_ablation_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = folder / "cells.jsonl"
    lines = cells.read_bytes().splitlines(keepends=True)
    before = [{k: v for k, v in row.items() if k != "seconds"} for row in rows_of(folder)]
    # Two outcomes are lost, and half of the last line is there.
    cells.write_bytes(b"".join(lines[:-2]) + lines[-2][:20])
    forbid(monkeypatch, series, "start")
    computed = []
    compute = NoiseStudy.compute
    monkeypatch.setattr(
        NoiseStudy, "compute", lambda *given: [computed.append(given), compute(*given)][1]
    )
    assert exit_code(*COMMAND, "--out", str(folder)) == 0
    assert len(computed) == 2
    after = [{k: v for k, v in row.items() if k != "seconds"} for row in rows_of(folder)]
    assert after == before


def test_cells_are_found_by_the_names_that_they_always_had(folder: Path) -> None:
    """What is called a preparation was an encoder then; later keys did not count yet."""
    values = ("train.epochs=1", "run.threads=1", "run.seed=0", "run.preparation=compact")
    config = load_config("digits", [*values, f"run.backend=native:{DEVICE}"]).to_dict()
    config["run"]["encoder"] = config["run"].pop("preparation")
    config["fabric"] = {key: config["fabric"][key] for key in FABRICS_OWN}
    setting = asdict(replace(CENTRE, device=DEVICE, training="noise-aware"))
    setting["encoder"] = setting.pop("preparation")
    inputs = {"config": config, "setting": setting, "limit": N_IMAGES, "calibrate": None}
    software = {name: found for name, found in versions().items() if name != "commit"}
    text = json.dumps({**inputs, "versions": software}, sort_keys=True)
    former = hashlib.sha256(text.encode()).hexdigest()[:16]
    row = outcomes(folder)[former]
    assert row["accuracy"] == float(the_row(rows_of(folder), training="noise-aware")["accuracy"])


def test_another_recipe_does_not_mix_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = [*COMMAND, "--set", "train.lr=0.5", "--out", str(folder)]
    assert exit_code(*changed) == 2
    assert "train.lr is 0.01 there and 0.5 here" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["loky", "threading", "dask", "ray"])
def test_engines_and_numbers_of_jobs_change_no_bit(
    folder: Path, tmp_path: Path, engine: str
) -> None:
    pytest.importorskip({"dask": "distributed", "ray": "ray"}.get(engine, "joblib"))
    torch.set_num_threads(2)
    command = [*COMMAND, "--engine", engine]
    command[command.index("--jobs") + 1] = "2"
    with without_reports():
        assert exit_code(*command, "--out", str(tmp_path / "out")) == 0
    assert outcomes(tmp_path / "out") == outcomes(folder)
    for path in (folder / "models").glob("*/checkpoint.safetensors"):
        again = tmp_path / "out" / path.relative_to(folder)
        assert again.read_bytes() == path.read_bytes()


def outcomes(folder: Path) -> dict[str, dict[str, object]]:
    """By the cell's name, without times."""
    rows = [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()]
    return {row["cell"]: {**row, "seconds": None} for row in rows}
