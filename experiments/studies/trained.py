"""Studies whose cells are trainings: each is a run like any other, and is trained once."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from .frame import Cell, Groups, Results, ScoreColumn, Setting, Study

if TYPE_CHECKING:
    from ..config.sections import Config
    from ..records.folder import Record
    from ..report.comparison.groups import PairedDifference, Spread
    from ..report.reading import Run


@dataclass(frozen=True)
class TrainedScores(Generic[Setting]):
    """One setting over its seeds; accuracies are shares.

    Attributes:
        setting: the model and its training.
        parameters: of the network.
        quantum_parameters: of its circuits.
        validation: accuracy of the best epoch.
        test: accuracy of the best validation epoch's weights.
        last: test accuracy of the last epoch's weights.
        seconds: per epoch of training, each run's median.
        cpu_seconds: of all threads, in the same way.
        difference: of `test` to the reference's, paired by seed; None for the reference, without
            one, and for fewer than two seeds.
    """

    setting: Setting
    parameters: int
    quantum_parameters: int
    validation: Spread
    test: Spread
    last: Spread
    seconds: Spread
    cpu_seconds: Spread
    difference: PairedDifference | None


class TrainedStudy(Study[Setting, TrainedScores[Setting]]):
    """What such studies have in common."""

    @abstractmethod
    def heading(self, config: Config) -> str:
        """What is compared, in the table's caption."""

    @abstractmethod
    def reference(self, setting: Setting) -> Setting:
        """What a setting is compared with; itself for a reference."""

    def compute(self, cell: Cell[Setting]) -> Record:
        """Train the cell's model, or go on with it, and say how good it is."""
        from ..report.reading import read_run
        from .series import finish_aside

        finish_aside(cell)
        return outcome_of(read_run(cell.folder))

    def caption(self, results: Results) -> str:
        return (
            f"{self.heading(results.config)}: accuracy in %, mean ± standard deviation over "
            f"{results.n_seeds} seeds; difference paired by seed, 95 % interval"
        )

    def sum_up(self, setting: Setting, groups: Groups[Setting]) -> TrainedScores[Setting]:
        """A setting over its seeds, and its difference to the reference."""
        from ..report.comparison.groups import difference_by_seed, spread

        reference = self.reference(setting)
        found, other = groups[setting], groups.get(reference, {})
        one = next(iter(found.values()))

        def over_seeds(key: str) -> Spread:
            return spread(_by_seed(found, key).values())

        return TrainedScores(
            setting=setting,
            parameters=one["parameters"],
            quantum_parameters=one["quantum_parameters"],
            validation=over_seeds("validation"),
            test=over_seeds("test_best"),
            last=over_seeds("test_last"),
            seconds=over_seeds("seconds"),
            cpu_seconds=over_seeds("cpu_seconds"),
            difference=None
            if setting == reference
            else difference_by_seed(
                self.label(setting),
                self.label(reference),
                _by_seed(found, "test_best"),
                _by_seed(other, "test_best"),
                1 / (one.get("n_images") or math.inf),
            ),
        )


def outcome_of(run: Run) -> Record:
    """A finished run's numbers, None for what it has not."""
    tested = {
        record.checkpoint: record.accuracy for record in run.evaluations if record.split == "test"
    }
    best = run.best_epoch
    return {
        "n_images": run.headline.n_images if run.headline else None,
        "parameters": run.state.parameters,
        "quantum_parameters": run.state.quantum_parameters,
        "epochs": len(run.epochs),
        "best_epoch": best.epoch if best else None,
        "validation": best.validation.accuracy if best else None,
        "test_best": tested.get("best"),
        "test_last": tested.get("last"),
        "seconds": run.median(lambda epoch: epoch.seconds),
        "cpu_seconds": run.median(lambda epoch: epoch.cpu_seconds),
        "peak_memory_mib": run.peak_memory_mib,
    }


def parameters(scores: TrainedScores) -> str:
    """In groups of thousands."""
    return f"{scores.parameters:,}"


def accuracies_and_difference(reference: str) -> tuple[ScoreColumn[TrainedScores], ...]:
    """The columns of accuracies, in per cent, and of the difference to a reference's."""
    return (
        ScoreColumn("validation", lambda scores: _spread(scores.validation)),
        ScoreColumn("test, best", lambda scores: _spread(scores.test)),
        ScoreColumn("test, last", lambda scores: _spread(scores.last)),
        ScoreColumn(f"best minus {reference}", lambda scores: _difference(scores.difference)),
    )


def _by_seed(found: Mapping[int, Record], key: str) -> dict[int, float]:
    return {seed: each[key] for seed, each in found.items() if each[key] is not None}


def _spread(found: Spread) -> str:
    deviation = "" if math.isnan(found.deviation) else f" ± {100 * found.deviation:.2f}"
    return f"{100 * found.mean:.2f}{deviation}"


def _difference(found: PairedDifference | None) -> str:
    if found is None:
        return ""
    low, high = (f"{100 * edge:+.2f}" for edge in (found.low, found.high))
    return f"{100 * found.mean:+.2f} ({low} to {high})"
