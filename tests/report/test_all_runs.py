"""All runs of a folder: which are found, what is said of each, and their page."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from experiments.records.folder import RunFolder
from experiments.report.all_runs.choosing import (
    KEYS,
    check_states,
    chosen_runs,
    sorted_runs,
    why_none,
)
from experiments.report.all_runs.curve import small_curve
from experiments.report.all_runs.lines import RunLine
from experiments.report.all_runs.listing import find_runs
from experiments.report.reading import read_run
from experiments.report.write import write_report
from qbackend.errors import RunFolderError, UnknownNameError
from tests.support.runs import as_of_old, synthetic_run

from .pages import Page


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every kind and state, a study with its cells, and folders that are none."""
    root = tmp_path_factory.mktemp("all") / "runs"
    synthetic_run(root / "first", n_images=40)
    (root / "first" / "report.html").touch()
    synthetic_run(root / "second", arm="linear", seed=3, n_images=40, epochs=4)
    given = {"checkpoint": "runs/first/checkpoint.safetensors"}
    synthetic_run(root / "machine", backend="ibm_fez", epochs=0, n_images=20, jobs=2,
                  qpu_seconds=12.5, settings=("run.shots=100",), **given)  # fmt: skip
    synthetic_run(root / "again", backend="fake_fez", epochs=0, n_images=20, **given,
                  repeats="runs/machine")  # fmt: skip
    synthetic_run(root / "stopped", epochs=2, evaluated=False, status="interrupted")
    synthetic_run(root / "gone", epochs=1, evaluated=False, status="running")
    RunFolder.open(root / "gone").note(process=2**22 + 1)
    synthetic_run(root / "failed", epochs=0, evaluated=False, status="failed")
    RunFolder.open(root / "failed").note(error="the machine is gone")
    synthetic_run(root / "old", n_images=40)
    as_of_old(root / "old")
    for seed in range(2):
        synthetic_run(root / "arms-digits" / f"quantum-seed{seed}", seed=seed, n_images=40)
    for end in ("json", "csv", "txt"):
        content = json.dumps({"recipe": "digits", "backend": "aer"}) if end == "json" else ""
        (root / "arms-digits" / f"arms.{end}").write_text(content)
    (root / "half" / "figures").mkdir(parents=True)
    (root / "half" / "cells.jsonl").write_text('{"cell": "a"}\n{"cell": "b"}\n{"ce')
    shutil.copytree(root / "first", root / "damaged")
    (root / "damaged" / "metrics.jsonl").write_text("nothing\n")
    (root / "website").mkdir()
    (root / "website" / "config.toml").write_text("[server]\nport = 80\n[run]\nfast = true\n")
    (root / "notes").mkdir()
    (root / "notes" / "config.toml").write_text("no = toml = at all")
    return root


@pytest.fixture(scope="module")
def lines(runs: Path) -> dict[str, RunLine]:
    return {line.name: line for line in find_runs(runs)}


def test_every_run_is_found_and_nothing_else(lines: dict[str, RunLine]) -> None:
    assert set(lines) == {
        *("first", "second", "machine", "again", "stopped", "gone", "failed", "old", "damaged"),
        *("arms-digits", "arms-digits/quantum-seed0", "arms-digits/quantum-seed1", "half"),
    }


def test_a_line_says_what_the_records_say(runs: Path, lines: dict[str, RunLine]) -> None:
    for name in ("first", "second", "old"):
        run, line = read_run(runs / name), lines[name]
        assert run.headline is not None
        assert run.best_epoch is not None
        assert (line.kind, line.state, line.recipe) == ("training", "finished", "digits")
        assert (line.model, line.arm, line.data) == ("hybrid-digits", run.arm, "digits")
        assert (line.backend, line.seed, line.shots) == ("aer", run.seed, None)
        assert (line.test, line.images) == (run.headline.accuracy, 40)
        assert line.validation == run.best_epoch.validation.accuracy
        assert line.epochs == len(run.epochs)
        assert line.curve == tuple(epoch.validation.accuracy for epoch in run.epochs)
        spent = sum(epoch.seconds + epoch.validation_seconds for epoch in run.epochs)
        assert line.seconds == pytest.approx(spent + run.headline.seconds)
        assert line.parameters == 12_345
        assert line.device_seconds is None
        assert line.started == run.state.started
    assert lines["second"].epochs_planned == 6


def test_kinds_and_states_are_told_apart(runs: Path, lines: dict[str, RunLine]) -> None:
    found = {name: (line.kind, line.state) for name, line in lines.items()}
    assert found["machine"] == ("validation", "finished")
    assert found["again"] == ("repeat", "finished")
    assert found["stopped"] == ("training", "interrupted")
    assert found["arms-digits"] == ("study", "finished")
    assert found["half"] == ("study", "unfinished")
    assert lines["machine"].device_seconds == 12.5
    assert lines["machine"].shots == 100
    assert lines["failed"].problem == "the machine is gone"
    assert lines["damaged"].state == "damaged"
    assert lines["damaged"].recipe == "digits"
    assert f"qhc resume {runs / 'gone'}" in lines["gone"].problem
    assert (lines["arms-digits"].compares, lines["arms-digits"].cells) == ("arms", 2)
    assert lines["half"].cells == 2
    assert {line.name for line in lines.values() if line.study} == {
        "arms-digits/quantum-seed0", "arms-digits/quantum-seed1",
    }  # fmt: skip


