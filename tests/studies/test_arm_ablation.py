"""`qhc ablate arms`: compared seed by seed, and never trained twice."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import ttest_rel

from experiments.records.folder import RunFolder

from ..support.command_line import Qhc


def test_arms_are_compared_seed_by_seed_and_never_trained_twice(
    qhc: Qhc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("ablate", "arms", "--arms", "quantum,linear,none", "--seeds", "3", "--epochs", "2",
               "--out", "arms", "--set", "train.batch_size=32")  # fmt: skip
    code, out, err = qhc(*command)
    assert code == 0, err
    content = json.loads((tmp_path / "arms" / "arms.json").read_text())
    quantum, linear, none = content["arms"]
    accuracy = {
        arm: [
            RunFolder.open(tmp_path / "arms" / f"{arm}-seed{seed}").evaluations()[-1].accuracy
            for seed in range(3)
        ]
        for arm in ("quantum", "linear", "none")
    }
    assert quantum["difference"] is None
    for scores in (quantum, linear, none):
        found = accuracy[scores["arm"]]
        assert scores["test"]["mean"] == pytest.approx(np.mean(found))
        assert scores["test"]["deviation"] == pytest.approx(np.std(found, ddof=1))
        if scores is not quantum:
            paired = ttest_rel(found, accuracy["quantum"])
            low, high = paired.confidence_interval(0.95)
            difference = scores["difference"]
            assert (difference["low"], difference["high"]) == pytest.approx((low, high))
            assert difference["n_seeds"] == 3
    assert (tmp_path / "arms" / "arms.txt").read_text() in out
    assert len((tmp_path / "arms" / "arms.csv").read_text().splitlines()) == 4

    # One run is lost, one was killed before its evaluation: these two happen, no other.
    lost, killed = (tmp_path / "arms" / name for name in ("none-seed2", "linear-seed1"))
    for path in lost.iterdir():
        path.unlink()
    lost.rmdir()
    RunFolder.open(killed).note(status="running")
    code, _, err = qhc(*command)
    assert code == 0
    assert re.findall(r"run \d of 9: (\S+)", err) == ["linear-seed1", "none-seed2"]
    again = json.loads((tmp_path / "arms" / "arms.json").read_text())["arms"]
    for one, other in zip(content["arms"], again, strict=True):
        assert {**one, "seconds": None} == {**other, "seconds": None}

    code, _, err = qhc(*command, "--set", "train.lr=0.5")
    assert code == 2
    assert "train.lr is 0.01 there and 0.5 here; choose another --out" in err


def test_several_runs_at_a_time_are_those_that_come_one_by_one(qhc: Qhc, tmp_path: Path) -> None:
    common = ("ablate", "arms", "--arms", "quantum,linear", "--seeds", "2", "--epochs", "1",
              "--backend", "native")  # fmt: skip
    code, _, err = qhc(*common, "--out", "alone")
    assert code == 0, err
    code, _, err = qhc(*common, "--out", "together", "--jobs", "2")
    assert code == 0, err
    assert "epoch " not in err
    assert re.search(r"runs: \d of 4, about \d+ s left", err)
    for name in ("quantum-seed0", "quantum-seed1", "linear-seed0", "linear-seed1"):
        one, other = (
            load_file(tmp_path / folder / name / "checkpoint.safetensors")
            for folder in ("alone", "together")
        )
        assert all(torch.equal(one[key], other[key]) for key in one | other)
        threads = [
            RunFolder.open(tmp_path / folder / name).config().run.threads
            for folder in ("alone", "together")
        ]
        assert threads[0] == threads[1] is not None
    code, _, err = qhc(*common, "--out", "together", "--jobs", "2")
    assert code == 0
    assert "training" not in err


def test_seeds_are_a_number_or_a_list(qhc: Qhc, tmp_path: Path) -> None:
    command = ("ablate", "arms", "--arms", "linear,none", "--epochs", "1", "--out", "arms")
    code, out, err = qhc(*command, "--seeds", "3,8")
    assert code == 0, err
    assert "over 2 seeds" in out
    runs = {path.parent.name for path in (tmp_path / "arms").glob("*/config.toml")}
    assert runs == {"linear-seed3", "linear-seed8", "none-seed3", "none-seed8"}
    assert re.findall(r"^run (\d) of 4: \S+(?: \(about \d+ s left\))?$", err, re.M) == [*"1234"]
    assert err.count("s left)") == 3
    for wrong, said in (
        ("3,3", "names a seed twice"),
        ("3,-1", "has a seed below 0"),
        ("3,", "is too few: at least 2"),
        ("0", "is too few: at least 2"),
        ("3,,5", "neither a number of seeds nor a list like 3,5,8"),
        ("three", "neither a number of seeds nor a list like 3,5,8"),
    ):
        code, _, err = qhc(*command, "--seeds", wrong)
        assert (code, said in err) == (2, True), err


def test_an_engine_is_asked_for_one_run_at_a_time_too(
    qhc: Qhc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray.util.joblib", None)
    code, _, err = qhc("ablate", "arms", "--engine", "ray", "--seeds", "2", "--epochs", "1")
    assert code == 2
    assert "engine 'ray' is not installed" in err


def test_no_jobs_at_all_is_a_mistake(qhc: Qhc) -> None:
    code, _, err = qhc("ablate", "arms", "--jobs", "0")
    assert code == 2
    assert "jobs must be at least 1, got 0" in err
