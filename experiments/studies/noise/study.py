"""Which noise costs how much: a recipe's models under many settings of devices' noise.

A model is trained once for all settings that share it: without noise, or under all of a device's
noise with one preparation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from qbackend.errors import OptionError

from ..frame import Cell, Groups, Page, Pictures, Results, ScoreColumn, Study
from .axes import AXES, EXACT, NO_NOISE, OWN, NoiseSetting

if TYPE_CHECKING:
    from ...config.sections import Config
    from ...records.folder import Record
    from ...run.display import Display
    from ..grid import Workers
    from .summary import NoiseScores

IDEAL = "native"
"""Trains the models that no noise is to be known to; it is exact, and the fastest."""


@dataclass(frozen=True)
class NoiseStudy(Study[NoiseSetting, "NoiseScores"]):
    """Trained models under devices' noise.

    Attributes:
        limit: number of test images, drawn by the seed; None for all.
        calibrate: number of training images that a calibration is fitted on.
    """

    limit: int | None = None
    calibrate: int = field(
        default=256, metadata={"help": "Training images that a calibration is fitted on."}
    )

    name = "noise"
    help = """Find out which part of which device's noise costs how much accuracy.

    Models are trained once per seed and then evaluated under every setting. A LIST is written
    a,b,c, or its flag repeated. By default the settings are a star around one device with all of
    its noise, exact expectations, the compact preparation and ideal training: every strength for
    each device and for each part, and shots, preparation and training one at a time. The same
    command goes on where it was stopped; nothing finished is computed again.
    """
    examples = """\b
Examples:
  qhc ablate noise --recipe digits --seeds 2
  qhc ablate noise --recipe mnist --device fake_brisbane --part all --strength 1 --shots 4096
  qhc ablate noise --part readout,two_qubit --strength 0,1/2,1 --full --engine ray
