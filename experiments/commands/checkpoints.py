"""The checkpoints that `--checkpoint` names: of files, of runs, of folders of runs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import click

from qbackend.errors import CheckpointError, OptionError

OWN, BESIDE = "checkpoint.safetensors", "checkpoint-*.safetensors"
"""Of a run, and those that a run of several keeps beside it."""


def checkpoint_file(path: Path) -> Path:
    """That of a run's folder, or the file itself.

    Raises `OptionError` for a run of several, whose first is not what its folder stands for.
    """
    beside = _beside(path)
    if beside:
        names = ", ".join(str(each) for each in (path / OWN, *beside))
        raise OptionError(f"{path} is a run of several checkpoints; name one of them: {names}")
    return path / OWN if path.is_dir() else path


def checkpoint_files(path: Path) -> list[Path]:
    """Those of a run's folder, those of all runs in a folder of runs, or the file itself.

    Raises `CheckpointError` for a folder in which there is no run.
    """
    if not path.is_dir():
        return [path]
    runs = (
        [path] if (path / OWN).exists() else sorted(each.parent for each in path.glob(f"*/{OWN}"))
    )
    if not runs and not (path / "config.toml").exists():
        raise CheckpointError(
            f"{path} is no run, and no run with a trained model is inside: no {OWN} in it or in a "
            "folder of it; qhc runs lists what there is, and qhc run trains one"
        )
    return [file for run in runs for file in (run / OWN, *_beside(run))] or [path / OWN]


def without_copies(files: Sequence[Path], given: Sequence[Path]) -> list[Path]:
    """The files, each model once: runs keep copies of what they were given.

    The one of the run that trained it stays. What is left out is said.

    Args:
        files: as `checkpoint_files` finds them, at least two.
        given: what was typed for them.

    Raises:
        CheckpointError: one cannot be read.
        OptionError: two that were typed, each for itself, are the same model.
    """
    typed = {each for path in given if len(found := checkpoint_files(path)) == 1 for each in found}
    kept: dict[str, Path] = {}
    for file in sorted(files, key=_is_copy):
        sha256 = _sha256(file)
        first = kept.setdefault(sha256, file)
        if first is file:
            continue
        if first in typed and file in typed:
            same = "" if first.resolve() == file.resolve() else f": {first} is the same model"
            raise OptionError(f"--checkpoint {file} is given twice{same}; leave one of them out")
        click.echo(f"note: {file} is a copy of {first}: the model is asked once", err=True)
    return [file for file in dict.fromkeys(files) if file in kept.values()]


def check_readable(files: Sequence[Path], given: Sequence[Path]) -> None:
    """Raise `CheckpointError` for a damaged one; found in a folder, with what to do about it."""
    from ..records.checkpoint import load_model_info

    for file in files:
        try:
            load_model_info(file)
        except CheckpointError as error:
            folder = file.parent.parent
            if file in given or file.parent in given or folder not in given:
                raise
            raise CheckpointError(
                f"{error}. It is the run {file.parent.name} of {folder}: move it away, or name the "
                "others one by one: --checkpoint "
                + " --checkpoint ".join(str(each.parent) for each in files if each != file)
            ) from None


def _is_copy(file: Path) -> bool:
    """Whether a run was given it; its record says so."""
    from qbackend.errors import UserError

    from ..records.folder import RunFolder

    try:
        return RunFolder.open(file.parent).provenance.checkpoint is not None
    except UserError:
        return False


def _beside(run: Path) -> list[Path]:
    return sorted(run.glob(BESIDE), key=lambda file: (len(file.name), file.name))


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(
            f"there is no checkpoint {file} to be read: {error.strerror or error}"
        ) from None
