"""All that a run has on record, read once: for a page, a table and a line of JSON alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from qbackend.validation.records.state import Provenance, State

from ..config.sections import Config
from .comparisons import MitigationRecord, RowRecord, ValidationRecord
from .drift import DriftRecord
from .folder import RunFolder
from .joint import JointRecord
from .lines import EpochRecord, EvaluationRecord


@dataclass(frozen=True)
class RunRecords:
    """One run's records.

    Attributes:
        folder: where they are.
        config: the resolved recipe.
        provenance: what it was begun with beside the recipe.
        state: what happened to it.
        versions: of the software.
        epochs, evaluations: in order.
        validation: the comparison of a machine's answers with the simulated ones, if any.
        rows: the error of rows of feature maps on a device, if any were executed.
        mitigation: ways to mitigate a machine's errors, if they were compared.
        joint: several models that a device answered in the run, if there were.
        drift: the run beside the one that it repeats, if it repeats one.
    """

    folder: Path
    config: Config
    provenance: Provenance
    state: State
    versions: dict[str, str]
    epochs: tuple[EpochRecord, ...]
    evaluations: tuple[EvaluationRecord, ...]
    validation: ValidationRecord | None = None
    rows: RowRecord | None = None
    mitigation: MitigationRecord | None = None
    joint: JointRecord | None = None
    drift: DriftRecord | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Of the run in the folder at `path`.

        Raises:
            RunFolderError: no such folder, one that is not a run's, or damaged records.
            ConfigError: a config that is none.
        """
        folder = RunFolder.open(path)
        return cls(
            folder=path,
            config=folder.config(),
            provenance=folder.provenance,
            state=folder.state,
            versions=folder.versions,
            epochs=tuple(folder.epochs()),
            evaluations=tuple(folder.evaluations()),
            validation=folder.validation_record,
            rows=folder.row_record,
            mitigation=folder.mitigation_record,
            joint=folder.joint_record,
            drift=folder.drift_record,
        )

    @property
    def best_epoch(self) -> EpochRecord | None:
        """The epoch whose model was kept: highest validation accuracy, then lowest loss."""
        return max(
            self.epochs,
            key=lambda epoch: (epoch.validation.accuracy, -epoch.validation.loss),
            default=None,
        )

    @property
    def after_warm_up(self) -> tuple[EpochRecord, ...]:
        """The epochs whose time counts: all but the first, which compiles and allocates."""
        return self.epochs[1:] or self.epochs

    @property
    def peak_memory_mib(self) -> float:
        """The largest resident set, NaN without epochs."""
        return max((epoch.peak_memory_mib for epoch in self.epochs), default=float("nan"))

    @property
    def ideal_accuracy(self) -> float | None:
        """Without any device's noise, None where that was not evaluated."""
        found = [record.accuracy for record in self.evaluations if record.compiled is None]
        return found[-1] if found else None

    def stage(self, name: str) -> EvaluationRecord:
        """The evaluation of a stage that is on record."""
        return next(record for record in self.evaluations if record.stage == name)

    def median(self, number: Callable[[EpochRecord], float]) -> float:
        """Median of a number of the epochs after warm-up, NaN without epochs."""
        values = [number(epoch) for epoch in self.after_warm_up]
        return statistics.median(values) if values else float("nan")