def test_a_run_in_this_process_is_alive(tmp_path: Path) -> None:
    synthetic_run(tmp_path / "run", epochs=1, evaluated=False, status="running")
    RunFolder.open(tmp_path / "run").note(process=os.getpid())
    (line,) = find_runs(tmp_path)
    assert (line.state, line.problem) == ("running", "")


@pytest.mark.parametrize("missing", ["state.json", "metrics.jsonl"])
def test_a_run_without_a_file_is_still_listed(runs: Path, tmp_path: Path, missing: str) -> None:
    folder = shutil.copytree(runs / "first", tmp_path / "run")
    (folder / missing).unlink()
    (line,) = find_runs(tmp_path)
    assert line.state == ("damaged" if missing == "state.json" else "finished")
    assert line.seed == 0


def test_a_validation_from_python_is_a_run_too(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.toml").write_text('kind = "own model"\n[run]\nbackend = "aer"\nseed = 1\n')
    (folder / "state.json").write_text('{"status": "finished", "started": "2026-01-02T03:04:05"}')
    stage = {"kind": "stage", "backend": "aer", "n_items": 30, "seconds": 2.0, "qpu_seconds": 1.5,
             "jobs": 1, "scores": {"accuracy": {"value": 0.9, "interval": [0.7, 1.0]}}}  # fmt: skip
    (folder / "metrics.jsonl").write_text(json.dumps(stage) + "\n")
    (line,) = find_runs(tmp_path)
    assert (line.kind, line.recipe, line.test, line.images) == ("validation", "own model", 0.9, 30)
    assert (line.seconds, line.device_seconds, line.other) == (2.0, 1.5, "")
    stage["scores"] = {"r2": {"value": None}, "mse": {"value": 0.0125, "interval": None}}
    (folder / "metrics.jsonl").write_text(json.dumps(stage) + "\n")
    (line,) = find_runs(tmp_path)
    assert (line.test, line.other) == (None, "mse 0.0125")
    assert "mse 0.0125" in write_report([tmp_path]).read_text()


def test_a_stopped_validation_has_an_ideal_accuracy_alone(tmp_path: Path) -> None:
    config = '[run]\nbackend = "fake_fez"\nbackends = ["aer", "fake_fez"]\n'
    (tmp_path / "config.toml").write_text(f'kind = "own model"\n{config}')
    (tmp_path / "state.json").write_text('{"status": "interrupted"}')
    stage = {"kind": "stage", "backend": "aer", "is_reference": True, "n_items": 30,
             "scores": {"accuracy": {"value": 0.9, "interval": None}}}  # fmt: skip
    (tmp_path / "metrics.jsonl").write_text(json.dumps(stage) + "\n")
    (line,) = find_runs(tmp_path)
    assert (line.test, line.other) == (None, "90.00 % by aer")


def test_several_models_in_one_run_are_counted_and_have_a_range(tmp_path: Path) -> None:
    synthetic_run(tmp_path / "run", epochs=0, evaluated=False)
    config = tmp_path / "run" / "config.toml"
    beside = '\n[[run.beside]]\ncheckpoint = "b"\n[[run.beside]]\ncheckpoint = "c"\n'
    config.write_text(config.read_text() + beside)
    (line,) = find_runs(tmp_path)
    assert (line.kind, line.models, line.model, line.arm) == ("models", 3, "3 models", "")
    assert (line.other, line.parameters) == ("", None)
    members = [{"accuracy": 0.5}, {"accuracy": 0.4, "corrected": {"accuracy": 0.75}},
               {"accuracy": 0.6, "corrected": None}]  # fmt: skip
    joint = {"kind": "joint", "n_images": 20, "members": members}
    (tmp_path / "run" / "metrics.jsonl").write_text(json.dumps(joint) + "\n")
    (line,) = find_runs(tmp_path)
    assert (line.test, line.other, line.images) == (None, "50.00 to 75.00 %", 20)
    (row,) = Page(write_report([tmp_path])).rows[1:]
    assert "3 models" in row
    assert "50.00 to 75.00 %20 images" in row


def test_an_ideal_accuracy_is_not_taken_for_the_machines(runs: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(runs / "machine", tmp_path / "run")
    metrics = folder / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace('"backend": "ibm_fez"', '"backend": "aer"'))
    (before,), (line,) = ([each for each in find_runs(runs) if each.name == "machine"],
                          find_runs(tmp_path))  # fmt: skip
    assert before.test is not None
    assert (line.test, line.other) == (None, f"{100 * before.test:.2f} % by aer")


def test_filters_take_patterns_and_several(runs: Path) -> None:
    found = find_runs(runs)

    def names(cells: bool = True, **wanted: tuple[str, ...]) -> set[str]:
        return {line.name for line in chosen_runs(found, wanted, cells=cells)}

    assert names(backend=("IBM_*",)) == {"machine"}
    assert names(backend=("ibm_*", "fake_*")) == {"machine", "again"}
    assert names(arm=("linear",), state=("finished",)) == {"second"}
    assert names(arm=("linear",), state=("failed",)) == set()
    assert names() - names(cells=False) == {
        "arms-digits/quantum-seed0", "arms-digits/quantum-seed1",
    }  # fmt: skip


def test_where_none_is_left_it_is_said_why(runs: Path) -> None:
    found = find_runs(runs)
    assert why_none(found, {"recipe": ("dgits",)}) == (
        "none has recipe 'dgits'; did you mean 'digits'?"
    )
    assert why_none(found, {"arm": ("linear",), "state": ("failed",)}) == (
        "none meets all of these filters"
    )
    check_states(("FIN*", "waiting"), found)
    with pytest.raises(UnknownNameError, match="did you mean 'finished'"):
        check_states(("finishd",), found)


def test_sorting_puts_what_has_no_value_last_either_way(runs: Path) -> None:
    found = find_runs(runs)
    times = [line.started for line in found]
    assert times == sorted(times, reverse=True)
    for key, value in KEYS.items():
        for reverse in (False, True):
            given = [value(line) for line in sorted_runs(found, key, reverse=reverse)]
            known = [each for each in given if each not in (None, "")]
            assert given[: len(known)] == known
            assert known == sorted(known, reverse=known[0] > known[-1])
    best = sorted_runs(found, "test")
    assert best[0].test == max(line.test for line in found if line.test is not None)
    assert sorted_runs(found, "name")[0].name == "again"
    with pytest.raises(UnknownNameError, match="did you mean 'test'"):
        sorted_runs(found, "tets")


def test_a_small_curve_marks_the_best_and_says_it() -> None:
    drawn = small_curve((0.2, 0.9, 0.5), "accuracy")
    assert "best 90.00 % after epoch 2, last 50.00 %" in drawn
    assert 'points="3.0,23.0 48.0,3.0 93.0,14.4"' in drawn
    assert 'cx="48.0" cy="3.0"' in drawn
    assert "best 0.2000 after epoch 1" in small_curve((0.2, 0.9, 0.5), "loss")
    assert small_curve((), "accuracy") == ""
    assert "NaN" not in small_curve((0.5,), "accuracy")
    long = small_curve(tuple(0.001 * n for n in range(1000)), "accuracy")
    assert len(long) < 1500


def test_the_page_has_a_row_for_each_and_links_that_lead_there(
    runs: Path, lines: dict[str, RunLine]
) -> None:
    page_file = write_report([runs])
    assert page_file == runs / "runs.html"
    page = Page(page_file)
    rows = {row[0].partition("in arms")[0]: row for row in page.rows[1:]}
    assert len(page.rows) == 1 + len(lines)
    assert page.rows[0][:3] == ["Run", "When", "Recipe"]
    links = [each["href"] for each in page.all("a")]
    assert sorted(links) == ["damaged/report.html", "first/report.html"]
    assert all((page_file.parent / link).exists() for link in links)
    assert "no report" in rows["secondno report"][0]
    assert f"{100 * (lines['second'].test or 0):.2f}40 images" in rows["secondno report"]
    assert "4 of 6" in rows["secondno report"]
    assert any("the machine is gone" in row[0] for row in page.rows)
    assert "11 runs and 2 studies" in page.text
    assert "Devices were charged 12.5 s." in page.text
    assert not any("src" in each for each in page.all("script"))
    assert not page.all("link")
    # Without JavaScript nothing is shown that would do nothing.
    assert all("hidden" in each for each in page.all("form"))
    assert all("hidden" in each for each in page.all("input") if each.get("type") == "checkbox")


def test_the_page_elsewhere_links_back(runs: Path, tmp_path: Path) -> None:
    page_file = write_report([runs], tmp_path / "pages")
    found = {(page_file.parent / each["href"]).resolve() for each in Page(page_file).all("a")}
    assert found == {(runs / name / "report.html").resolve() for name in ("first", "damaged")}


def test_names_on_the_page_are_text_and_never_markup(tmp_path: Path) -> None:
    synthetic_run(tmp_path / "<img src=x>'\"", epochs=1, evaluated=False)
    page = Page(write_report([tmp_path]))
    assert not page.all("img")
    assert any("<img src=x>'\"" in row[0] for row in page.rows)


def test_a_folder_without_runs_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"nor has any folder in it.*qhc report runs/"):
        write_report([tmp_path])
    with pytest.raises(RunFolderError, match="is no folder"):
        find_runs(tmp_path / "absent")
