"""A finished validation once more: the same weights, images and options, on another day."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from qbackend.errors import CheckpointError, OptionError, RunFolderError
from qbackend.machines.options import ExecutionOptions
from qbackend.registry import check_name, parse_name

from ..assembly.access import DEFAULT_ACCESS, Access
from ..config.sections import Config
from ..evaluation.answers import check_answers
from ..records.folder import RunFolder
from ..records.run_records import RunRecords
from .display import Display
from .given import given_checkpoint
from .start import Place, validate

OWN_EACH_TIME = ("max_qpu_seconds", "deadline", "prefer")
"""Options that say what to spend and how to wait: what was allowed once is not allowed again."""


def rerun(
    path: Path,
    backend: str | None,
    data_root: Path | None,
    place: Place,
    display: Display,
    access: Access = DEFAULT_ACCESS,
    options: Mapping[str, Any] | None = None,
) -> RunFolder:
    """Repeat the validation in the run folder at `path`, in a folder of its own.

    The account is the one that the run had, unless `access` names another.

    Args:
        path: of a finished run.
        backend: to repeat it on; None for the run's own.
        data_root: where the data is now; None for where it was.
        place: where to write; its `data_root` is not read.
        display: told what happens.
        access: to a machine.
        options: of `OWN_EACH_TIME`, for this time.

    Raises:
        RunFolderError: no run, or one that cannot be repeated.
        CheckpointError: the run's weights are not there any more.
        OptionError: a backend of another kind, or one that would only repeat the numbers.
        QhcError: as `validate`.
    """
    folder = RunFolder.open(path)
    recorded = folder.config()
    _check_repeatable(folder, recorded)
    config = repeated_config(recorded, backend, options or {})
    _check_backend(folder, recorded, config)
    checkpoint = _checkpoint(folder, recorded)
    check_answers(folder)
    root = data_root or Path(folder.provenance.data_root).expanduser()
    return validate(
        checkpoint,
        config,
        replace(place, data_root=root),
        display,
        access.with_account_of(folder.provenance),
        repeats=folder,
    )


def repeated_config(config: Config, backend: str | None, options: Mapping[str, Any]) -> Config:
    """The config of a run's repetition: its own but for where, and for what this time is asked."""
    defaults = {each.name: each.default for each in fields(ExecutionOptions)}
    machine = replace(
        config.machine, **{**{key: defaults[key] for key in OWN_EACH_TIME}, **options}
    )
    run = config.run.model_copy(
        update={
            "backend": backend or config.run.backend,
            # A simulator draws other shots, as a machine would.
            "shots_seed": secrets.randbits(32),
        }
    )
    # Weights that were trained on the machine are given by now.
    train = config.train.model_copy(update={"weights": "all"})
    return config.model_copy(update={"run": run, "machine": machine, "train": train})


def _check_repeatable(folder: RunFolder, config: Config) -> None:
    """Raise `RunFolderError` for a run in which no device or machine has answered wholly."""
    path = folder.path
    if folder.status != "finished":
        raise RunFolderError(
            f"{path} is {folder.status}: there is no whole answer to repeat yet; go on with it "
            f"first: qhc resume {path}"
        )
    run = RunRecords.read(path)
    if run.mitigation is not None:
        raise RunFolderError(
            f"{path} compares mitigations, which is no validation to repeat; to compare them anew, "
            f"in another folder: {run.provenance.command}"
        )
    if run.joint is not None:
        raise RunFolderError(
            f"{path} is of several checkpoints, and one run is repeated after the other; to ask "
            f"for all of them anew, in another folder: {run.provenance.command}"
        )
    if run.rows is not None or run.validation is not None:
        return
    if any(each.compiled is not None or each.shots for each in run.evaluations[-1:]):
        return
    if run.provenance.checkpoint is None:
        reason = "was trained, and no device has validated it"
    else:
        reason = f"is of '{config.run.backend}', which is exact and gives the same numbers again"
    raise RunFolderError(
        f"{path} {reason}; to have a machine's answers: qhc run --checkpoint {path} --backend "
        "ibm_fez (or fake_fez, for nothing)"
    )


def _check_backend(folder: RunFolder, recorded: Config, config: Config) -> None:
    """Raise `OptionError` for a backend whose answers would not be a repetition."""
    before, now = recorded.backend, config.backend
    check_name(str(now))
    if before.is_machine != now.is_machine:
        kind, example = ("machine", "ibm_fez or fake_fez") if before.is_machine else (
            "simulated device", "aer:ibm_fez"
        )  # fmt: skip
        raise OptionError(
            f"{folder.path} is of {before}: it is repeated on a {kind}, for example {example}; on "
            f"'{now}': qhc run --checkpoint {folder.path} --backend {now}"
        )
    is_sampled = any(each.shots for each in folder.evaluations()[-1:])
    if now.is_machine or config.run.shots is not None or is_sampled:
        return
    device = None if now.argument is None else parse_name(now.argument)
    if device is None or (before == now and (not device.is_machine or device.is_fake)):
        raise OptionError(
            f"'{now}' is exact, and its calibration never changes: it would give the same numbers "
            f"again; on another device: qhc rerun {folder.path} --backend aer:ibm_fez"
        )


def _checkpoint(folder: RunFolder, config: Config) -> Path:
    """The weights that the run was evaluated with, from its own folder."""
    recorded = folder.provenance
    if recorded.checkpoint is None or config.train.weights == "quantum":
        return folder.checkpoint
    if recorded.checkpoint_sha256 is None:
        raise CheckpointError(
            f"{folder.path} was begun by a qhc that kept no copy of its checkpoint: it cannot be "
            "shown to be the same; begin a new run with it: qhc run --checkpoint FILE --backend "
            f"{config.run.backend}"
        )
    copy = given_checkpoint(folder, config)
    assert copy is not None
    return copy
