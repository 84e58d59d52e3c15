"""What `metrics.jsonl` says of a validation from Python: a line per stage, and one of the whole."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from .measures import Score, Task
from .records.charges import Charges
from .records.recorded import Recorded
from .records.stored import Line


class LayerLine(Recorded):
    """One quantum layer in one stage.

    Attributes:
        name: in the model.
        rows: that it was asked for, of all calls together.
        rmse: root-mean-square difference of its outputs from those without noise, which for a
            later layer has what its features differ by in it; None of calls that are others.
        each_rmse: the same of each output, (M,).
        own_rmse: the layer's own part of it: from what it would give for the same features without
            noise.
        shot_error: root mean square of the standard errors that the shots give; None without.
        compiled: what the backend says of the circuit that it made of the layer.
    """

    name: str
    rows: int
    rmse: float | None
    each_rmse: tuple[float, ...]
    own_rmse: float | None = None
    shot_error: float | None = None
    compiled: dict[str, Any] = Field(default_factory=dict)


class StageLine(Line):
    """A model evaluated on one backend.

    Attributes:
        stage: its name, the backend's with ", calibrated" where outputs were corrected.
        backend: that executed the quantum layers.
        is_reference: whether it is the one without noise that others are compared with.
        calibrated: rows of data that its correction was fitted on; None where it is as answered.
        n_items: evaluated.
        scores: by name.
        agreement: share of the items that are answered as without noise; None of numbers.
        layers: in the order of registration.
        shots: per circuit; None on an exact backend.
        jobs: that the rows took, 0 of an exact backend.
        qpu_seconds: charged.
        seconds: that it took here, waiting included.
    """

    kind: ClassVar[str] = "stage"
    stage: str
    backend: str
    is_reference: bool = False
    calibrated: int | None = None
    n_items: int
    scores: dict[str, Score]
    agreement: Score | None = None
    layers: tuple[LayerLine, ...]
    shots: int | None = None
    jobs: int = 0
    qpu_seconds: float = 0.0
    seconds: float = 0.0


class OutputsMoved(Recorded):
    """A layer's outputs beside those of the run that is repeated.

    Attributes:
        name: of the layer.
        rmse: root-mean-square difference of the two.
        by_chance: the same to expect of the shots of both alone; None of exact ones, and of a
            layer that was given something else: behind another, whose answers differ by then.
    """

    name: str
    rmse: float
    by_chance: float | None = None


class Moved(Recorded):
    """A stage beside the same stage of the run that is repeated, which may be of another machine.

    Attributes:
        then, now: names of the stages.
        started: when that run began, ISO 8601.
        scores: then and now, by name.
        same: share of the items that are answered alike; None of numbers.
        layers: in the order of registration.
    """

    then: str
    now: str
    started: str
    scores: dict[str, tuple[float | None, float | None]]
    same: Score | None = None
    layers: tuple[OutputsMoved, ...]


class WholeLine(Line):
    """A finished validation.

    Attributes:
        task: what the targets are.
        charges: of its jobs; None where no machine was asked.
        moved: since the run that it repeats.
    """

    kind: ClassVar[str] = "own"
    task: Task
    charges: Charges | None = None
    moved: tuple[Moved, ...] = ()
