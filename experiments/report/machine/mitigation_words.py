"""What a comparison of mitigations found, in words for a person and in a line for a program."""

from __future__ import annotations

import math
from typing import Any

from qbackend.registry import parse_name

from ...records.comparisons import MitigationRecord, VariantRecord, Verdict
from ..facts import executor
from ..numbers import ABSENT, counted, number

NAMES = {
    "raw": "raw",
    "m3": "m3",
    "tensored": "tensored",
    "calibrated": "calibrated",
    "decoupling": "dynamical decoupling",
    "twirling": "twirling",
    "trex": "TREX",
    "zne": "ZNE",
}
"""Of the variants, in words."""

NOT_SIMULATED = ("decoupling", "twirling")
"""Variants against errors that fake devices do not have."""

SAME_SECONDS = 0.005
"""By which estimates may differ that are written alike."""

HEADINGS = (
    "error", "shots alone", "accuracy (%)", "95 % interval", "seconds", "gain per second",
    "charged (s)",
)  # fmt: skip
"""Of the numbers behind a variant's name and its verdict; the last where anything is charged."""

NOTE = (
    "The error is the root mean square of what the layer's outputs are off from those without "
    "noise, ± its standard error over the images; shots alone would give the part beside it. A "
    "variant helps or harms where the 95 % interval (Student's t over the images) of the mean "
    "squared error that is gone against raw leaves out zero, each variant by itself; that holds "
    "for this calibration of the machine. Seconds are of QPU time by the estimate, were the "
    "variant asked for alone; the gain per second is the squared error that is gone, times 1,000, "
    "for each second more than raw's. "
    "Variants that read the same counts shared a job, of whose charge each has what it would take "
    "alone: these shares overlap."
)


def cells(found: MitigationRecord, variant: VariantRecord) -> list[str]:
    """A variant's numbers in the table, under those of `HEADINGS` that there are."""
    low, high = (100 * bound for bound in variant.accuracy_interval)
    is_charged = any(each.charged_seconds is not None for each in found.variants)
    return [
        f"{number(variant.rmse)} ± {number(variant.rmse_error)}",
        number(variant.shot_error),
        number(100 * variant.accuracy, 1),
        f"{low:.1f} to {high:.1f}",
        number(variant.seconds, 2),
        _per_second(found, variant),
        *([number(variant.charged_seconds, 2)] if is_charged else []),
    ]


def sentences(found: MitigationRecord) -> list[str]:
    """One for each variant, those left out too, and then of all of them."""
    raw, *others = found.variants
    there = executor(found.machine)
    told = [_of_raw(raw, there), *(_of_variant(raw, each, there) for each in others)]
    told += [f"{NAMES[name]} is left out: {why}." for name, why in found.left_out.items()]
    if blind := [NAMES[each.name] for each in others if _is_blind(found, each)]:
        told.append(
            f"{found.machine} simulates no error of idle qubits, no coherent one and no crosstalk: "
            f"what {' and '.join(blind)} do{'' if len(blind) > 1 else 'es'} here says nothing of "
            "the machine."
        )
    return [*told, *_of_all(found)]


def summary(found: MitigationRecord) -> dict[str, Any]:
    """For `--json`."""
    best, per_second = _best(found), _best_per_second(found)
    return {
        "machine": found.machine,
        **found.only("n_images", "n_training", "ideal_accuracy", "jobs"),
        "variants": [each.to_dict() for each in found.variants],
        "left_out": found.left_out,
        "best": None if best is None else best.name,
        "best_per_second": None if per_second is None else per_second.name,
        "sentences": sentences(found),
        **found.only("job_ids", "estimated_seconds", "charged_seconds"),
    }


def extra_seconds(found: MitigationRecord, variant: VariantRecord) -> float:
    """Of QPU time, more than raw takes; 0 for as many."""
    extra = variant.seconds - found.raw.seconds
    return 0.0 if abs(extra) < SAME_SECONDS else extra


