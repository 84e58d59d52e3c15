"""What stands in the circuit's place, and what that changes: arms by seeds of one recipe.

Every arm sees the same splits, initial front end, order of images and augmentation under one seed,
so that differences are taken seed by seed. The report is that of all runs side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from qbackend.errors import OptionError

from .axes import Axis
from .frame import Cell, Results, ScoreColumn, Seeds
from .trained import TrainedScores, TrainedStudy, accuracies_and_difference, outcome_of, parameters

if TYPE_CHECKING:
    from ..config.sections import Config
    from ..records.folder import Record
    from ..run.display import Display
    from .grid import Workers

REFERENCE = "quantum"


@dataclass(frozen=True)
class ArmSetting:
    """What is trained."""

    arm: str


@dataclass(frozen=True)
class ArmStudy(TrainedStudy[ArmSetting]):
    """Arms of one recipe."""

    name = "arms"
    help = """Train every arm of a recipe over several seeds and compare them.

    An arm is what stands in the circuit's place. The same command goes on where it was stopped;
    finished runs are not repeated.
    """
    examples = """\b
Examples:
  qhc ablate arms --recipe digits --seeds 5
  qhc ablate arms --recipe mnist --arms quantum,linear --seeds 5 --backend native
  qhc ablate arms --recipe mnist --backend native --jobs 5
  qhc ablate arms --seeds 3,5,8 --engine dask --jobs 2
"""
    setting = ArmSetting
    axes = (
        Axis(
            "arm",
            "What to compare; classical is the recipe's classical twin.  [default: "
            "quantum,quantum-frozen,linear,mlp,none]",
            centre=REFERENCE,
            values=("quantum", "quantum-frozen", "linear", "mlp", "none"),
            flag="--arms",
            metavar="NAME,...",
        ),
    )
    columns = (
        ScoreColumn("parameters", parameters),
        *accuracies_and_difference(REFERENCE),
        ScoreColumn("s/epoch", lambda scores: f"{scores.seconds.mean:.2f}"),
    )
    chosen: ClassVar[Mapping[str, str]] = {"model.arm": "--arms"}
    seeds = Seeds(5, least=2, help="How many runs of each arm, from 0 on, or which: 3,5,8.")
    at_a_time = counted = "runs"
    usual_jobs = 1

    def settled(self, config: Config, settings: Sequence[ArmSetting]) -> Sequence[ArmSetting]:
        """Of a network of the user's own all its arms, where none were named."""
        from ..config.own_objects import own_arms

        if config.model.factory is None:
            return settings
        arms = own_arms(config)
        if tuple(each.arm for each in settings) == self.axes[0].values:
            settings = [ArmSetting(arm) for arm in arms]
        if REFERENCE not in arms or len(arms) < 2:
            raise OptionError(
                f"{config.model.factory} has the arms {', '.join(arms)}: arms are compared with "
                f'\'{REFERENCE}\'; write ARMS = ("{REFERENCE}", "linear") beside it, and have it '
                "take `arm`"
            )
        return settings

    def threads(self, config: Config) -> None:
        """A run's own number, as if it were alone."""

    def values(self, setting: ArmSetting) -> dict[str, Any]:
        return {"model.arm": setting.arm}

    def reference(self, setting: ArmSetting) -> ArmSetting:
        return ArmSetting(REFERENCE)

    def home(self, setting: ArmSetting, seed: int) -> Path:
        return Path(f"{setting.arm}-seed{seed}")

    def prepare(
        self, cells: Sequence[Cell[ArmSetting]], workers: Workers, display: Display
    ) -> dict[tuple[ArmSetting, int], Record]:
        """Train all of them: what they are worth stands in their own folders."""
        from ..report.reading import read_run
        from .series import finish_in_turn, finish_together

        if workers.jobs == 1 and workers.engine == "loky":
            finish_in_turn(cells, display)
        else:
            finish_together(cells, workers, display)
        return {cell.key: outcome_of(read_run(cell.folder)) for cell in cells}

    def rows(self, results: Results) -> list[Record]:
        """The csv: a row per arm."""
        return [_row(scores) for scores in results.scores]

    def content(self, results: Results) -> Record:
        arms = [self.entry(scores) for scores in results.scores]
        return {"backend": results.config.run.backend, "arms": arms}

    def entry(self, scores: TrainedScores[ArmSetting]) -> Record:
        named = asdict(scores)
        shown = ("parameters", "test", "last", "validation", "seconds", "difference")
        return {"arm": scores.setting.arm, **{key: named[key] for key in shown}}

    def heading(self, config: Config) -> str:
        return f"{config.recipe}, {config.protocol}, backend {config.run.backend}"

    def page(self, results: Results) -> None:
        """The runs side by side."""


def _row(scores: TrainedScores[ArmSetting]) -> Record:
    difference = scores.difference
    return {
        "arm": scores.setting.arm,
        "parameters": scores.parameters,
        "seeds": scores.test.n,
        "validation_mean": scores.validation.mean,
        "validation_deviation": scores.validation.deviation,
        "test_mean": scores.test.mean,
        "test_deviation": scores.test.deviation,
        "last_test_mean": scores.last.mean,
        "last_test_deviation": scores.last.deviation,
        "difference_mean": difference.mean if difference else None,
        "difference_low": difference.low if difference else None,
        "difference_high": difference.high if difference else None,
        "seconds_per_epoch": scores.seconds.mean,
    }
