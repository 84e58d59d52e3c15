"""What a comparison of mitigations says in words follows from its numbers."""

from __future__ import annotations

from typing import Any

from experiments.records.comparisons import MitigationRecord, VariantRecord
from experiments.records.lines import Compiled
from experiments.report.machine.mitigation_words import HEADINGS, cells, sentences, summary


def variant(name: str, rmse: float, seconds: float, verdict: Any = None, **more: Any) -> Any:
    gained = {} if verdict is None else {"gain": 0.08**2 - rmse**2, "gain_interval": (-1.0, 1.0)}
    values: dict[str, Any] = {
        "name": name, "shots": 1024, "rmse": rmse, "rmse_error": 0.002, "shot_error": 0.03,
        "device_error": rmse**2 - 0.03**2, "device_interval": (0.0001, 0.01), "accuracy": 0.9,
        "accuracy_interval": (0.8, 0.95), "seconds": seconds, "verdict": verdict,
    }  # fmt: skip
    return VariantRecord(**{**values, **gained, **more})


def record(*variants: VariantRecord, **more: Any) -> MitigationRecord:
    values: dict[str, Any] = {
        "machine": "ibm_x", "n_images": 100, "n_training": 16, "ideal_accuracy": 0.95, "jobs": 4,
        "variants": variants, "left_out": {}, "compiled": Compiled(),
    }  # fmt: skip
    return MitigationRecord(**{**values, **more})


RAW = variant("raw", 0.08, 4.0)


def test_the_best_and_the_best_per_second_are_told_apart() -> None:
    found = record(
        RAW,
        variant("calibrated", 0.04, 10.0, "helps"),
        variant("trex", 0.05, 4.5, "helps"),
        variant("zne", 0.11, 8.0, "harms"),
    )
    line = summary(found)
    assert (line["best"], line["best_per_second"]) == ("calibrated", "trex")
    told = sentences(found)
    assert told[-3] == (
        "In all: calibrated is best, with an error of 0.0400 in place of 0.0800 on 100 images, "
        "for 6.0 s more than raw's 4.0 s."
    )
    assert told[-2].startswith("Best per second is TREX: 0.0500, for 0.5 s more")
    assert told[-1] == "Leave out on ibm_x, for this layer and these shots: ZNE."
    assert "ZNE harms: 0.0800 without it, 0.1100 with it." in told


def test_what_takes_no_second_more_is_best_per_second() -> None:
    free, dear = variant("decoupling", 0.07, 4.001, "helps"), variant("m3", 0.04, 4.7, "helps")
    found = record(RAW, dear, free)
    assert summary(found)["best_per_second"] == "decoupling"
    assert cells(found, free)[-1] == "no second"
    # 0.0064 - 0.0016 of squared error in 0.7 s.
    assert cells(found, dear)[-1] == f"{1000 * 0.0048 / 0.7:+.3f}"


def test_a_harm_by_shots_alone_says_that_more_of_them_may_help() -> None:
    noisy = variant(
        "zne", 0.12, 8.0, "harms", shot_error=0.118, device_error=0.0005,
        device_interval=(-0.001, 0.002),
    )  # fmt: skip
    raw = variant("raw", 0.08, 4.0, device_interval=(0.005, 0.006))
    told = sentences(record(raw, noisy))
    assert any("with more of them it may help" in each for each in told)


def test_nothing_helps_where_shots_explain_all() -> None:
    raw = variant("raw", 0.03, 4.0, device_error=0.0, device_interval=(-0.001, 0.001))
    found = record(raw, variant("m3", 0.031, 4.7, "unclear"))
    told = sentences(found)
    assert "cannot be told from chance" in told[0]
    assert "nothing helps beyond chance on these 100 images" in told[-1]
    assert "--shots" in told[-1]
    assert summary(found)["best"] is None


def test_what_is_left_out_and_what_is_charged_is_told() -> None:
    found = record(
        RAW, variant("m3", 0.04, 4.7, "helps", charged_seconds=3.0), left_out={"zne": "no"}
    )
    assert "ZNE is left out: no." in sentences(found)
    assert len(cells(found, found.raw)) == len(HEADINGS)
    assert cells(found, found.raw)[-1] == "–"


def test_a_fake_device_says_what_it_does_not_simulate() -> None:
    words = "says nothing of the machine"
    found = record(RAW, variant("twirling", 0.09, 4.0, "harms"), machine="fake_fez")
    assert any(words in each for each in sentences(found))
    assert not any("Leave out" in each for each in sentences(found))
    assert not any(words in each for each in sentences(record(RAW, found.variants[1])))
