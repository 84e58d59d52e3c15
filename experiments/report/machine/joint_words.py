"""What several models are worth on one device, in words for a person and a line for a program."""

from __future__ import annotations

from typing import Any

from ...records.joint import Corrected, Difference, JointRecord, MemberRecord
from ...records.lines import Compiled
from ..facts import charge_facts, compiled_words, copy_words, device_words
from ..numbers import ABSENT, counted, number, percent, signed

DIFFERENCE_HEADINGS = (
    "difference", "without noise", "on the device", "95 % interval", "only first right",
    "only second right",
)  # fmt: skip
"""Of the table of differences, the first model's accuracy minus the second's; the last are images.
"""

SHOWN_BESIDE = 4
"""Models of whom the terminal shows every two side by side; of more, each beside the first."""

SHOWN_PAIRS = 6
"""That a sentence names of those that differ."""


def headings(found: JointRecord) -> list[str]:
    """Of the table of models: what a run has none of is left out."""
    names = ["model", "arm", "seed", "without noise (%)", "accuracy (%)", "95 % interval", "error"]
    names += ["calibrated (%)", "95 % interval", "calibrated error"] if found.n_training else []
    names += ["seconds"] if found.seconds else []
    return names + (["charged (s)"] if _is_charged(found) else [])


def joint_rows(found: JointRecord) -> list[list[str]]:
    """A row per model, under the headings."""
    return [_cells(found, member) for member in found.members]


def difference_rows(found: JointRecord, *, every: bool = True) -> list[list[str]]:
    """A row per two models; not of `every` two where they are many, but of the first and each."""
    chosen = found.differences
    if not every and len(found.members) > SHOWN_BESIDE:
        first = found.members[0].name
        chosen = tuple(each for each in chosen if each.one == first)
    return [
        [
            f"{each.other} − {each.one}",
            signed(100 * each.ideal),
            signed(100 * each.difference),
            f"{signed(100 * each.interval[0])} to {signed(100 * each.interval[1])}",
            number(each.gained, 0),
            number(each.lost, 0),
        ]
        for each in chosen
    ]


def joint_sentences(found: JointRecord) -> list[str]:
    """Which model is best, which differ, and what it saved to ask for them together."""
    highest = max(each.best.accuracy for each in found.members)
    names = [each.name for each in found.members if each.best.accuracy == highest]
    calibrated = ", calibrated" if found.n_training else ""
    told = [
        f"Highest accuracy on {found.backend}{calibrated}: {percent(highest, 1)} of "
        f"{counted(found.n_images, 'image')}, by {' and '.join(names)}."
    ]
    beyond = [each for each in found.differences if not each.is_chance]
    if beyond:
        pairs = ", ".join(_better_words(each) for each in beyond[:SHOWN_PAIRS])
        more = len(beyond) - SHOWN_PAIRS
        told.append(f"Beyond chance: {pairs}{f', and {more} more' if more > 0 else ''}.")
        if left := len(found.differences) - len(beyond):
            told[-1] += f" {counted(left, 'difference')} cannot be told from none."
    else:
        told.append("No two of them differ beyond chance on these images.")
    if harmed := [each.name for each in found.members if _is_harmed(each)]:
        told.append(
            f"Calibration harms {', '.join(harmed)}: outputs are further off with it; fit it on "
            "more images: --calibrate N."
        )
    if none := [each.name for each in found.members if each.rmse is None]:
        told.append(f"Nothing is executed of what has no quantum layer: {', '.join(none)}.")
    if found.seconds:
        told.append(
            f"Together they take {found.seconds:.1f} s of a machine by the estimate; one by one "
            f"they would take {found.apart_seconds:.1f} s."
        )
    return told


def joint_note(found: JointRecord) -> str:
    """How to read the tables."""
    words = (
        "All models answer the same images. The error is the root mean square of what the layer's "
        "outputs are off from those without noise, ± its standard error over the images. A "
        "difference is the first model's accuracy minus the second's in points, its 95 % interval "
        "(Newcombe's for paired shares) by the images that only one of them gives the right class, "
        "every two models by themselves. "
    )
    if found.n_training:
        images = counted(found.n_training, "training image")
        words += (
            f"Calibrated is by a map of each output of each copy, fitted on {images} that models "
            "of the same layer share, and by one of each output of the model on top. Differences "
            "are those of calibrated answers. "
        )
    if found.seconds:
        words += (
            "Seconds are of QPU time by the estimate, a model's share by its rows of what all in "
            "its request take. "
        )
    return words


def joint_facts(found: JointRecord) -> dict[str, str]:
    """Device, compiled layers and charges."""
    facts: dict[str, str] = {}
    for place, compiled in enumerate(found.compiled, start=1):
        if compiled.device is None:
            continue
        facts["device"] = device_words(compiled)
        own = f", request {place}" if len(found.compiled) > 1 else ""
        facts |= {f"{name}{own}": words for name, words in _layer_facts(compiled).items()}
    return facts | charge_facts(found.charges)


def joint_summary(found: JointRecord) -> dict[str, Any]:
    """For `--json`."""
    return {
        **found.only("backend", "n_images", "n_training", "shots", "jobs"),
        "models": [each.to_dict() for each in found.members],
        "differences": [each.to_dict() for each in found.differences],
        "sentences": joint_sentences(found),
        **found.only("seconds", "apart_seconds"),
        **({} if found.charges is None else found.charges.summary()),
    }


def _layer_facts(compiled: Compiled) -> dict[str, str]:
    facts = {}
    if compiled.gate_fidelity is not None:
        facts["compiled layer"] = compiled_words(compiled)
    if copies := copy_words(compiled):
        facts["copies"] = copies
    return facts


def _cells(found: JointRecord, member: MemberRecord) -> list[str]:
    row = [member.name, member.arm, str(member.seed), number(100 * member.ideal_accuracy, 1)]
    row += [*_accuracy(member), _error(member)]
    if found.n_training:
        corrected = member.corrected
        row += [ABSENT] * 3 if corrected is None else [*_accuracy(corrected), _error(corrected)]
    row += [number(member.seconds, 2)] if found.seconds else []
    return row + ([number(member.charged_seconds, 2)] if _is_charged(found) else [])


def _accuracy(scores: MemberRecord | Corrected) -> list[str]:
    low, high = (100 * bound for bound in scores.accuracy_interval)
    return [number(100 * scores.accuracy, 1), f"{low:.1f} to {high:.1f}"]


def _error(scores: MemberRecord | Corrected) -> str:
    if scores.rmse is None:
        return ABSENT
    return f"{number(scores.rmse)} ± {number(scores.rmse_error)}"


def _is_charged(found: JointRecord) -> bool:
    return any(each.charged_seconds is not None for each in found.members)


def _is_harmed(member: MemberRecord) -> bool:
    """Whether the map leaves the outputs further off than they were."""
    if member.corrected is None or member.rmse is None:
        return False
    return member.corrected.rmse > member.rmse


def _better_words(found: Difference) -> str:
    better, worse = (found.other, found.one) if found.difference > 0 else (found.one, found.other)
    return f"{better} is better than {worse}"
