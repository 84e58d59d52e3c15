"""A repeated run beside the one that it repeats: how far answers have drifted, and the device.

Letters: N images or rows, M outputs of the quantum layer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qbackend.errors import RunFolderError
from qbackend.seam.uncertainty import paired_share_interval
from qbackend.validation.records.files import write_arrays

from ..data.own import viewable
from ..data.splits import Split
from ..records.drift import Answered, DriftRecord, MovedError, OutputDrift, Side
from ..records.folder import RunFolder
from ..records.lines import Compiled
from ..records.run_records import RunRecords
from .answers import Answers, Measured, Values, answers_of, drawn, measured_rows
from .moved_errors import median_errors, moved_errors, reported_by

N_CHANGED = 16
"""Images kept to show of those that the two answer otherwise."""


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        record: what is to be told of them.
        then, now: the answers; None where rows of feature maps were executed.
    """

    record: DriftRecord
    then: Answers | None = None
    now: Answers | None = None

    @property
    def changed(self) -> NDArray[np.integer]:
        """Places of the images that the two give different classes."""
        if self.then is None or self.now is None:
            return np.zeros(0, dtype=int)
        return np.flatnonzero(self.then.predictions != self.now.predictions)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a page shows of the answers: `indices`, `labels` and `classes` of the images,
        `then_` and `now_` `predictions` (N,) and `outputs` (N, M)."""
        then, now = self.then, self.now
        if then is None or now is None:
            return {}
        arrays = {"indices": now.indices, "labels": now.labels, "classes": now.classes}
        arrays |= {"then_predictions": then.predictions, "now_predictions": now.predictions}
        if then.outputs is not None and now.outputs is not None:
            arrays |= {"then_outputs": then.outputs, "now_outputs": now.outputs}
        return arrays


def compare_runs(earlier: RunFolder, later: RunFolder) -> Comparison:
    """The later run beside the earlier one.

    Raises:
        RunFolderError: they are not of the same weights and images, or have no answers.
    """
    check_same_weights(earlier, later)
    records = RunRecords.read(later.path)
    sides = _side(RunRecords.read(earlier.path)), _side(records)
    moved, medians = _moved(earlier, later, sides)
    then: Answers | None = None
    now: Answers | None = None
    answered: Answered | None = None
    if records.rows is not None:
        n_images = records.rows.n_images
        outputs = _row_drifts(measured_rows(earlier), measured_rows(later))
        together = _together(outputs, None)
    else:
        then, now = answers_of(earlier), answers_of(later)
        n_images = len(now.labels)
        outputs, answered = _output_drifts(then, now), _answered(then, now)
        together = _together(outputs, _all_shots(then, now))
    record = DriftRecord(
        then=sides[0],
        now=sides[1],
        n_images=n_images,
        answered=answered,
        together=together,
        outputs=outputs,
        moved=moved,
        medians=medians,
    )
    return Comparison(record, then, now)


def record_drift(later: RunFolder, earlier: RunFolder, split: Split) -> None:
    """Enter the comparison with the run that is repeated in the later one's records.

    Args:
        later: which repeats the other one.
        earlier: that it repeats.
        split: the images of both.

    Raises:
        RunFolderError: as `compare_runs`.
    """
    found = compare_runs(earlier, later)
    if arrays := found.arrays():
        shown = drawn(found.changed, N_CHANGED, later.config().run.seed)
        images = viewable(split.images.cpu()[shown])
        if images is not None:
            arrays |= {"changed_places": shown, "changed_images": images.numpy()}
        write_arrays(later.drift, arrays)
    later.append(found.record)


def weights_sha256(folder: RunFolder) -> str:
    """By what two runs are known to be of the same weights; raises `RunFolderError`."""
    try:
        return hashlib.sha256(folder.checkpoint.read_bytes()).hexdigest()
    except OSError as error:
        raise RunFolderError(
            f"{folder.checkpoint} cannot be read: {error.strerror or error}"
        ) from None


def check_same_weights(earlier: RunFolder, later: RunFolder) -> None:
    """Raise `RunFolderError` unless both runs keep one checkpoint's bytes."""
    if weights_sha256(earlier) != weights_sha256(later):
        raise RunFolderError(
            f"{earlier.path} and {later.path} are not of the same weights: their answers cannot "
            "be compared image by image"
        )


def _side(run: RunRecords) -> Side:
    """One run; of rows of feature maps the accuracy is that to be expected."""
    given: dict[str, Any] = {"run": run.folder.name, "started": run.state.started}
    if run.rows is not None:
        rows = run.rows
        expected, corrected = rows.expected, rows.corrected.mean
        return Side(
            **given, backend=rows.backend, shots=rows.shots, accuracy=expected.mean,
            interval=expected.interval, corrected=corrected, **_device(rows.compiled),
        )  # fmt: skip
    if not run.evaluations:
        raise RunFolderError(f"{run.folder} has not evaluated anything")
    stages = {record.stage: record for record in run.evaluations}
    record = stages.get("machine", run.evaluations[-1])
    corrected_record = stages.get("corrected")
    return Side(
        **given,
        backend=record.backend,
        shots=record.shots,
        accuracy=record.accuracy,
        interval=record.accuracy_interval,
        corrected=None if corrected_record is None else corrected_record.accuracy,
        **_device(record.compiled),
    )


