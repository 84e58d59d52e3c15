"""One invocation of `qhc run`: train and evaluate, or evaluate what was trained before."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric
from torch import nn

from models.norm_biases import train_norm_biases
from qbackend.errors import OptionError
from qbackend.ibm.options import ExecutionOptions

from ..assembly.access import DEFAULT_ACCESS, Access, bounded
from ..assembly.backends import ideal_backend, target_backend, training_backend
from ..assembly.construct import layer_spec, new_model, trained_model
from ..assembly.fabric import launch
from ..assembly.feed import data_notes, load_images
from ..assembly.same_data import check_same_data, check_size, data_record
from ..assembly.shown_data import difference_notes, in_classes_of
from ..assembly.thread_count import settled
from ..config.sections import Config
from ..data import ImageData
from ..records.checkpoint import load_model_info
from ..records.environment import without_home
from ..records.folder import Record, RunFolder
from ..records.loggers import check_loggers
from ..report import write_report
from ..training.train import steps_per_epoch
from .approval import can_ask, charges, check_can_ask, show_plan
from .display import Display
from .given import Given, check_proven, given_checkpoint, keep
from .jobs import close_left
from .ledger import check_ledger
from .notes import backend_notes, note_versions, seed_note
from .plan import RunPlan, plan_run
from .runner import Runner


@dataclass(frozen=True)
class Place:
    """Where a run reads and writes.

    Attributes:
        data_root: folder of the datasets.
        out: folder of the run; None makes one under `runs/`.
        command: that was typed, for the record.
    """

    data_root: Path
    out: Path | None = None
    command: str = ""


def start(
    config: Config, place: Place, display: Display, access: Access = DEFAULT_ACCESS
) -> RunFolder | None:
    """Train by the config, then evaluate on the test split; on a machine, validate there.

    Returns the run's folder, and None in every process but the first.

    Raises:
        UserError: the config, the data or the folder cannot be used; nothing was made.
        QhcError: what stopped the run later; `resume` goes on after the last finished epoch.
    """
    _check_has_model(config, None)
    config, notes = bounded(config)
    _check(config)
    RunFolder.check_free(place.out)
    config = settled(config)
    fabric = launch(config.fabric)
    data = load_images(config, place.data_root, fabric.device)
    check_size(config, data)
    steps_per_epoch(config, data, fabric)
    if _has_plan(config):
        untrained = new_model(config, data, backend=ideal_backend())
        _check_plan(untrained, config, data, access, display)
    model = new_model(config, data, backend=training_backend(config))
    notes += backend_notes(model, config, trains=True)
    path = ""
    if fabric.is_global_zero:
        recorded = _recorded(place, config, data, access, notes, trains=True)
        path = str(RunFolder.create(place.out, config, recorded).path)
    folder = RunFolder(Path(fabric.broadcast(path)))
    return Runner(config, data, folder, fabric, display, access).train(model)


def validate(
    checkpoint: Path,
    config: Config,
    place: Place,
    display: Display,
    access: Access = DEFAULT_ACCESS,
) -> RunFolder:
    """Evaluate a trained model on the backend that the config names.

    Its weights are left as they are, unless [train] weights says to train the circuit's before.

    Args:
        checkpoint: a checkpoint file.
        config: the checkpoint's own, with changes to [run] and [data].
        place: where to read and write.
        display: told what happens.
        access: to a machine.

    Raises:
        CheckpointError: the checkpoint cannot be read, or is for other images.
        UserError: as `start`.
    """
    config, notes = bounded(_in_one_process(config))
    _check(config)
    RunFolder.check_free(place.out)
    config = settled(config)
    fabric = launch(config.fabric)
    data = _data_of(checkpoint, config, place.data_root, fabric)
    is_tuned = config.train.weights == "quantum"
    if is_tuned:
        steps_per_epoch(config, data, fabric)
    model, info = trained_model(checkpoint, backend=ideal_backend(), seed=config.run.seed)
    if _has_plan(config):
        _check_plan(model, config, data, access, display)
    notes = [
        *difference_notes(info, data),
        *seed_note(info, config),
        *backend_notes(model, config, trains=False),
        *notes,
    ]
    given = Given.read(checkpoint)
    recorded = _recorded(place, config, data, access, notes, trains=is_tuned)
    folder = RunFolder.create(place.out, config, {**recorded, **given.record()})
    kept = keep(given, folder, config)
    runner = Runner(config, data, folder, fabric, display, access)
    if is_tuned:
        return runner.fine_tune(kept)
    return runner.validate(kept, given.name)


def resume(
    path: Path,
    data_root: Path | None,
    display: Display,
    access: Access = DEFAULT_ACCESS,
    *,
    budget: float | None = None,
    deadline: float | None = None,
) -> RunFolder | None:
    """Go on with the run at `path`, with the data where it was unless `data_root` says otherwise.

    The account is the one that the run began with, unless `access` names another; so are the QPU
    seconds that it may take, unless there is a new `budget`. A new `deadline` is for this time
    alone. Returns as `start` does. A finished run is left as it is.

    Raises:
        RunFolderError: there is no run.
        QhcError: as `start`.
    """
    folder = RunFolder.open(path)
    if budget is not None:
        ExecutionOptions(max_qpu_seconds=budget)
        folder.note("machine", max_qpu_seconds=budget)
    config, run = folder.config(), folder.run
    _check_resumed(config, access, deadline)
    if deadline is not None:
        machine = config.machine.model_copy(update={"deadline": deadline})
        config = config.model_copy(update={"machine": machine})
    if run["status"] == "finished":
        close_left(folder, access, display.say)
        display.say(f"{path} is finished; nothing is left to do")
        if not folder.report.exists():
            write_report([folder.path])
        return folder
    note_versions(folder)
    check_ledger(folder)
    # A run that recorded no threads began before they were recorded, and goes on as it began.
    is_older = config.run.threads is None
    config = config if is_older else settled(config)
    root = data_root or Path(run["data_root"]).expanduser()
    access = access.with_account_of(run)
    trained: Path | None
    is_tuned, is_given = config.train.weights == "quantum", "checkpoint" in run
    # Once something is evaluated, nothing is left to train.
    is_trained = config.backend.is_machine and bool(folder.evaluations())
    if is_trained and (is_tuned or not is_given):
        trained, name, is_tuned, is_given = folder.checkpoint, "best", False, False
    else:
        trained, name = given_checkpoint(folder, config), run.get("checkpoint", "")
    if trained is not None:
        fabric = launch(_in_one_process(config).fabric)
        data = _data_of(trained, config, root, fabric)
        check_same_data(folder, data)
        if is_given:
            check_proven(trained, folder, config, data, fabric.device)
        runner = Runner(config, data, folder, fabric, display, access)
        if is_tuned:
            return runner.fine_tune(trained)
        if not config.backend.is_machine:
            folder.rewind(0)
        return runner.validate(trained, name)
    fabric = launch(config.fabric)
    data = load_images(config, root, fabric.device)
    check_same_data(folder, data)
    model = new_model(config, data, backend=training_backend(config))
    if is_older:
        train_norm_biases(model)
    return Runner(config, data, folder, fabric, display, access).train(model)


def plan_of(
    config: Config,
    checkpoint: Path | None,
    data_root: Path,
    display: Display,
    access: Access = DEFAULT_ACCESS,
) -> RunPlan:
    """What the run of a config, of a checkpoint's model if there is one, would ask of its backend.

    Nothing is executed on it, and no folder is made.

    Raises:
        UserError: as `start`.
    """
    _check_has_model(config, checkpoint)
    config = settled(config)
    fabric = launch(_in_one_process(config).fabric)
    notes = []
    if checkpoint is None:
        data = load_images(config, data_root, fabric.device)
        check_size(config, data)
        model = new_model(config, data, backend=ideal_backend())
    else:
        data = _data_of(checkpoint, config, data_root, fabric)
        model, info = trained_model(checkpoint, backend=ideal_backend(), seed=config.run.seed)
        notes = difference_notes(info, data)
    for note in (*data_notes(config, data, trains=checkpoint is None), *notes):
        display.say(f"note: {note}")
    return _plan(model, config, data, access, display)


def _plan(
    model: nn.Module, config: Config, data: ImageData, access: Access, display: Display
) -> RunPlan:
    reached = {**access.account(), "progress": display.progress}
    backend = target_backend(config, **reached)
    with closing(backend), display.waiting():
        return plan_run(model, config, data, backend)


def _check_plan(
    model: nn.Module, config: Config, data: ImageData, access: Access, display: Display
) -> None:
    """Raise `UserError` for a machine that could not be asked, or not be paid, in the end."""
    _check_waits(config, access)
    plan = _plan(model, config, data, access, display)
    plan.check(config.machine.max_qpu_seconds)
    if charges(plan.total.cost) and not (access.yes or can_ask()):
        show_plan(plan, config.run.backend, display.console)
        check_can_ask()


def _check_waits(config: Config, access: Access) -> None:
    if config.train.weights == "quantum" and not access.wait:
        raise OptionError("training waits for the result of every step; leave --no-wait out")


def _check_resumed(config: Config, access: Access, deadline: float | None) -> None:
    """Raise `OptionError` for flags that have no meaning for the run that is gone on with."""
    if config.backend.is_machine:
        ExecutionOptions(deadline=deadline)
        _check_waits(config, access)
        return
    for flag, is_given in (("--deadline", deadline is not None), ("--no-wait", not access.wait)):
        if is_given:
            raise OptionError(
                f"this run executes on '{config.run.backend}', on this computer: {flag} only has "
                "a meaning on a machine"
            )


def _has_plan(config: Config) -> bool:
    """Whether there is something to know of the backend's part before it is asked for anything."""
    return config.backend.is_machine or config.run.rows is not None


