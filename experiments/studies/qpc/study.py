"""What a circuit adds to a pointwise convolution: depths, controls, losses and optimisers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from qbackend.errors import OptionError

from ..axes import Axes
from ..frame import Cell, Page, Pictures, Results, ScoreColumn, Seeds
from ..trained import TrainedStudy, accuracies_and_difference, parameters
from .axes import AXES, LOSSES, REFERENCE, WITHOUT_DEPTH, QpcSetting

if TYPE_CHECKING:
    from ...config.sections import Config
    from ...records.folder import Record


@dataclass(frozen=True)
class QpcStudy(TrainedStudy[QpcSetting]):
    """Pointwise convolutions exchanged for circuits and for controls, trained several ways."""

    name = "qpc"
    help = """Find out what circuits add to pointwise convolutions.

    Every setting is trained under every seed and the recipe's budget. A LIST is written
    a,b,c, or its flag repeated. By default the settings are a star around circuits of depth 2
    with cross-entropy and AdamW: every arm, every depth, and each loss and optimiser with the
    classical convolution beside the circuits. The same command goes on where it was stopped;
    nothing finished is trained again.
    """
    examples = """\b
Examples:
  qhc ablate qpc --recipe qpc-fashionmnist --loss cross_entropy --optimiser adamw
  qhc ablate qpc --recipe qpc-cifar10 --arm quantum,conv --depth 2 --optimiser adam,sgd --jobs 4
  qhc ablate qpc --recipe qpc-resnet --arm quantum,conv --depth 2 --full --epochs 5 --seeds 1
"""
    setting = QpcSetting
    axes = AXES
    columns = (
        ScoreColumn("parameters", parameters),
        ScoreColumn("quantum", lambda scores: f"{scores.quantum_parameters:,}"),
        *accuracies_and_difference(REFERENCE),
        ScoreColumn("s/epoch", lambda scores: f"{scores.seconds.mean:.1f}"),
        ScoreColumn("CPU s/epoch", lambda scores: f"{scores.cpu_seconds.mean:.1f}"),
    )
    chosen: ClassVar[Mapping[str, str]] = {
        "model.arm": "--arm",
        "layer.n_layers": "--depth",
        "train.loss": "--loss",
        "train.label_smoothing": "--loss",
        "train.optimiser": "--optimiser",
    }
    recipe = "qpc-fashionmnist"
    seeds = Seeds(3)
    at_a_time = counted = "runs"

    def combine(self, values: Mapping[str, Any]) -> QpcSetting:
        setting = super().combine(values)
        return replace(setting, depth=None) if setting.arm in WITHOUT_DEPTH else setting

    def star(self, axes: Axes) -> Iterator[dict[str, Any]]:
        """Every depth, every arm, and every loss and every optimiser, these two with the
        reference beside the centre."""
        compared = axes.only("arm", (axes.centre["arm"], REFERENCE))
        yield from axes.plane("depth")
        yield from axes.plane("arm")
        yield from compared.plane("arm", "loss")
        yield from compared.plane("arm", "optimiser")

    def check(self, config: Config) -> None:
        from ...assembly.construct import model_plan

        if not model_plan(config).is_pixelwise:
            raise OptionError(
                f"'{config.model.name}' has no pointwise convolutions to exchange; "
                "type: qhc ablate qpc --recipe qpc-fashionmnist"
            )

    def values(self, setting: QpcSetting) -> dict[str, Any]:
        chosen: dict[str, Any] = {"model.arm": setting.arm, "train.optimiser": setting.optimiser}
        if setting.depth is not None:
            chosen["layer.n_layers"] = setting.depth
        return chosen | {f"train.{key}": value for key, value in LOSSES[setting.loss].items()}

    def reference(self, setting: QpcSetting) -> QpcSetting:
        return replace(setting, arm=REFERENCE, depth=None)

    def label(self, setting: QpcSetting) -> str:
        depth = "" if setting.depth is None else f"-depth{setting.depth}"
        return f"{setting.arm}{depth}-{setting.loss}-{setting.optimiser}"

    def inputs(self, cell: Cell[QpcSetting]) -> Record:
        """None: the setting stands in the run's config."""
        return {}

    def heading(self, config: Config) -> str:
        return f"{config.recipe}, {config.train.epochs} epochs"

    def page(self, results: Results) -> Page:
        from ...report.numbers import counted
        from .pictures import drawings

        config = results.config
        return Page(
            title=f"{config.recipe}: circuits and controls",
            sentence=(
                f"The model {config.model.name} with its 1x1 convolutions exchanged, trained on "
                f"{config.data.name} for {counted(config.train.epochs, 'epoch')} in "
                f"{counted(len(results.scores), 'setting')}, over "
                f"{counted(results.n_seeds, 'seed')}."
            ),
            note=NOTE,
            drawings=drawings(results.scores),
            sections=(
                Pictures(
                    "pictures",
                    "Accuracy and cost",
                    ("accuracy", "depth", "parameters", "seconds"),
                    "Bars are one standard deviation over the seeds either way; L is the depth of "
                    "the circuits, or of those whose number of weights a control has.",
                ),
            ),
        )


NOTE = (
    "Accuracies are in percent, the mean over seeds with its sample standard deviation; «best» is "
    "of the weights of the best validation epoch, «last» of the last epoch. The difference is to "
    f"{REFERENCE} under the same loss and optimiser, paired by seed, with Student's t interval of "
    "95 % for the mean; it is not widened for the number of comparisons. Under one seed all "
    "settings start from the same weights outside the exchanged convolutions and see the same "
    "images in the same order. Times are medians per epoch of training, CPU time is that of all "
    "threads. Every run is in qpc.csv."
)
