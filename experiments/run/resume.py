"""A run that was interrupted, or whose jobs were not waited for, goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.norm_biases import train_norm_biases
from qbackend.errors import OptionError
from qbackend.machines.options import ExecutionOptions
from qbackend.validation.records.ledger import check_ledger

from ..assembly.access import DEFAULT_ACCESS, Access
from ..assembly.fabric import launch
from ..assembly.same_data import check_same_data
from ..assembly.thread_count import settled
from ..config.own_files import changed_notes
from ..config.sections import Config
from ..records.folder import RunFolder
from ..report.write import write_report
from .display import Display
from .given import check_proven, given_beside, given_checkpoint
from .jobs import close_left
from .notes import note_versions
from .runner import Runner
from .stages import Run, Trained, check_waits, connected, in_one_process, members_of, untrained


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
        folder.note(max_qpu_seconds=budget)
    config, recorded = folder.config(), folder.provenance
    _check_resumed(config, access, deadline)
    if deadline is not None:
        machine = replace(config.machine, deadline=deadline)
        config = config.model_copy(update={"machine": machine})
    if folder.status == "finished":
        close_left(folder, access, display.say)
        display.say(f"{path} is finished; nothing is left to do")
        if not folder.report.exists():
            write_report([folder.path])
        return folder
    note_versions(folder)
    for note in changed_notes(config.code):
        display.say(f"note: {note}")
    check_ledger(folder)
    # A run that recorded no threads began before they were recorded, and goes on as it began.
    is_older = config.run.threads is None
    config = config if is_older else settled(config)
    root = data_root or Path(recorded.data_root).expanduser()
    access = access.with_account_of(recorded)
    is_tuned, is_given = config.train.weights == "quantum", recorded.checkpoint is not None
    checkpoint: Path | None
    if config.backend.is_machine and folder.evaluations() and (is_tuned or not is_given):
        # Once something is evaluated, nothing is left to train.
        checkpoint, name, is_tuned, is_given = folder.checkpoint, "best", False, False
    else:
        checkpoint, name = given_checkpoint(folder, config), recorded.checkpoint or ""
    with connected(config, access, display) as target:
        if checkpoint is None:
            fabric = launch(config.fabric)
            data, model = untrained(config, root, fabric, target)
            check_same_data(folder, data)
            if is_older:
                train_norm_biases(model)
            return Runner(Run(config, target, fabric, data, model, display, access), folder).train()
        fabric = launch(in_one_process(config).fabric)
        paths = [checkpoint, *given_beside(folder)]
        loaded = Trained.load_all(paths, config, root, fabric)
        names = [name, *(each.checkpoint for each in recorded.beside)]
        trained, members = loaded[0], members_of(loaded, names)
        check_same_data(folder, trained.data)
        if is_given:
            check_proven(checkpoint, trained.model, folder, config, trained.scaled)
        found = trained.scaled, trained.model
        run = Run(config, target, fabric, *found, display, access, members)
        if is_tuned:
            return Runner(run, folder).fine_tune()
        if not config.backend.is_machine:
            folder.rewind(0)
        return Runner(run, folder).validate(name)


def _check_resumed(config: Config, access: Access, deadline: float | None) -> None:
    """Raise `OptionError` for flags that have no meaning for the run that is gone on with."""
    if config.backend.is_machine:
        ExecutionOptions(deadline=deadline)
        check_waits(config, access)
        return
    for flag, is_given in (("--deadline", deadline is not None), ("--no-wait", not access.wait)):
        if is_given:
            raise OptionError(
                f"this run executes on '{config.run.backend}', on this computer: {flag} only has "
                "a meaning on a machine"
            )