def _check_has_model(config: Config, checkpoint: Path | None) -> None:
    if config.train.weights == "quantum" and checkpoint is None:
        raise OptionError(
            "the circuit's weights alone are trained from a model that is trained already; "
            "add --checkpoint RUN"
        )


def _check(config: Config) -> None:
    """Raise `UserError` for what can be known to fail before any data is read."""
    if not config.backend.is_machine:
        backend, spec = target_backend(config), layer_spec(config)
        if spec is not None and backend.capabilities.noisy:
            # A layer that does not fit the device should be known of before hours of training.
            backend.compile(spec)
        backend.close()
    check_loggers(config)


def _recorded(
    place: Place,
    config: Config,
    data: ImageData,
    access: Access,
    notes: list[str],
    *,
    trains: bool,
) -> Record:
    """What [run] says beside the recipe."""
    return {
        "command": place.command,
        "data_root": without_home(str(place.data_root)),
        "notes": [*config.notes(), *data_notes(config, data, trains=trains), *notes],
        **data_record(data),
        **access.record(),
    }


def _in_one_process(config: Config) -> Config:
    """The config of work that is not shared."""
    alone = {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    return config.model_copy(update={"fabric": config.fabric.model_copy(update=alone)})


def _data_of(checkpoint: Path, config: Config, root: Path, fabric: Fabric) -> ImageData:
    """The config's images; raises `CheckpointError` if the checkpoint's model is not for them."""
    info = load_model_info(checkpoint)
    data = in_classes_of(info, load_images(config, root, fabric.device), checkpoint)
    check_size(config, data)
    return data
