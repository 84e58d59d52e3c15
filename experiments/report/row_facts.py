"""What rows of feature maps found, in words for a person and in a line for a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..records.comparisons import LayerErrors, RowRecord, Simulated, WholeSet
from .facts import charge_facts
from .numbers import percent


def row_facts(found: RowRecord) -> dict[str, str]:
    """The error of the maps, the accuracy to expect, what whole images would take, the charges."""
    shots = f"{found.shots:,} shots each" if found.shots else "exact probabilities"
    return {
        "rows": f"{found.rows:,} of real feature maps on {found.backend}, {shots}",
        "error of the maps": f"{found.maps_rmse:.4f} (RMSE)",
        **{layer.layer: layer_words(layer) for layer in found.layers},
        "accuracy without noise": f"{percent(found.ideal_accuracy)} of {found.n_images:,} images",
        "accuracy to expect": accuracy_words(found.expected),
        "corrected by the fitted map": accuracy_words(found.corrected),
        "estimated": f"by simulation; it assumes that {found.assumption}",
        "whole image set": whole_words(found.whole),
        **charge_facts(found.charges),
    }


def layer_words(layer: LayerErrors) -> str:
    """The error of one convolution's maps."""
    return (
        f"RMSE {layer.rmse:.4f} ± {layer.rmse_error:.4f}, bias {layer.bias:+.4f} ± "
        f"{layer.bias_error:.4f}, shots alone {layer.shot_error:.4f}; "
        f"slope {span(layer.scale)}, offset {span(layer.offset)}, "
        f"scatter {span(layer.scatter)}; {layer.n_rows:,} rows"
    )


def accuracy_words(simulated: Simulated) -> str:
    """A simulated accuracy and its interval."""
    low, high = (100 * bound for bound in simulated.interval)
    return (
        f"{percent(simulated.mean)}, 95 % of {simulated.draws} simulations from "
        f"{low:.2f} to {high:.2f} %"
    )


def whole_words(whole: WholeSet) -> str:
    """What all test images would take."""
    words = f"{whole.rows:,} rows for all {whole.images:,} test images"
    if seconds := whole.machine_seconds:
        return f"{words}, about {seconds:,.0f} s ({seconds / 3600:,.1f} h) of QPU time"
    return f"{words}, about {whole.seconds:,.0f} s on this computer"


def row_summary(found: RowRecord) -> dict[str, Any]:
    """For `--json`."""
    keys = ("rows", "shots", "jobs", "qpu_seconds", "maps_rmse", "layers", "ideal_accuracy")
    return {
        "rows_backend": found.backend,
        **found.only(*keys, "whole"),
        **({} if found.charges is None else found.charges.summary()),
        "expected_accuracy": found.expected.mean,
        "expected_interval": found.expected.interval,
        "corrected_accuracy": found.corrected.mean,
        "corrected_interval": found.corrected.interval,
    }


def span(values: Sequence[float]) -> str:
    """From the least to the largest."""
    return f"{min(values):.3f} to {max(values):.3f}"
