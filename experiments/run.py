"""One invocation of `qhc run`: train and evaluate, or evaluate what was trained before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_fabric import Fabric
from torch import nn

from models import count_parameters
from qbackend.errors import CheckpointError, RecordError

from .assess import assess, assess_on_target
from .backends import ideal_backend, target_backend, training_backend
from .checkpoint import load_model, load_model_info
from .config import Config
from .construct import layer_spec, new_model, trained_model
from .data import ImageData
from .devices import device_name, launch
from .display import Display
from .environment import computer, without_home
from .feed import data_notes, load_images
from .loggers import check_loggers, open_loggers
from .record import Record, RunFolder, Status
from .report import write_report
from .train import Training, steps_per_epoch


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


def start(config: Config, place: Place, display: Display) -> RunFolder | None:
    """Train by the config, then evaluate on the test split.

    Returns the run's folder, and None in every process but the first.

    Raises:
        UserError: the config, the data or the folder cannot be used; nothing was made.
        QhcError: what stopped the run later; `resume` goes on after the last finished epoch.
    """
    _check(config)
    RunFolder.check_free(place.out)
    fabric = launch(config.fabric)
    data = load_images(config, place.data_root, fabric.device)
    steps_per_epoch(config, data, fabric)
    model = _untrained(config, data)
    path = ""
    if fabric.is_global_zero:
        path = str(RunFolder.create(place.out, config, _recorded(place, config, data)).path)
    folder = RunFolder(Path(fabric.broadcast(path)))
    return _train_and_evaluate(config, data, model, folder, fabric, display)


def validate(checkpoint: Path, config: Config, place: Place, display: Display) -> RunFolder:
    """Evaluate a trained model, weights unchanged, on the backend that the config names.

    Args:
        checkpoint: a checkpoint file.
        config: the checkpoint's own, with changes to [run] and [data].
        place: where to read and write.
        display: told what happens.

    Raises:
        CheckpointError: the checkpoint cannot be read, or is for other images.
        UserError: as `start`.
    """
    _check(config)
    RunFolder.check_free(place.out)
    fabric = _one_process(config)
    data = _data_of(checkpoint, config, place.data_root, fabric)
    recorded = {**_recorded(place, config, data), "checkpoint": without_home(str(checkpoint))}
    folder = RunFolder.create(place.out, config, recorded)
    return _validate(checkpoint, config, data, folder, fabric, display)


def resume(path: Path, data_root: Path | None, display: Display) -> RunFolder | None:
    """Go on with the run at `path`, with the data where it was unless `data_root` says otherwise.

    Returns as `start` does. A finished run is left as it is.

    Raises:
        RunFolderError: there is no run.
        QhcError: as `start`.
    """
    folder = RunFolder.open(path)
    config, run = folder.config(), folder.run
    if run["status"] == "finished":
        display.say(f"{path} is finished; nothing is left to do")
        if not folder.report.exists():
            write_report([folder.path])
        return folder
    root = data_root or Path(run["data_root"]).expanduser()
    if "checkpoint" in run:
        checkpoint, fabric = Path(run["checkpoint"]).expanduser(), _one_process(config)
        data = _data_of(checkpoint, config, root, fabric)
        folder.rewind(0)
        return _validate(checkpoint, config, data, folder, fabric, display)
    fabric = launch(config.fabric)
    data = load_images(config, root, fabric.device)
    return _train_and_evaluate(config, data, _untrained(config, data), folder, fabric, display)


def _check(config: Config) -> None:
    """Raise `UserError` for what can be known to fail before any data is read."""
    backend, spec = target_backend(config), layer_spec(config)
    if spec is not None and backend.capabilities.noisy:
        # A layer that does not fit the device should be known of before hours of training.
        backend.compile(spec)
    backend.close()
    check_loggers(config)


def _recorded(place: Place, config: Config, data: ImageData) -> Record:
    """What [run] says beside the recipe."""
    return {
        "command": place.command,
        "data_root": without_home(str(place.data_root)),
        "notes": [*config.notes(), *data_notes(data)],
    }


def _one_process(config: Config) -> Fabric:
    """The config's device for work that is not shared."""
    alone = {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    return launch(config.fabric.model_copy(update=alone))


def _untrained(config: Config, data: ImageData) -> nn.Module:
    return new_model(config, data, backend=training_backend(config))


def _train_and_evaluate(
    config: Config,
    data: ImageData,
    model: nn.Module,
    folder: RunFolder,
    fabric: Fabric,
    display: Display,
) -> RunFolder | None:
    if not fabric.is_global_zero:
        Training(config, data, model, folder, fabric, display).run()
        return None
    with _status(folder, display):
        everything, quantum = count_parameters(model)
        folder.note("run", parameters=everything, quantum_parameters=quantum)
        folder.note("computer", **computer(device_name(fabric.device)))
        display.begin_run(config, folder, everything, quantum)
        with open_loggers(config, folder.path) as loggers, display.training():
            Training(config, data, model, folder, fabric, display, loggers).run()
        own = training_backend(config).name == target_backend(config).name
        assess(model, config, data, folder, ideal=not own, checkpoint="last")
        load_model(folder.checkpoint, model)
        assess_on_target(model, config, data, folder, checkpoint="best")
    write_report([folder.path])
    return folder


def _validate(
    checkpoint: Path,
    config: Config,
    data: ImageData,
    folder: RunFolder,
    fabric: Fabric,
    display: Display,
) -> RunFolder:
    with _status(folder, display):
        model, info = trained_model(checkpoint, backend=ideal_backend(), seed=config.run.seed)
        everything, quantum = count_parameters(model)
        folder.note("run", parameters=everything, quantum_parameters=quantum)
        folder.note("computer", **computer(device_name(fabric.device)))
        display.begin_run(config, folder, everything, quantum)
        data = replace(data, mean=info.mean, std=info.std)
        name = without_home(str(checkpoint))
        assess_on_target(model.to(fabric.device), config, data, folder, checkpoint=name)
    write_report([folder.path])
    return folder


def _data_of(checkpoint: Path, config: Config, root: Path, fabric: Fabric) -> ImageData:
    """The config's images; raises `CheckpointError` if the checkpoint's model is not for them."""
    info = load_model_info(checkpoint)
    data = load_images(config, root, fabric.device)
    given = len(data.classes), data.test.images.shape[1]
    if given != (info.n_classes, info.in_channels):
        raise CheckpointError(
            f"{checkpoint} holds {info}; {config.data.name} has {given[0]} classes and "
            f"{given[1]} channels"
        )
    return data


@contextmanager
def _status(folder: RunFolder, display: Display) -> Iterator[None]:
    """Keeps [run] status in step with what happens inside."""
    try:
        folder.note("run", status="running")
        yield
        folder.note("run", status="finished")
    except KeyboardInterrupt:
        _note_end(folder, "interrupted")
        display.say(f"interrupted; go on with: qhc resume {folder.path}")
        raise
    except BaseException:
        _note_end(folder, "failed")
        raise


def _note_end(folder: RunFolder, status: Status) -> None:
    # What stopped the run is worth more to the caller than a second error about its record.
    with suppress(RecordError):
        folder.note("run", status=status)
