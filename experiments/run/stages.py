"""The stages on the way to a run, each gone through once: connect, load, build, plan.

Nothing is written and nothing is executed on them; `runner` does that, with what they made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_fabric import Fabric
from torch import nn

from qbackend.errors import OptionError
from qbackend.seam.backend import QuantumBackend

from ..assembly.access import Access
from ..assembly.backends import ideal_backend, target_backend, training_backend
from ..assembly.bounds import check_hours
from ..assembly.construct import layer_spec, new_model, trained_model
from ..assembly.feed import load_images
from ..assembly.own_checks import check_own
from ..assembly.same_data import check_size
from ..assembly.shown_data import in_classes_of
from ..config.sections import Config
from ..data.splits import ImageData
from ..records.checkpoint import ModelInfo, load_model_info
from .approval import check_approvable
from .display import Display
from .plan import RunPlan, plan_run


@dataclass(frozen=True)
class Run:
    """All that a run works with.

    Attributes:
        config: what it is.
        target: the backend that the config names.
        fabric: devices and processes, launched.
        data: its images, with the pixel scale of the model.
        model: with initial or with trained weights.
        display: told what happens.
        access: to a machine.
    """

    config: Config
    target: QuantumBackend
    fabric: Fabric
    data: ImageData
    model: nn.Module
    display: Display
    access: Access

    def plan(self) -> RunPlan:
        """What the run will ask of its target; raises as `plan_run`."""
        with self.display.waiting():
            return plan_run(self.model, self.config, self.data, self.target)

    def affordable_plan(self) -> RunPlan:
        """The same; raises `BudgetError` for one that there are not the seconds for."""
        plan = self.plan()
        plan.check(self.config.machine.max_qpu_seconds)
        return plan

    def plan_ahead(self) -> RunPlan | None:
        """What is to be known before anything is made; None where any answer costs nothing.

        Raises `UserError` for a target that could not be asked, or not be paid, in the end.
        """
        config = self.config
        if not (config.backend.is_machine or config.run.rows is not None):
            return None
        check_waits(config, self.access)
        plan = self.affordable_plan()
        check_approvable(plan, config.run.backend, self.display.console, yes=self.access.yes)
        return plan


@contextmanager
def connected(config: Config, access: Access, display: Display) -> Iterator[QuantumBackend]:
    """The backend that the config names, closed in the end; a machine is reached when asked.

    Raises `UserError` for a layer or a run that a simulated device is known to be no good for: that
    should be known of before hours of training.
    """
    if config.backend.is_machine:
        reached = {**access.account(), "progress": display.progress, "wait": access.wait}
        target = target_backend(config, **reached)
    else:
        target = target_backend(config)
    with closing(target):
        check_hours(config, target)
        spec = layer_spec(config)
        if spec is not None and not config.backend.is_machine and target.capabilities.noisy:
            target.compile(spec)
        yield target


def untrained(
    config: Config, root: Path, fabric: Fabric, target: QuantumBackend
) -> tuple[ImageData, nn.Module]:
    """The config's images, and its model for them on the backend to train with."""
    data = load_images(config, root, fabric.device)
    check_size(config, data)
    model = new_model(config, data, backend=training_backend(config, target))
    check_own(model, config, data)
    return data, model


@dataclass(frozen=True)
class Trained:
    """A checkpoint's model and the images that it is shown.

    Attributes:
        model: with its weights, where the network runs, its circuits without noise.
        info: what the checkpoint says of it.
        data: the images as they are.
    """

    model: nn.Module
    info: ModelInfo
    data: ImageData

    @classmethod
    def load(cls, checkpoint: Path, config: Config, root: Path, fabric: Fabric) -> Trained:
        """Raises `CheckpointError` if the checkpoint cannot be read or is for other images."""
        data = load_images(config, root, fabric.device)
        data = in_classes_of(load_model_info(checkpoint), data, checkpoint)
        check_size(config, data)
        model, info = trained_model(checkpoint, backend=ideal_backend(), seed=config.run.seed)
        return cls(model.to(fabric.device), info, data)

    @property
    def scaled(self) -> ImageData:
        """The images with the pixel scale that the model was trained with."""
        return replace(self.data, mean=self.info.mean, std=self.info.std)


def in_one_process(config: Config) -> Config:
    """The config of work that is not shared."""
    alone = {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    return config.model_copy(update={"fabric": config.fabric.model_copy(update=alone)})


def check_waits(config: Config, access: Access) -> None:
    """Raise `OptionError` for a training whose steps nobody waits for."""
    if config.train.weights == "quantum" and not access.wait:
        raise OptionError("training waits for the result of every step; leave --no-wait out")


def check_has_model(config: Config, checkpoint: Path | None) -> None:
    """Raise `OptionError` for a circuit to be trained of a model that there is not."""
    if config.train.weights == "quantum" and checkpoint is None:
        raise OptionError(
            "the circuit's weights alone are trained from a model that is trained already; "
            "add --checkpoint RUN"
        )
