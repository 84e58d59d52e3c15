"""What the commands do with a run of `qbackend.validate`, whose model only Python code has."""

from __future__ import annotations

from pathlib import Path

from qbackend.errors import OptionError
from qbackend.registry import parse_name
from qbackend.validation.folder import OwnRun
from qbackend.validation.result import Validation


def go_on_words(folder: OwnRun) -> str:
    """What goes on with the run."""
    config = folder.config
    return (
        f"the same call of qbackend.validate goes on, with run='{folder.path}' ({_call(folder)}); "
        f"its model is {config['model']['name']}, which no command can build"
    )


def resumed(path: Path) -> Validation:
    """What a finished run found; raises `OptionError` for any other: a command has no model."""
    folder = OwnRun.open(path)
    whole = folder.whole
    if whole is not None:
        return Validation.of(folder, whole)
    collect = ""
    if folder.ledger.exists() and not parse_name(folder.backend).is_fake:
        collect = f". To fetch what its machine has done by now: qhc resume {path} --collect"
    raise OptionError(f"{path} is {folder.status}: {go_on_words(folder)}{collect}")


def refuse_rerun(path: Path, backend: str | None) -> None:
    """Raise `OptionError`, which shows the call that repeats the run."""
    folder = OwnRun.open(path)
    name = backend or folder.backend
    raise OptionError(
        f"{path} is of the model {folder.config['model']['name']}, which no command can build; the "
        "call that made it repeats it, in another folder, and sets both side by side: "
        f"qbackend.validate(model, data, ['{name}'], run='{path}-again', repeats='{path}') "
        f"({_call(folder)})"
    )


def _call(folder: OwnRun) -> str:
    """Where the call was."""
    command = folder.config["run"].get("command", "")
    return f"it was made by: {command}" if command.strip() else "it was made in a notebook"
