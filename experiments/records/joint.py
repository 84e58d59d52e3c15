"""The line of `metrics.jsonl` that several models leave which a device answered in one run."""

from __future__ import annotations

from typing import ClassVar

from qbackend.validation.records.recorded import Recorded

from .comparisons import Charged
from .lines import Compiled
from .scores import Interval


class Corrected(Recorded):
    """A model's answers from outputs that fitted maps correct.

    Attributes:
        rmse, rmse_error, accuracy, accuracy_interval: as a `MemberRecord` has them.
    """

    rmse: float
    rmse_error: float
    accuracy: float
    accuracy_interval: Interval


class MemberRecord(Recorded):
    """One of the models.

    Attributes:
        name: that tables have.
        checkpoint: path of the one that was given.
        recipe, arm, seed: that it was trained by.
        ideal_accuracy: without noise.
        accuracy, accuracy_interval: as the device answers (Wilson's interval).
        rmse: root-mean-square error of the layer's outputs against those without noise; this and
            what follows is None for an arm without a quantum layer, of which nothing is executed.
        rmse_error: its standard error, from the spread between images.
        shot_error: root mean square of the standard errors that the shots give.
        corrected: by fitted maps, where there are some.
        request: number of the one that its rows were in, from 1.
        rows: of its test images.
        seconds: of QPU time by the estimate, its share of the request by rows.
        charged_seconds: likewise of what was charged; None where nothing was.
    """

    name: str
    checkpoint: str
    recipe: str
    arm: str
    seed: int
    ideal_accuracy: float
    accuracy: float
    accuracy_interval: Interval
    rmse: float | None = None
    rmse_error: float | None = None
    shot_error: float | None = None
    corrected: Corrected | None = None
    request: int | None = None
    rows: int = 0
    seconds: float = 0.0
    charged_seconds: float | None = None

    @property
    def best(self) -> MemberRecord | Corrected:
        """What is corrected, where anything is; else as the device answers."""
        return self.corrected or self


class Difference(Recorded):
    """Two of the models on the same images, the other minus the one; corrected where both are.

    Attributes:
        one, other: their names.
        ideal: of the accuracies without noise.
        difference: of the accuracies as the device answers.
        interval: of that, 95 % (`uncertainty.paired_share_interval`).
        gained, lost: images that only the other, only the one gives the right class.
    """

    one: str
    other: str
    ideal: float
    difference: float
    interval: Interval
    gained: int
    lost: int

    @property
    def is_chance(self) -> bool:
        """Whether the interval leaves open which of the two is better."""
        return self.interval[0] <= 0 <= self.interval[1]


class JointRecord(Charged):
    """Several models that a device answered in one run, on the same images.

    Attributes:
        backend: the device.
        shots: of each circuit, None for exact values.
        n_images: of each model.
        n_training: images that the maps are fitted on, 0 without any.
        jobs: of all.
        members: in the order of the table.
        differences: of every two.
        seconds: of QPU time on a machine by the estimate, of all together.
        apart_seconds: the same, were each model asked in a run of its own.
        compiled: each layer, in the order of the requests.
    """

    kind: ClassVar[str] = "joint"
    backend: str
    shots: int | None
    n_images: int
    n_training: int
    jobs: int
    members: tuple[MemberRecord, ...]
    differences: tuple[Difference, ...]
    seconds: float
    apart_seconds: float
    compiled: tuple[Compiled, ...]
