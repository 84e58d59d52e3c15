"""From what came of an evaluation to its line and its arrays in the run folder.

Letters: N items, R rows of a layer's call, M outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..layers.inputs import Array
from ..seam.backend import QuantumBackend
from .asking import Asker
from .evaluation import Outcome
from .folder import Arrays, OwnRun, layer_name, outputs_name
from .lines import LayerLine, Moved, OutputsMoved, StageLine
from .measures import Measure
from .trips import Place, Road

TOLD = (
    *("device", "calibrated_at", "calibration", "preparation", "border"),
    *("two_qubit_gates", "two_qubit_depth", "gate_fidelity", "readout_fidelity"),
)
"""Of what a backend says of a compiled layer."""


def stage_line(
    name: str,
    asker: Asker,
    road: Road,
    layers: Sequence[str],
    outcomes: tuple[Outcome, Outcome],
    measure: Measure,
    targets: Tensor,
    calibrated: int | None = None,
) -> StageLine:
    """What is found.

    Args:
        name: of the stage.
        asker: that was asked.
        road: through the model.
        layers: names.
        outcomes: of this stage, and of the one without noise.
        measure: what it is judged by.
        targets: (N, ...).
        calibrated: items that its correction was fitted on; None without.
    """
    outcome, ideal = outcomes
    is_reference, backend = outcome is ideal, asker.backend
    more: dict[str, Any] = {} if calibrated is None else {"calibrated": calibrated}
    if not is_reference:
        more["agreement"] = measure.agreement(outcome.outputs, ideal.outputs)
    return StageLine(
        stage=name,
        backend=asker.name,
        is_reference=is_reference,
        n_items=len(targets),
        scores=measure.scores(outcome.outputs, targets),
        layers=tuple(
            _layer_line(number, each, asker, road, outcomes) for number, each in enumerate(layers)
        ),
        shots=_shots(backend, outcome),
        jobs=sum(len(result.job_ids) for result in outcome.results),
        qpu_seconds=sum(result.qpu_seconds for result in outcome.results),
        seconds=round(outcome.seconds, 3),
        **more,
    )


def stage_arrays(number: int, outcome: Outcome) -> Arrays:
    """What `validation.npz` keeps of a stage."""
    arrays: Arrays = {outputs_name(number): _numbers(outcome.outputs)}
    for place, features in outcome.features.items():
        kept = {"features": _numbers(features), "values": outcome.values[place]}
        if place in outcome.stderr:
            kept["stderr"] = outcome.stderr[place]
        arrays |= {layer_name(number, *place, what): each for what, each in kept.items()}
    return arrays


def moved_since(earlier: OwnRun, later: OwnRun, layers: Sequence[str], measure: Measure) -> Moved:
    """The last stage of a run as it was answered, beside that of the run that it repeats."""
    (then, one), (now, other) = _last(earlier), _last(later)
    arrays = earlier.arrays(), later.arrays()
    names = outputs_name(then), outputs_name(now)
    outputs = [torch.from_numpy(each[name]) for each, name in zip(arrays, names, strict=True)]
    found = []
    for number, layer in enumerate(layers):
        values = [of_layer(each, stage, number, "values")
                  for each, stage in zip(arrays, (then, now), strict=True)]  # fmt: skip
        if values[0].shape != values[1].shape or not values[0].size:
            continue
        errors = [of_layer(each, stage, number, "stderr")
                  for each, stage in zip(arrays, (then, now), strict=True)]  # fmt: skip
        variances = [np.mean(each**2) for each in errors if each.size]
        given = [of_layer(each, stage, number, "features")
                 for each, stage in zip(arrays, (then, now), strict=True)]  # fmt: skip
        if not _alike(*given):
            # Behind another layer: what that has answered moved as well.
            variances = []
        found.append(
            OutputsMoved(
                name=layer,
                rmse=_rms(values[0] - values[1]),
                by_chance=float(np.sqrt(sum(variances))) if variances else None,
            )
        )
    return Moved(
        then=one.stage,
        now=other.stage,
        started=earlier.state.started,
        scores={
            name: (one.scores[name].value, score.value)
            for name, score in other.scores.items()
            if name in one.scores
        },
        same=measure.agreement(outputs[0], outputs[1]),
        layers=tuple(found),
    )


def _alike(one: Array, other: Array) -> bool:
    """Whether two layers were given the same, but for the rounding of another processor."""
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-4, atol=1e-5)


def of_layer(arrays: Arrays, stage: int, layer: int, what: str) -> Array:
    """Of all its calls, one behind another; empty where that is not there."""
    start, end = f"stage{stage}_layer{layer}_call", f"_{what}"
    names = [name for name in arrays if name.startswith(start) and name.endswith(end)]
    found = [arrays[name] for name in sorted(names, key=len)]
    return np.concatenate(found) if found else np.zeros(0)


def _last(folder: OwnRun) -> tuple[int, StageLine]:
    """The last stage that is as a backend answered it."""
    stages = [each for each in enumerate(folder.stages()) if each[1].calibrated is None]
    return stages[-1]


def _layer_line(
    number: int, name: str, asker: Asker, road: Road, outcomes: tuple[Outcome, Outcome]
) -> LayerLine:
    outcome, ideal = outcomes
    places = [place for place in sorted(ideal.values) if place.layer == number]
    differences = [
        outcome.values[place] - ideal.values[place]
        for place in places
        if place in outcome.values and outcome.values[place].shape == ideal.values[place].shape
    ]
    every = np.concatenate(differences) if differences else np.zeros((0, 1))
    errors = [outcome.stderr[place] for place in places if place in outcome.stderr]
    is_reference = outcome is ideal
    is_alike = len(every) == sum(len(ideal.values[place]) for place in places)
    return LayerLine(
        name=name,
        rows=_rows(outcome, places),
        rmse=_rms(every) if is_alike and len(every) else None,
        own_rmse=None if is_reference else _own_rmse(outcome, places),
        each_rmse=tuple(np.sqrt(np.mean(every**2, axis=0)).tolist()) if len(every) else (),
        shot_error=_rms(np.concatenate(errors)) if errors else None,
        compiled=_compiled(asker, road, number),
    )


def _own_rmse(outcome: Outcome, places: Sequence[Place]) -> float | None:
    found = [outcome.values[p] - outcome.exact[p] for p in places if p in outcome.exact]
    return _rms(np.concatenate(found)) if found else None


def _compiled(asker: Asker, road: Road, number: int) -> dict[str, Any]:
    compiled = asker.compiled(road.layers[number])
    record = compiled.record
    if record.get("device") is None:
        return {}
    qubits = [int(each) for each in record.get("physical_qubits", ())]
    found = {key: record[key] for key in TOLD if record.get(key) is not None}
    copies = {"copies": len(compiled.copies)} if compiled.copies else {}
    return {**found, **copies, "physical_qubits": qubits}


def _shots(backend: QuantumBackend, outcome: Outcome) -> int | None:
    performed = [result.shots for result in outcome.results]
    return performed[0] if performed else backend.shots


def _rows(outcome: Outcome, places: Sequence[Place]) -> int:
    return sum(len(outcome.values[place]) for place in places if place in outcome.values)


def _numbers(tensor: Tensor) -> Array:
    """As they are, but for formats that NumPy has not, or whose files take more than they save."""
    return (tensor if tensor.dtype == torch.float64 else tensor.float()).numpy()


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