"""
    setting = NoiseSetting
    axes = AXES
    planes = (
        ("device", "strength"),
        ("part", "strength"),
        ("shots",),
        ("preparation",),
        ("training",),
    )
    columns = (
        ScoreColumn("2q gates", lambda scores: str(scores.two_qubit_gates), "Two-qubit gates"),
        ScoreColumn("accuracy", lambda scores: _accuracy(scores)),
        ScoreColumn("points lost, 95 % interval", lambda scores: _lost(scores)),
        ScoreColumn("RMSE", lambda scores: f"{scores.rmse:.4f}"),
    )
    chosen: ClassVar[Mapping[str, str]] = {
        "run.backend": "--device",
        "run.limit": "--limit",
        "run.shots": "--shots",
        "run.preparation": "--preparation",
        "run.calibrate": "--calibrate",
        "noise": "--part and --strength",
    }
    counted = "noise"
    is_ruled = True

    def settled(self, config: Config, settings: Sequence[NoiseSetting]) -> Sequence[NoiseSetting]:
        """A circuit of one's own brings its preparation: there is none to choose."""
        if config.layer.circuit is None:
            return settings
        return list(dict.fromkeys(replace(setting, preparation=OWN) for setting in settings))

    def check(self, config: Config) -> None:
        from ...assembly.construct import model_plan

        if config.model.factory is not None:
            raise OptionError(
                "parts of a device's noise are studied for networks of the catalogue, also with a "
                f"circuit of your own (--set layer.circuit=my.qasm); '{config.model.name}' runs "
                "under its noise as a whole: qhc run --backend aer:fake_fez"
            )
        if model_plan(config).circuit(config.model.arm) is None:
            raise OptionError(
                f"arm '{config.model.arm}' of '{config.model.name}' has no circuit for noise to "
                "act on; leave model.arm at 'quantum'"
            )
        for option, value, least in (("limit", self.limit, 1), ("calibrate", self.calibrate, 2)):
            if value is not None and value < least:
                raise OptionError(f"{option} must be at least {least}, got {value}")

    def keys(
        self, settings: Sequence[NoiseSetting], seeds: Sequence[int]
    ) -> list[tuple[NoiseSetting, int]]:
        """Setting by setting, the models without noise first: a table's rows are then seeds."""
        return [(setting, seed) for setting in (NO_NOISE, *settings) for seed in seeds]

    def values(self, setting: NoiseSetting) -> dict[str, Any]:
        """Of the model that the setting's cells evaluate."""
        if setting.training != "noise-aware":
            return {"run.backend": IDEAL}
        return {
            "run.backend": f"native:{setting.device}",
            "run.preparation": setting.preparation,
        }

    def home(self, setting: NoiseSetting, seed: int) -> Path:
        """The model's folder."""
        is_aware = setting.training == "noise-aware"
        name = f"{setting.device}-{setting.preparation}" if is_aware else "ideal"
        return Path("models", f"{name}-seed{seed}")

    def inputs(self, cell: Cell[NoiseSetting]) -> Record:
        """The model's config has the seed."""
        fitted = self.calibrate if cell.setting.training == "calibrated" else None
        return {"setting": asdict(cell.setting), "limit": self.limit, "calibrate": fitted}

    def prepare(
        self, cells: Sequence[Cell[NoiseSetting]], workers: Workers, display: Display
    ) -> dict[tuple[NoiseSetting, int], Record]:
        """Train the models, and keep what leaves their front ends."""
        from .outcome import ideal_outcome

        models = {cell.folder: cell for cell in cells}
        left = {
            folder.name: cell for folder, cell in models.items() if not self.kept(folder).exists()
        }
        with display.counting("models", len(models), len(models) - len(left)) as count:
            for _ in workers.map(self.train, left):
                count()
        ideal = [cell for cell in cells if cell.setting == NO_NOISE]
        return {cell.key: ideal_outcome(self.kept(cell.folder)) for cell in ideal}

    def train(self, cell: Cell[NoiseSetting]) -> None:
        """Train a cell's model, or go on with it, and show its front end the images."""
        from ...run.display import Display
        from ..series import finish
        from .front_end import observe_front_end

        display = Display()
        finish(cell, f"training model {cell.folder.name}", display)
        found = observe_front_end(cell, self.limit, self.calibrate, display.say)
        found.save(self.kept(cell.folder))

    def kept(self, folder: Path) -> Path:
        """The file of what left the front end of the model in a folder."""
        limit = "all" if self.limit is None else self.limit
        return folder / f"images-{limit}-{self.calibrate}.npz"

    def compute(self, cell: Cell[NoiseSetting]) -> Record:
        from .outcome import noisy_outcome

        ideal = cell.folder.parent.parent / self.home(NO_NOISE, cell.seed)
        return noisy_outcome(self.kept(cell.folder), self.kept(ideal), cell.setting, cell.seed)

    def sum_up(self, setting: NoiseSetting, groups: Groups[NoiseSetting]) -> NoiseScores:
        from .summary import NoiseScores

        return NoiseScores.over(setting, groups[setting].values())

    def row(self, setting: NoiseSetting, seed: int, outcome: Record) -> Record:
        return super().row(setting, seed, outcome) | {"shots": setting.shots or EXACT}

    def entry(self, scores: NoiseScores) -> Record:
        found = asdict(scores)
        return {**found, "setting": None} if scores.setting == NO_NOISE else found

    def caption(self, results: Results) -> str:
        config = results.config
        return f"{config.recipe}, {config.protocol}, {results.n_seeds} seeds"

    def page(self, results: Results) -> Page:
        from ...report.numbers import counted, percent
        from .pictures import drawings

        config, (ideal, *noisy) = results.config, results.scores
        return Page(
            title=f"{config.recipe} under noise",
            sentence=(
                f"The model {config.model.name}, trained on {config.data.name} over "
                f"{counted(results.n_seeds, 'seed')}, answers {percent(ideal.accuracy.mean)} of "
                "the test images correctly without noise. Here is what is left of that under "
                f"{counted(len(noisy), 'setting')} of simulated devices' noise."
            ),
            note=NOTE,
            drawings=drawings(ideal, noisy),
            sections=(
                Pictures("maps", "What costs most", ("map-device", "map-part")),
                Pictures(
                    "curves",
                    "How it grows",
                    ("curve-part", "curve-device", "curve-shots"),
                    "Bars are 95 % intervals of the accuracy.",
                ),
            ),
        )


NOTE = (
    "Accuracy is the mean over seeds, with its sample standard deviation. Points lost are those of "
    "the model that was trained without noise and runs without it, less the setting's, on the same "
    "images: for several seeds with Student's t interval for the mean, for one seed with "
    "Newcombe's interval for paired proportions. RMSE is the root-mean-square error of the quantum "
    "layer's expectation values against the same weights without noise. A strength of 1 is what "
    "the device reports. Every cell is in noise.csv."
)


def _accuracy(scores: NoiseScores) -> str:
    found = scores.accuracy
    deviation = f" ± {100 * found.deviation:.2f}" if found.n > 1 else ""
    return f"{100 * found.mean:.2f} %{deviation}"


def _lost(scores: NoiseScores) -> str:
    if scores.lost_interval is None:
        return ""
    low, high = (f"{100 * edge + 0.0:.2f}" for edge in scores.lost_interval)
    return f"{100 * scores.lost + 0.0:.2f} ({low} to {high})"
