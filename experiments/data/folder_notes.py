"""What a reader of the results must know of a folder of images, a sentence each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .decode import Decoded, Range
from .tree import TYPES

_FEWEST_LEVELS = 32
"""Of the 256: images that together span fewer of them are dark, bright or flat."""
_SHOWN = 3


def ignored_note(folder: Path, ignored: Sequence[Path], reason: str = "") -> list[str]:
    """What was ignored below `folder`, if anything was; there may be one more `reason`."""
    if not ignored:
        return []
    shown = ", ".join(_shown(path.relative_to(folder)) for path in ignored[:_SHOWN])
    more = f" and {len(ignored) - _SHOWN:,} more" if len(ignored) > _SHOWN else ""
    why = f"hidden, or no image of the types {TYPES}" + (f", {reason}" if reason else "")
    return [f"ignored in {folder}: {shown}{more}; {why}"]


def image_notes(folder: Path, images: Sequence[Decoded], given: Range | None) -> list[str]:
    """On images of a single colour, of few levels, of values beyond the range that is `given`."""
    return [*_range_notes(folder, images, given), *_content_notes(folder, images)]


def give_range(low: float, high: float) -> str:
    """What to type for values that go from `low` to `high`."""
    return f"--set 'data.range=[{_number(low)}, {_number(high)}]'"


def useless_range() -> str:
    """The note on a range that no image has a use for."""
    return "data.range has nothing to act on: no image is deeper than 8 bits"


def _range_notes(folder: Path, images: Sequence[Decoded], given: Range | None) -> list[str]:
    deep = [(image.range, image.stored) for image in images if image.range and image.stored]
    if given is not None and not deep:
        return [useless_range()]
    notes = []
    for span in dict.fromkeys(span for span, _ in deep):
        stored = [extremes for own, extremes in deep if own == span]
        low, high = min(each[0] for each in stored), max(each[1] for each in stored)
        values = f"stored values in {folder} go from {_number(low)} to {_number(high)}"
        limits = f"{_number(span[0])} is black and {_number(span[1])} white"
        if low < span[0] or high > span[1]:
            notes.append(f"{values}; {limits}, and so is what lies beyond")
        n_levels = round(255 * (min(high, span[1]) - max(low, span[0])) / (span[1] - span[0])) + 1
        if n_levels < _FEWEST_LEVELS and low < high:
            notes.append(
                f"{values} and fill {max(n_levels, 1)} of 256 levels, where {limits}; to fill all: "
                f"{give_range(low, high)}"
            )
    return notes


def _content_notes(folder: Path, images: Sequence[Decoded]) -> list[str]:
    notes = []
    if n_flat := sum(image.is_constant for image in images):
        n_hidden = sum(image.hides_picture for image in images)
        note = f"{_share(n_flat, len(images))} in {folder} are of a single colour"
        if n_hidden:
            note += (
                f", {n_hidden:,} of them with a picture in the alpha channel, which is not read; "
                "put these on a background"
            )
        notes.append(note)
    if n_turned := sum(image.is_turned for image in images):
        notes.append(
            f"{_share(n_turned, len(images))} in {folder} are turned or mirrored, as the camera "
            "noted beside their pixels (EXIF orientation)"
        )
    if n_stacks := sum(image.n_frames > 1 for image in images):
        notes.append(
            f"{_share(n_stacks, len(images))} in {folder} hold several frames; the first is read"
        )
    return notes


def _share(n: int, n_all: int) -> str:
    return f"all {n:,} images" if n == n_all else f"{n:,} of {n_all:,} images"


def _shown(path: Path) -> str:
    """The path in characters that UTF-8 has, whatever bytes its name is made of."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _number(value: float) -> str:
    return f"{value:.10g}"
