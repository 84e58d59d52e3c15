"""The picture of a comparison of mitigations."""

from __future__ import annotations

from matplotlib.figure import Figure

from ...records.comparisons import MitigationRecord, VariantRecord
from ..pictures.style import INK, MUTED, PAPER, VERDICTS, styled
from .mitigation_words import NAMES

HEIGHT = 0.42
"""Inches of a variant's bar, with what is between it and the next."""


@styled
def errors_and_accuracies(found: MitigationRecord) -> Figure:
    """Every variant's error, the shots' part of it shaded, and the accuracy beside it."""
    variants = found.variants[::-1]
    figure = Figure(figsize=(9.2, 1.5 + HEIGHT * len(variants)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    places = range(len(variants))
    errors = [each.rmse for each in variants]
    colours = [VERDICTS[each.verdict] for each in variants]
    left.barh(places, errors, 0.62, color=colours)
    left.barh(
        places, [each.shot_error for each in variants], 0.62,
        color="none", edgecolor=PAPER, hatch="////", linewidth=0, label="shots alone",
    )  # fmt: skip
    half = [1.96 * each.rmse_error for each in variants]
    left.errorbar(errors, places, xerr=half, fmt="none", ecolor=INK, elinewidth=1.0, capsize=2.5)
    left.axvline(found.raw.rmse, color=MUTED, linewidth=1.0, linestyle=":")
    left.set_yticks(places, [_label(each) for each in variants])
    left.grid(visible=False, axis="y")
    left.set_title("Error of the outputs")
    left.set_xlabel("root mean square, hatched what shots alone give")
    accuracies = [100 * each.accuracy for each in variants]
    reach = [
        [100 * (each.accuracy - each.accuracy_interval[0]) for each in variants],
        [100 * (each.accuracy_interval[1] - each.accuracy) for each in variants],
    ]
    right.errorbar(accuracies, places, xerr=reach, fmt="none", ecolor=MUTED, capsize=2.5)
    right.scatter(accuracies, places, color=colours, zorder=3)
    right.axvline(100 * found.ideal_accuracy, color=INK, linewidth=1.0, linestyle="--")
    right.set_title("Accuracy")
    right.set_xlabel("per cent, dashed without noise")
    return figure


def _label(variant: VariantRecord) -> str:
    return f"{NAMES[variant.name]}, {variant.seconds:.1f} s"
