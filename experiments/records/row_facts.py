"""What rows of feature maps found, in words for a person and in a line for a program."""

from __future__ import annotations

from .folder import Record


def row_facts(found: Record) -> dict[str, str]:
    """The error of the maps, the accuracy to expect, and what whole images would take."""
    shots = f"{found['shots']:,} shots each" if found["shots"] else "exact probabilities"
    facts = {
        "rows": f"{found['rows']:,} of real feature maps on {found['backend']}, {shots}",
        "error of the maps": f"{found['maps_rmse']:.4f} (RMSE)",
    }
    for layer in found["layers"]:
        facts[layer["layer"]] = layer_words(layer)
    exact = found["ideal_accuracy"]
    facts["accuracy without noise"] = f"{100 * exact:.2f} % of {found['n_images']:,} images"
    facts["accuracy to expect"] = accuracy_words(found["expected"])
    facts["corrected by the fitted map"] = accuracy_words(found["corrected"])
    facts["estimated"] = f"by simulation; it assumes that {found['assumption']}"
    facts["whole image set"] = whole_words(found)
    return facts


def layer_words(layer: Record) -> str:
    """The error of one convolution's maps."""
    return (
        f"RMSE {layer['rmse']:.4f} ± {layer['rmse_error']:.4f}, bias {layer['bias']:+.4f} ± "
        f"{layer['bias_error']:.4f}, shots alone {layer['shot_error']:.4f}; "
        f"slope {_span(layer['scale'])}, offset {_span(layer['offset'])}, "
        f"scatter {_span(layer['scatter'])}; {layer['n_rows']:,} rows"
    )


def accuracy_words(simulated: Record) -> str:
    """A simulated accuracy and its interval."""
    low, high = (100 * bound for bound in simulated["interval"])
    return (
        f"{100 * simulated['mean']:.2f} %, 95 % of {simulated['draws']} simulations from "
        f"{low:.2f} to {high:.2f} %"
    )


def whole_words(found: Record) -> str:
    """What all test images would take."""
    whole = found["whole"]
    words = f"{whole['rows']:,} rows for all {whole['images']:,} test images"
    if whole["machine_seconds"]:
        seconds = whole["machine_seconds"]
        return f"{words}, about {seconds:,.0f} s ({seconds / 3600:,.1f} h) of QPU time"
    return f"{words}, about {whole['seconds']:,.0f} s on this computer"


def row_summary(found: Record) -> Record:
    """For `--json`."""
    keys = ("rows", "shots", "jobs", "qpu_seconds", "maps_rmse", "layers", "ideal_accuracy")
    more = ("whole", "job_ids", "estimated_seconds", "charged_seconds")
    return {
        "rows_backend": found["backend"],
        **{key: found[key] for key in (*keys, *more) if key in found},
        "expected_accuracy": found["expected"]["mean"],
        "expected_interval": found["expected"]["interval"],
        "corrected_accuracy": found["corrected"]["mean"],
        "corrected_interval": found["corrected"]["interval"],
    }


def _span(values: list[float]) -> str:
    return f"{min(values):.3f} to {max(values):.3f}"
