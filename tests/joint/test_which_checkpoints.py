"""What `--checkpoint` stands for: runs, folders of runs, runs of several checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path

from experiments.run.approval import _saved_words
from experiments.run.plan import Share
from qbackend.machines.cost import MachineCost
from tests.joint.test_command import of
from tests.support.command_line import Qhc, last_line


def test_a_run_of_several_stands_for_all_of_them(
    qhc: Qhc, trained: Path, other: Path, tmp_path: Path
) -> None:
    assert qhc("run", *of(trained, other, backend="aer"), "--out", "joint")[0] == 0
    code, out, err = qhc("run", *of(Path("joint"), backend="aer"), "--out", "again", "--json")
    assert code == 0, err
    names = ["checkpoint.safetensors", "checkpoint-2.safetensors"]
    assert [each["name"] for each in last_line(out)["models"]] == names
    for command in (("diagnose", "joint"), ("compare", "mitigation", *of(Path("joint")))):
        code, _, err = qhc(*command)
        assert code == 2
        assert "joint is a run of several checkpoints; name one of them: joint/check" in err
        assert "joint/checkpoint-2.safetensors" in err
    # A copy that a run keeps is no further model; where that leaves one, it is a run of one.
    shutil.copytree(trained, "study/zzz")
    code, _, err = qhc("run", *of(Path("study/zzz"), backend="aer"), "--out", "study/aaa")
    assert code == 0, err
    code, out, err = qhc("estimate", *of(Path("study")))
    assert code == 0, err
    assert "note: study/aaa/checkpoint.safetensors is a copy of study/zzz/checkpoint" in err
    assert "one by one" not in out + err


def test_two_files_of_one_model_are_refused(qhc: Qhc, trained: Path) -> None:
    shutil.copy(trained / "checkpoint.safetensors", "renamed.safetensors")
    code, _, err = qhc("run", *of(trained, Path("renamed.safetensors")))
    assert code == 2
    assert "renamed.safetensors is given twice: " in err


def test_a_folder_without_a_run_and_one_with_a_damaged_run_are_named(
    qhc: Qhc, trained: Path, other: Path
) -> None:
    Path("empty").mkdir()
    code, _, err = qhc("run", *of(Path("empty")))
    assert code == 2
    assert "empty is no run, and no run with a trained model is inside" in err
    shutil.copytree(trained, "study/a")
    shutil.copytree(other, "study/b")
    Path("study/b/checkpoint.safetensors").write_bytes(b"torn")
    code, _, err = qhc("run", *of(Path("study")))
    assert code == 2
    assert "It is the run b of study: move it away, or name the others one by one:" in err
    assert "--checkpoint study/a\n" in err


def test_the_seconds_that_a_plan_shows_add_up() -> None:
    together = MachineCost(2, 2, 1, 200, 4.749, "basis")
    apart = Share("one by one", 8, 2, MachineCost(4, 4, 2, 400, 6.851, "basis"))
    # 2.102 by themselves.
    assert "6.9 s of a machine's QPU time" in (words := _saved_words(together, apart))
    assert "1 and 4.7 s, 2.2 s (32 %) less" in words