def _device(compiled: Compiled | None) -> dict[str, Any]:
    if compiled is None:
        compiled = Compiled()
    gates, readout = compiled.gate_fidelity, compiled.readout_fidelity
    alone = () if gates is None or readout is None else (gates * readout,)
    fidelities = [copy.fidelity for copy in compiled.copies] or alone
    qubits = [qubit for copy in compiled.copies for qubit in copy.place]
    qubits = qubits or list(compiled.physical_qubits)
    return {
        "device": compiled.device,
        "calibrated_at": compiled.calibrated_at,
        "qubits": tuple(sorted(qubits)),
        "fidelity": float(np.mean(fidelities)) if fidelities else None,
    }


def _moved(
    earlier: RunFolder, later: RunFolder, sides: Sequence[Side]
) -> tuple[tuple[MovedError, ...], tuple[MovedError, ...]]:
    """Errors that have changed, and the whole device's; none of two devices."""
    if sides[0].device is None or sides[0].device != sides[1].device:
        return (), ()
    then, now = reported_by(earlier), reported_by(later)
    if then is None or now is None:
        return (), ()
    in_use = [side.qubits for side in sides]
    return moved_errors(then, now, in_use), median_errors(then, now)


def _answered(then: Answers, now: Answers) -> Answered:
    both = int((then.is_right & now.is_right).sum())
    gained, lost = (
        int((~then.is_right & now.is_right).sum()),
        int((then.is_right & ~now.is_right).sum()),
    )
    n_images = len(now.labels)
    neither = n_images - both - gained - lost
    return Answered(
        same=int((then.predictions == now.predictions).sum()),
        gained=gained,
        lost=lost,
        difference=(gained - lost) / n_images,
        interval=paired_share_interval(both, gained, lost, neither),
    )


def _output_drifts(then: Answers, now: Answers) -> tuple[OutputDrift, ...]:
    """Of each output; raises `RunFolderError` for other images."""
    if not np.array_equal(then.indices, now.indices) or not np.array_equal(then.labels, now.labels):
        raise _others("images")
    if then.outputs is None or now.outputs is None:
        return ()
    differences = now.outputs.astype(np.float64) - then.outputs
    shots: Sequence[float | None] = [None] * differences.shape[1]
    if then.errors and now.errors:
        shots = np.hypot(then.errors, now.errors).tolist()
    return tuple(
        _drift(f"output {index}", differences[:, index], shot) for index, shot in enumerate(shots)
    )


def _row_drifts(then: Measured, now: Measured) -> tuple[OutputDrift, ...]:
    """Of each convolution; raises `RunFolderError` for other rows."""
    places = [{name: set(each) for name, each in rows.items()} for rows in (then, now)]
    if places[0] != places[1]:
        raise _others("rows")
    found = []
    for name, before in then.items():
        pairs = np.array([(before[place], now[name][place]) for place in before])
        shot = float(np.sqrt((pairs[:, :, 1] ** 2).sum(axis=1).mean()))
        drift = _drift(name, pairs[:, 1, 0] - pairs[:, 0, 0], shot or None)
        # A row's outputs come from the same shots.
        found.append(drift.model_copy(update={"n_rows": len({place[:3] for place in before})}))
    return tuple(found)


def _drift(name: str, differences: Values, shot_rmse: float | None) -> OutputDrift:
    return OutputDrift(
        name=name,
        rmse=float(np.sqrt((differences**2).mean())),
        shot_rmse=shot_rmse,
        shift=float(differences.mean()),
        n_rows=len(differences),
    )


def _all_shots(then: Answers, now: Answers) -> float | None:
    """What the shots give all outputs; runs of old know it of all of them together alone."""
    if then.error is None or now.error is None:
        return None
    return float(np.hypot(then.error, now.error))


def _together(outputs: Sequence[OutputDrift], all_shots: float | None) -> OutputDrift | None:
    """All outputs, each weighted by its rows; `all_shots` is for outputs that know none."""
    if not outputs:
        return None
    rows = np.array([each.n_rows for each in outputs])
    shots = [each.shot_rmse for each in outputs]
    known = [shot for shot in shots if shot is not None]
    return OutputDrift(
        name="all outputs",
        rmse=float(np.sqrt(np.average([each.rmse**2 for each in outputs], weights=rows))),
        shot_rmse=(
            float(np.sqrt(np.average(np.square(known), weights=rows)))
            if len(known) == len(shots)
            else all_shots
        ),
        shift=float(np.average([each.shift for each in outputs], weights=rows)),
        n_rows=int(rows.max()),
    )


def _others(what: str) -> RunFolderError:
    return RunFolderError(
        f"the two runs are not of the same {what}: their answers cannot be compared one by one"
    )
