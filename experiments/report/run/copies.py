"""The copies of a layer side by side on a machine: a table, and the chip with them."""

from __future__ import annotations

from ...records.comparisons import CopyScores, ValidationRecord
from ...records.lines import Compiled, PlacedCopy
from ..facts import copy_words, executor, far_off_words
from ..numbers import ABSENT, number
from ..reading import Run
from ..render import Column, Drawing, Part, Table
from .chip import chip


def side_by_side(run: Run) -> Part | None:
    """How well each copy answered."""
    found = run.validation
    if found is None or not found.copies:
        return None
    compiled = run.stage("machine").compiled
    assert compiled is not None
    columns = [Column("Copy"), Column("Qubits", False)]
    columns += [Column("Gate fidelity"), Column("Readout fidelity"), Column("Images")]
    columns += [Column("Accuracy (%)"), Column("95 % interval"), Column("RMSE from ideal")]
    columns += [Column("RMSE from its simulated noise"), Column("RMSE of the shots alone")]
    far = far_off_words(found, compiled)
    columns += [Column("", False)] if far else []
    pairs = enumerate(zip(compiled.copies, found.copies, strict=True))
    rows = [
        [str(index), *_row(*pair), *(["far off" if pair[1].is_far_off else ""] if far else [])]
        for index, pair in pairs
    ]
    context = {
        "copies": Table(columns, rows, caption=f"Copies: {copy_words(compiled)}"),
        "copies_far_off": f"Far off: {far}" if far else "",
        "copies_note": _note(run),
    }
    return Part(context, _drawings(found, compiled))


def _row(placed: PlacedCopy, scores: CopyScores) -> list[str]:
    interval = ABSENT
    if scores.accuracy_interval is not None:
        low, high = (100 * bound for bound in scores.accuracy_interval)
        interval = f"{low:.1f} to {high:.1f}"
    return [
        # Numbers of one copy stay on a line.
        ",\u00a0".join(map(str, placed.place)),
        number(placed.gate_fidelity, 3),
        number(placed.readout_fidelity, 3),
        number(scores.n_images, 0),
        number(None if scores.accuracy is None else 100 * scores.accuracy, 1),
        interval,
        number(scores.ideal_rmse),
        number(scores.noise_rmse),
        number(scores.shot_rmse),
    ]


def _note(run: Run) -> str:
    """How to read the table and the picture."""
    return (
        "Each copy answers other images, so that accuracies differ by chance too: as far as their "
        "intervals say. Qubits are in the order of the first copy's; fidelities are products of "
        "the reported ones. RMSE is the root-mean-square difference of a copy's outputs from those "
        "without noise (ideal), and from those under the simulated noise of its own qubits, which "
        "would be that of the shots alone if the reported errors were all there is. A copy is far "
        "off where the logarithm of the ratio of these two mean squares is more than 5 standard "
        "errors above the median of all copies; the standard error is that of so few images, "
        "together with how much the copies differ. Which copy answered which image is in "
        f"{run.folder.name}/validation.csv."
    )


def _drawings(found: ValidationRecord, compiled: Compiled) -> dict[str, Drawing]:
    """The chip; nothing where its couplings are not on record."""
    if not compiled.coupling:
        return {}
    errors = {
        index: copy.ideal_rmse
        for index, copy in enumerate(found.copies)
        if copy.ideal_rmse is not None
    }
    places = [copy.place for copy in compiled.copies]
    where = "" if executor(found.machine) == "machine" else ", simulated"
    title = f"{len(places)} copies on {compiled.device}{where}"
    figure = chip(compiled.qubits, compiled.coupling, places, errors, found.far_off, title)
    words = "; ".join(
        f"copy {index} on {', '.join(map(str, place))}"
        + (f": {number(errors[index])}" if index in errors else "")
        for index, place in enumerate(places)
    )
    named = ", ".join(f"copy {index}" for index in found.far_off)
    alt = (
        f"The {compiled.qubits} qubits of {compiled.device} and their couplings, and the copies of "
        f"the layer with the root-mean-square error of their outputs: {words}. "
        f"{f'Far off: {named}.' if named else 'None of them is far off.'}"
    )
    return {"chip": Drawing(figure, alt)}
