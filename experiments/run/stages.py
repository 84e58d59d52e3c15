"""The stages on the way to a run, each gone through once: connect, load, build, plan.

Nothing is written and nothing is executed on them; `runner` does that, with what they made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_fabric import Fabric
from torch import nn

from qbackend.errors import CheckpointError, OptionError
from qbackend.seam.backend import QuantumBackend

from ..assembly.access import Access
from ..assembly.backends import ideal_backend, target_backend, training_backend
from ..assembly.bounds import check_hours
from ..assembly.construct import layer_spec, new_model, trained_model
from ..assembly.feed import data_seed, load_images
from ..assembly.own_checks import check_own
from ..assembly.same_data import check_size, split_sha256
from ..assembly.shown_data import in_classes_of
from ..config.sections import Config
from ..data.splits import ImageData
from ..joint.members import Member, member_names
from ..records.checkpoint import ModelInfo, load_model_info
from .approval import check_approvable
from .display import Display
from .joint_plan import plan_joint
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
        members: all models, where several are asked in this run; that above is the first of them.
    """

    config: Config
    target: QuantumBackend
    fabric: Fabric
    data: ImageData
    model: nn.Module
    display: Display
    access: Access
    members: tuple[Member, ...] = ()

    def plan(self) -> RunPlan:
        """What the run will ask of its target; raises as `plan_run`."""
        with self.display.waiting():
            if self.members:
                return plan_joint(self.members, self.config, self.data, self.target)
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
        return cls.load_all([checkpoint], config, root, fabric)[0]

    @classmethod
    def load_all(
        cls, checkpoints: Sequence[Path], config: Config, root: Path, fabric: Fabric
    ) -> list[Trained]:
        """Several of them, with the same images; raises as `load`."""
        images = load_images(config, root, fabric.device)
        loaded = [cls._load(each, config, images, fabric) for each in checkpoints]
        if config.data.factory is not None:
            for checkpoint, each in zip(checkpoints[1:], loaded[1:], strict=True):
                _check_same_test(checkpoint, each.info, config, root, images)
        return loaded

    @classmethod
    def _load(cls, checkpoint: Path, config: Config, images: ImageData, fabric: Fabric) -> Trained:
        info = load_model_info(checkpoint)
        data = in_classes_of(info, images, checkpoint)
        network = config.model.model_copy(update={"name": info.model})
        check_size(config.model_copy(update={"model": network}), data)
        model, info = trained_model(checkpoint, backend=ideal_backend(), seed=config.run.seed)
        return cls(model.to(fabric.device), info, data)

    @property
    def scaled(self) -> ImageData:
        """The images with the pixel scale that the model was trained with."""
        return replace(self.data, mean=self.info.mean, std=self.info.std)


def _check_same_test(
    checkpoint: Path, info: ModelInfo, config: Config, root: Path, images: ImageData
) -> None:
    """Raise `CheckpointError` where a training's own data would be tested on other images."""
    trained_on = info.config["data"]
    if trained_on.get("factory") != config.data.factory:
        return
    seed = trained_on.get("seed", info.seed)
    if seed == data_seed(config):
        return
    data = config.data.model_copy(update={"seed": seed})
    own = load_images(config.model_copy(update={"data": data}), root, images.test.images.device)
    if split_sha256(own.test) != split_sha256(images.test):
        raise CheckpointError(
            f"{checkpoint} was trained with seed {seed}, for which {images.name} returns other "
            f"test images than for {data_seed(config)}: it may have been trained on what it would "
            "be tested on. Checkpoints that are asked together answer the same test images; ask "
            f"it by itself: qhc run --checkpoint {checkpoint}; a study's seeds are trained on one "
            "division with --set data.seed=0"
        )


def members_of(trained: Sequence[Trained], checkpoints: Sequence[str]) -> tuple[Member, ...]:
    """Several models that are asked in one run, by the names of their checkpoints; none of one."""
    if len(trained) == 1:
        return ()
    names = member_names(checkpoints)
    members = tuple(
        Member(name, checkpoint, each.info, each.model, each.scaled)
        for name, checkpoint, each in zip(names, checkpoints, trained, strict=True)
    )
    for member in members:
        member.check()
    return members


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
