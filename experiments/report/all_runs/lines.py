"""What is said of a run, or of a study, in one line of a list."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

Kind = Literal[
    "training", "validation", "models", "mitigation", "rows", "repeat", "study", "unknown"
]
"""Of a model from its beginning; of a trained one, or of several in one run; the comparison of
mitigations; rows of feature maps; the repetition of another run; many runs compared; what a damaged
run was cannot be told."""


@dataclass(frozen=True)
class RunLine:
    """One run, or one study; what it has not is empty or None.

    Attributes:
        path: its folder.
        name: the same below the folder that is listed.
        kind: what was done.
        study: name of the study that it is a cell of.
        state: how far it has come, or "damaged".
        problem: what is wrong with it.
        started: ISO 8601.
        recipe, model, arm, data, backend: by their names; of several models, the first one's recipe
            and how many they are.
        models: how many, None for one.
        seed: of everything random.
        shots: per circuit; None where values are exact.
        validation: accuracy of the epoch whose model was kept.
        test: accuracy of the evaluation that speaks for the run, by the run's own backend.
        loss: of the same.
        other: what there is in the place of such an accuracy: that of another backend, the least
            and the largest of several models, or the name and value of another score.
        images: that were evaluated in it.
        epochs, epochs_planned: of its training.
        seconds: of training, validations and evaluations together.
        parameters, quantum_parameters: of the network, if it is one.
        device_seconds: of QPU time, charged as far as is known; None where no machine was asked.
        cells: of a study.
        compares: name of what a study varies, as in `qhc ablate NAME`.
        curve: validation accuracy of every epoch, or its loss where accuracy is not recorded.
        curve_of: which of the two.
        report: its page, if there is one.
    """

    path: Path
    name: str
    kind: Kind = "unknown"
    study: str = ""
    state: str = ""
    problem: str = ""
    started: str = ""
    recipe: str = ""
    model: str = ""
    arm: str = ""
    models: int | None = None
    data: str = ""
    backend: str = ""
    seed: int | None = None
    shots: int | None = None
    validation: float | None = None
    test: float | None = None
    loss: float | None = None
    other: str = ""
    images: int | None = None
    epochs: int = 0
    epochs_planned: int | None = None
    seconds: float | None = None
    parameters: int | None = None
    quantum_parameters: int | None = None
    device_seconds: float | None = None
    cells: int | None = None
    compares: str = ""
    curve: tuple[float, ...] = ()
    curve_of: str = ""
    report: Path | None = None

    @property
    def when(self) -> str:
        """Day and minute."""
        return self.started[:16].replace("T", " ")

    def damaged(self, problem: str) -> RunLine:
        """The same, with what is wrong with it."""
        return replace(self, state="damaged", problem=problem)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        paths = {"path": str(self.path), "report": str(self.report) if self.report else None}
        return {**asdict(self), "curve": list(self.curve), **paths}


def epochs_words(line: RunLine) -> str:
    """How many there were, and of how many where more were planned; empty for none."""
    if not line.epochs_planned or line.epochs == line.epochs_planned:
        return f"{line.epochs:,}" if line.epochs else ""
    return f"{line.epochs:,} of {line.epochs_planned:,}"
