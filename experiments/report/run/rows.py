"""What rows of a trained net's feature maps say of a device."""

from __future__ import annotations

from qbackend.registry import parse_name

from ...records.lines import Stage
from ..facts import charge_facts, compiled_words, device_words, executor, stage_words
from ..numbers import number, percent
from ..pictures.projection import subsample
from ..reading import Run
from ..render import Column, Drawing, Part, Table
from ..row_facts import accuracy_words, span, whole_words
from ..words import titled
from . import validation_figures as figures


def tiles(run: Run) -> list[tuple[str, str, str]]:
    """The accuracy to expect, for the top of the page."""
    if run.rows is None:
        return []
    expected = run.rows.expected
    low, high = (100 * bound for bound in expected.interval)
    remark = f"by simulation, {low:.2f} to {high:.2f} %"
    return [(f"To expect on {run.rows.backend}", percent(expected.mean), remark)]


def measured(run: Run) -> Part | None:
    """The error of each convolution's maps, and what follows from it."""
    found = run.rows
    if found is None:
        return None
    names = ("Rows", "RMSE", "±", "Bias", "±", "Shots alone", "Slope", "Offset", "Scatter")
    columns = [Column("Convolution", False), *(Column(name) for name in names)]
    rows = [
        [
            layer.layer,
            number(layer.n_rows, 0),
            *map(number, (layer.rmse, layer.rmse_error, layer.bias, layer.bias_error)),
            number(layer.shot_error),
            *map(span, (layer.scale, layer.offset, layer.scatter)),
        ]
        for layer in found.layers
    ]
    compiled, facts = found.compiled, {}
    if compiled.device is not None:
        facts[executor(found.backend)] = device_words(compiled)
    if compiled.gate_fidelity is not None:
        facts["compiled kernel"] = compiled_words(compiled)
    facts |= {
        "accuracy without noise": percent(found.ideal_accuracy),
        "accuracy to expect": accuracy_words(found.expected),
        "corrected by the fitted map": accuracy_words(found.corrected),
        "the whole image set": whole_words(found.whole),
        **charge_facts(found.charges),
    }
    note = (
        "Each row is a channel vector of a real feature map in one kernel. Slope, offset and "
        "scatter of an output, fitted by least squares, are given as the least and the largest "
        "of a convolution's wires; ± are standard errors. The accuracies are estimates: the "
        f"exact net is simulated with that error, and assumes that {found.assumption}. Their "
        "interval is that of the simulations on these images. "
        f"Every row is in {run.folder.name}/rows.csv."
    )
    context = {
        "row_layers": Table(columns, rows),
        "row_facts": titled(facts),
        "row_note": note,
    }
    return Part(context, {"row-outputs": _drawing(run, found.backend)})


def _drawing(run: Run, backend: str) -> Drawing:
    exact, answered = run.row_values()
    chosen = subsample(len(exact))
    stage: Stage = "machine" if parse_name(backend).is_machine else "noise"
    words = stage_words(backend)
    figure = figures.outputs(
        exact[chosen], {stage: answered[chosen]}, words, "Outputs of every row"
    )
    return Drawing(figure, f"Outputs of the rows on {backend} over those without noise.")