def _of_raw(raw: VariantRecord, there: str) -> str:
    words = (
        f"raw: outputs are off by {raw.rmse:.4f} ± {raw.rmse_error:.4f} (RMSE), of which shots "
        f"alone give {raw.shot_error:.4f}"
    )
    if raw.device_interval[0] > 0:
        return f"{words}; the {there}'s own error is {_root(raw.device_error):.4f}."
    return f"{words}; an error of the {there}'s own cannot be told from chance."


def _of_variant(raw: VariantRecord, variant: VariantRecord, there: str) -> str:
    errors = f"{raw.rmse:.4f} without it, {variant.rmse:.4f} with it"
    words = {
        "helps": f"{NAMES[variant.name]} helps: {errors}",
        "harms": f"{NAMES[variant.name]} harms: {errors}",
        "unclear": f"{NAMES[variant.name]} makes no difference beyond chance: {errors}",
    }[variant.verdict or "unclear"]
    is_less = variant.device_interval[1] < raw.device_interval[0]
    if variant.verdict != "helps" and is_less and variant.shot_error > raw.shot_error:
        words += (
            f"; it leaves less of the {there}'s error ({_root(variant.device_error):.4f} in place "
            f"of {_root(raw.device_error):.4f}), and shots scatter more "
            f"({variant.shot_error:.4f} in place of {raw.shot_error:.4f}): with more of them it "
            "may help"
        )
    return f"{words}."


def _of_all(found: MitigationRecord) -> list[str]:
    """Which is best, which is best per second, which harm."""
    images = counted(found.n_images, "image")
    best, per_second = _best(found), _best_per_second(found)
    harmful = [each for each in _with(found, "harms") if not _is_blind(found, each)]
    if best is None or per_second is None:
        told = [f"In all: nothing helps beyond chance on these {images}."]
        if found.raw.device_interval[0] <= 0:
            told[0] += " What is left is the shots' error: more of them (--shots) take it away."
    else:
        told = [
            f"In all: {NAMES[best.name]} is best, with an error of {best.rmse:.4f} in place of "
            f"{found.raw.rmse:.4f} on {images}{_price(found, best)}."
        ]
        if per_second is not best:
            told.append(
                f"Best per second is {NAMES[per_second.name]}: "
                f"{per_second.rmse:.4f}{_price(found, per_second)}."
            )
        else:
            told[0] = told[0].replace(" is best,", " is best, per second too,")
    if harmful:
        names = ", ".join(NAMES[each.name] for each in harmful)
        told.append(f"Leave out on {found.machine}, for this layer and these shots: {names}.")
    return told


def _is_blind(found: MitigationRecord, variant: VariantRecord) -> bool:
    """Whether a variant is against errors that a fake device does not have."""
    return variant.name in NOT_SIMULATED and parse_name(found.machine).is_fake


def _price(found: MitigationRecord, variant: VariantRecord) -> str:
    extra = extra_seconds(found, variant)
    if extra <= 0:
        return ", for no second more"
    return f", for {extra:.1f} s more than raw's {found.raw.seconds:.1f} s"


def _with(found: MitigationRecord, verdict: Verdict) -> list[VariantRecord]:
    return [each for each in found.variants if each.verdict == verdict]


def _best(found: MitigationRecord) -> VariantRecord | None:
    """Of those that help, the one with the smallest error."""
    return min(_with(found, "helps"), key=lambda each: each.rmse, default=None)


def _best_per_second(found: MitigationRecord) -> VariantRecord | None:
    """Of those that help; what takes no second more goes before all others."""

    def rate(variant: VariantRecord) -> tuple[float, float]:
        extra, gained = extra_seconds(found, variant), variant.gain or 0.0
        return (math.inf if extra <= 0 else gained / extra), gained

    return max(_with(found, "helps"), key=rate, default=None)


def _per_second(found: MitigationRecord, variant: VariantRecord) -> str:
    if variant.gain is None:
        return ABSENT
    extra = extra_seconds(found, variant)
    if extra <= 0:
        return "no second" if variant.verdict == "helps" else ABSENT
    return f"{1000 * variant.gain / extra + 0.0:+.3f}"


def _root(squared: float) -> float:
    return math.sqrt(max(squared, 0.0))
