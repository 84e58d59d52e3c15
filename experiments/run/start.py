"""What a new run is: it trains, it validates what was trained before, or it is only planned.

Each is a list of the same stages (`stages`); at their end it is executed and recorded (`runner`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qbackend.validation.records.environment import without_home
from qbackend.validation.records.state import Provenance

from ..assembly.access import DEFAULT_ACCESS, Access
from ..assembly.backends import trains_there
from ..assembly.bounds import bounded
from ..assembly.construct import recorded_layer
from ..assembly.fabric import launch
from ..assembly.feed import data_notes
from ..assembly.same_data import check_same_data, data_sha256
from ..assembly.shown_data import difference_notes
from ..assembly.thread_count import settled
from ..config.own_files import changed_notes
from ..config.sections import Config
from ..joint.members import Member
from ..records.checkpoint import load_model
from ..records.folder import RunFolder
from ..records.loggers import check_loggers
from ..training.train import steps_per_epoch
from .choice import choice_record, chosen, on_best_machine
from .display import Display
from .given import Given, beside_record, keep, keep_beside
from .notes import backend_notes, seed_note
from .plan import RunPlan
from .runner import Runner
from .stages import (
    Run,
    Trained,
    check_has_model,
    connected,
    in_one_process,
    members_of,
    untrained,
)


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
    check_has_model(config, None)
    config, notes = bounded(config)
    config, choice = on_best_machine(config, access, display)
    with connected(config, access, display) as target:
        check_loggers(config)
        RunFolder.check_free(place.out)
        config = settled(config)
        fabric = launch(config.fabric)
        data, model = untrained(config, place.data_root, fabric, target)
        steps_per_epoch(config, data, fabric)
        run = Run(config, target, fabric, data, model, display, access)
        plan = run.plan_ahead()
        elsewhere = not trains_there(config, target)
        notes += backend_notes(model, config, trains_elsewhere=elsewhere)
        path = ""
        if fabric.is_global_zero:
            begun = choice_record(choice)
            said = [*chosen(choice), *notes]
            path = str(_folder(place, run, said, **begun).path)
        folder = RunFolder(Path(fabric.broadcast(path)))
        return Runner(run, folder, plan).train()


def validate(
    checkpoint: Path,
    config: Config,
    place: Place,
    display: Display,
    access: Access = DEFAULT_ACCESS,
    *,
    beside: Sequence[Path] = (),
    repeats: RunFolder | None = None,
) -> RunFolder:
    """Evaluate a trained model, or several, on the backend that the config names.

    Its weights are left as they are, unless [train] weights says to train the circuit's before.

    Args:
        checkpoint: a checkpoint file.
        config: the checkpoint's own, with changes to [run] and [data].
        place: where to read and write.
        display: told what happens.
        access: to a machine.
        beside: further checkpoints, that are asked in the same run (`joint`).
        repeats: the run that this one repeats, if it does.

    Raises:
        CheckpointError: the checkpoint cannot be read, or is for other images.
        DataError: the images are not those of the run that is repeated.
        UserError: as `start`.
    """
    is_tuned = config.train.weights == "quantum"
    config, notes = bounded(in_one_process(config))
    config, choice = on_best_machine(config, access, display)
    with connected(config, access, display) as target:
        check_loggers(config)
        RunFolder.check_free(place.out)
        config = settled(config)
        fabric = launch(config.fabric)
        given, *others = (Given.read(each) for each in (checkpoint, *beside))
        loaded = Trained.load_all([checkpoint, *beside], config, place.data_root, fabric)
        members = members_of(loaded, [each.name for each in (given, *others)])
        trained = loaded[0]
        model, info, data = trained.model, trained.info, trained.data
        begun = {**given.record(), **beside_record(others), **choice_record(choice)}
        if repeats is not None:
            check_same_data(repeats, data)
            notes = [f"repeats {repeats.path.name} of {repeats.state.started[:10]}", *notes]
            begun["repeats"] = without_home(str(repeats.path.absolute()))
        if is_tuned:
            steps_per_epoch(config, data, fabric)
        run = Run(config, target, fabric, trained.scaled, model, display, access, members)
        plan = run.plan_ahead()
        notes = [
            *chosen(choice),
            *_differences(loaded),
            *([] if members else seed_note(info, config)),
            *backend_notes(model, config, trains_elsewhere=False),
            *notes,
        ]
        folder = _folder(place, run, notes, **begun)
        # Whatever lies at the checkpoint's path by now, the run is of what it keeps.
        load_model(keep(given, folder, config), model)
        for each, copy in zip(loaded[1:], keep_beside(others, folder), strict=True):
            load_model(copy, each.model)
        runner = Runner(run, folder, plan)
        return runner.fine_tune() if is_tuned else runner.validate(given.name)


def plan_of(
    config: Config,
    checkpoint: Path | None,
    data_root: Path,
    display: Display,
    access: Access = DEFAULT_ACCESS,
    *,
    beside: Sequence[Path] = (),
) -> RunPlan:
    """What the run of a config, of a checkpoint's model if there is one, would ask of its backend.

    Further checkpoints' models, those `beside`, are asked in the same run.

    Nothing is executed on it, and no folder is made.

    Raises:
        UserError: as `start`.
    """
    config, bounds = bounded(config)
    check_has_model(config, checkpoint)
    config, choice = on_best_machine(config, access, display)
    with connected(config, access, display) as target:
        config = settled(config)
        fabric = launch(in_one_process(config).fabric)
        differences: list[str] = []
        members: tuple[Member, ...] = ()
        if checkpoint is None:
            data, model = untrained(config, data_root, fabric, target)
        else:
            paths = [checkpoint, *beside]
            loaded = Trained.load_all(paths, config, data_root, fabric)
            members = members_of(loaded, [without_home(str(each)) for each in paths])
            data, model = loaded[0].data, loaded[0].model
            differences = _differences(loaded)
        for note in (*data_notes(config, data, trains=checkpoint is None), *differences):
            display.say(f"note: {note}")
        plan = Run(config, target, fabric, data, model, display, access, members).plan()
        plan = replace(plan, choice=choice)
    for note in bounds:
        display.say(f"note: {note}")
    return plan


def _differences(loaded: Sequence[Trained]) -> list[str]:
    """How the images differ from those of each model's training, said once."""
    notes = [note for each in loaded for note in difference_notes(each.info, each.data)]
    return list(dict.fromkeys(notes))


def _folder(place: Place, run: Run, notes: list[str], **begun_with: Any) -> RunFolder:
    """Of a new run, with all that it is begun with: entries of its `Provenance`."""
    config, data = run.config, run.data
    trains = "checkpoint" not in begun_with or config.train.weights == "quantum"
    provenance = Provenance.from_dict(
        {
            "command": place.command,
            "data_root": without_home(str(place.data_root)),
            "data_sha256": data_sha256(data),
            **begun_with,
            **run.access.record(),
        }
    )
    return RunFolder.create(
        place.out,
        config,
        provenance,
        layer=recorded_layer(config, run.model),
        notes=[
            *config.notes(),
            *data_notes(config, data, trains=trains),
            *changed_notes(config.code),
            *notes,
        ],
    )
