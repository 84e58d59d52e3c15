"""Models and data of the user's own: shown what they were not trained on, and asked together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from experiments.diagnosis.targets import Wishes, subject_of
from experiments.records.folder import RunFolder
from tests.config.own_code import DATA, NET, SEEDED_DATA, write_own
from tests.support.command_line import Qhc, last_line

ONE_LAYER = NET.replace('for _ in "ab"', 'for _ in "a"')
TRAINED = ("run", "--recipe", "mine.toml", "--epochs", "1")
FAKE = ("--backend", "fake_manila", "--shots", "64", "--limit", "6")


def labels_of(run: str) -> np.ndarray:
    """Those of the last test images."""
    with np.load(Path(run, "evaluation.npz")) as arrays:
        return arrays["labels"]


def train(qhc: Qhc, *runs: Sequence[str]) -> None:
    for more in runs:
        code, _, err = qhc(*TRAINED, *more)
        assert code == 0, err


def write(net: str = ONE_LAYER, data: str = SEEDED_DATA) -> None:
    write_own()
    Path("my_net.py").write_text(net)
    Path("my_data.py").write_text(data)


def given(*runs: str) -> list[str]:
    return [part for run in runs for part in ("--checkpoint", run)]


def test_a_model_is_tested_on_the_test_images_of_its_training(qhc: Qhc) -> None:
    write()
    train(qhc, ("--seed", "1", "--out", "a"), ("--seed", "0", "--out", "b"))
    assert not np.array_equal(labels_of("a"), labels_of("b"))
    code, _, err = qhc("run", *given("a"), "--seed", "0", "--out", "there")
    assert code == 0, err
    assert np.array_equal(labels_of("there"), labels_of("a"))
    assert any("is given seed 1" in note for note in RunFolder.open(Path("there")).state.notes)
    subject = subject_of("a", Wishes(Path("data"), images=8, seed=0))
    assert np.array_equal(subject.splits["test"].targets.numpy(), labels_of("a"))
    # Trained on with another seed, it still knows what it was trained on.
    code, _, err = qhc("run", *given("a"), "--seed", "5", "--train", "quantum", "--out", "tuned")
    assert code == 0, err
    code, _, err = qhc("estimate", *given("tuned"), "--backend", "aer")
    assert code == 0, err
    assert "is given seed 1" in err


def test_seeds_and_arms_are_asked_together(qhc: Qhc) -> None:
    write(data=DATA)
    linear = ("--set", "model.arm=linear")
    train(qhc, (*linear, "--out", "l"), ("--out", "a"), ("--seed", "1", "--out", "b"))
    code, out, err = qhc("run", *given("l", "a", "b"), *FAKE, "--out", "all", "--json")
    assert code == 0, err
    line = last_line(out)
    assert [each["name"] for each in line["models"]] == ["a", "b", "l"]
    assert [each.get("request") for each in line["models"]] == [1, 1, None]
    assert line["jobs"] == 1
    RunFolder.open(Path("all")).note(status="running")
    for name in ("my_net.py", "my_data.py", "angles.py"):
        Path(name).unlink()
    code, out, err = qhc("resume", "all", "--json")
    assert code == 0, err
    assert last_line(out)["models"] == line["models"]


def test_what_would_be_shown_other_images_is_refused(qhc: Qhc) -> None:
    write()
    shifted = ("--set", "data.arguments.shift=3.0", "--out", "shifted")
    chosen = ("--set", "data.validation_from_test=true", "--out", "chosen")
    train(qhc, ("--out", "a"), ("--seed", "1", "--out", "b"), shifted, chosen)
    Path("my_data.py").write_text(DATA)
    train(qhc, ("--seed", "2", "--out", "changed"))
    for other, words in (
        ("b", "returns other test images than for 0"),
        ("shifted", "was trained on my_data.py:load with shift = 3.0"),
        ("chosen", "chosen by its test images"),
        ("changed", "are of other code of your own (my_data.py)"),
    ):
        code, _, err = qhc("run", *given("a", other), *FAKE)
        assert code == 2
        assert words in err
    write()
    train(qhc, ("--seed", "3", "--set", "data.seed=0", "--out", "divided"))
    assert np.array_equal(labels_of("divided"), labels_of("a"))
    code, _, err = qhc("estimate", *given("a", "divided"), *FAKE)
    assert code == 0, err


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (NET, "an input passes 2 quantum layers in my_net.py:build"),
        (
            NET.replace("nn.ModuleList(layers)", "nn.ModuleList([layers[0], layers[0]])"),
            "an input passes its layer 2 times",
        ),
    ],
)
def test_a_network_that_needs_answers_one_by_one_is_refused(qhc: Qhc, net: str, words: str) -> None:
    write(net, DATA)
    train(qhc, ("--out", "a"), ("--seed", "1", "--out", "b"))
    code, _, err = qhc("run", *given("a", "b"), *FAKE)
    assert code == 2
    assert words in err
