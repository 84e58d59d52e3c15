"""The picture of several models on one device."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...records.joint import Corrected, JointRecord, MemberRecord
from ..pictures.style import GRID, INK, MUTED, STAGES, styled

HEIGHT = 0.34
"""Inches of a row."""

MOST_DIFFERENCES = 15
"""In the picture; of more, those of all models and the first."""


@styled
def accuracies_and_differences(found: JointRecord) -> Figure:
    """Every model's accuracy without noise and on the device, and the differences beside it."""
    members, differences = found.members[::-1], found.differences[::-1]
    if len(differences) > MOST_DIFFERENCES:
        differences = tuple(each for each in differences if each.one == found.members[0].name)
    rows = max(len(members), len(differences))
    figure = Figure(figsize=(9.2, 1.5 + HEIGHT * rows), layout="constrained")
    left, right = figure.subplots(1, 2)
    places = range(len(members))
    colour, marker = STAGES["machine"]
    scores: list[MemberRecord | Corrected] = [*members]
    _accuracies(left, places, scores, colour, marker, f"on {found.backend}")
    if any(each.corrected for each in members):
        colour, marker = STAGES["corrected"]
        of_map = {place + 0.22: each.corrected for place, each in enumerate(members)}
        known = {place: each for place, each in of_map.items() if each is not None}
        _accuracies(left, [*known], [*known.values()], colour, marker, "calibrated")
    ideal = [100 * each.ideal_accuracy for each in members]
    left.scatter(ideal, places, color=INK, marker="|", s=90, label="without noise", zorder=4)
    left.set_yticks(places, [each.name for each in members])
    left.set_ylim(-0.6, len(members) - 0.3)
    left.set_title("Accuracy")
    left.set_xlabel("per cent, 95 % intervals")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28 / (0.3 + HEIGHT * rows)), ncols=3)
    beside = range(len(differences))
    points = [100 * each.difference for each in differences]
    reach = [
        [100 * (each.difference - each.interval[0]) for each in differences],
        [100 * (each.interval[1] - each.difference) for each in differences],
    ]
    right.axvline(0.0, color=MUTED, linewidth=1.0, linestyle=":")
    right.errorbar(points, beside, xerr=reach, fmt="none", ecolor=MUTED, capsize=2.5)
    colours = [MUTED if each.is_chance else STAGES["machine"][0] for each in differences]
    right.scatter(points, beside, color=colours, zorder=3)
    ideal = [100 * each.ideal for each in differences]
    right.scatter(ideal, beside, color=INK, marker="|", s=90, zorder=4)
    right.set_yticks(beside, [f"{each.other} − {each.one}" for each in differences])
    right.set_ylim(-0.6, len(differences) - 0.4)
    right.set_title("Differences on the same images")
    right.set_xlabel("points, the line without noise")
    for axes in (left, right):
        axes.grid(visible=True, axis="x", color=GRID)
        axes.grid(visible=False, axis="y")
    return figure


def _accuracies(
    axes: Axes,
    places: Sequence[float],
    scores: Sequence[MemberRecord | Corrected],
    colour: str,
    marker: str,
    label: str,
) -> None:
    """Accuracies in per cent with their intervals."""
    accuracies = [100 * each.accuracy for each in scores]
    reach = [
        [100 * (each.accuracy - each.accuracy_interval[0]) for each in scores],
        [100 * (each.accuracy_interval[1] - each.accuracy) for each in scores],
    ]
    axes.errorbar(accuracies, places, xerr=reach, fmt="none", ecolor=colour, capsize=2.5)
    axes.scatter(accuracies, places, color=colour, marker=marker, label=label, zorder=3)
