"""The run folder of a validation from Python: what the other runs' have, without a recipe.

config.toml             what was given: backends, options, hashes of the model and of the data
state.json              what happened to the run
metrics.jsonl           a line per stage, and one of the whole
checkpoint.safetensors  the model's tensors
validation.npz          targets, outputs, and what went into and came out of each quantum layer
validation.csv          targets and outputs, item by item
jobs.sqlite             the ledger of a machine's jobs
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import RunFolderError
from .lines import StageLine, WholeLine
from .records.files import csv_content, write_arrays, write_atomically
from .records.model_source import UNKNOWN
from .records.state import State
from .records.stored import StoredRun, is_run, now

KIND = "own model"
"""In `config.toml`: what tells it from a recipe's."""

CODE = "model.code."
"""Before the keys of what `model_code` found."""

Values = dict[str, Any]
Arrays = dict[str, NDArray[Any]]

UNTOLD = (
    *("run.backend", "run.command", "run.titles"),
    *("run.credentials", "run.profile", "run.repeats"),
)
"""Keys in which a call may differ from the one that it goes on with."""


class OwnRun(StoredRun):
    """A validation's folder."""

    @classmethod
    def create(
        cls, path: Path, config: Mapping[str, Any], model: nn.Module, notes: Sequence[str]
    ) -> OwnRun:
        """A new folder at `path`, with the model's tensors.

        Raises:
            RunFolderError: `path` is taken.
            RecordError: a file could not be written.
        """
        check_free(path)
        folder = cls(path)
        state = State(status="running", started=now(), notes=tuple(notes))
        folder.begin({"kind": KIND, **config}, state)
        # In one entry: the library writes several in any order.
        metadata = {"qhc": json.dumps({"format": KIND, "version": 1})}
        tensors = {name: each.contiguous().clone() for name, each in tensors_of(model).items()}
        write_atomically(folder.checkpoint, save(tensors, metadata))
        return folder

    @classmethod
    def open(cls, path: Path) -> OwnRun:
        """The run at `path`; raises `RunFolderError`."""
        if not is_own(path):
            raise RunFolderError(f"{path} is no run of qbackend.validate")
        folder = cls(path)
        _ = folder.state
        return folder

    @property
    def config(self) -> Values:
        """What the run is."""
        return self.recorded_config()

    def stages(self) -> list[StageLine]:
        """Those on record, in order."""
        return list(self.lines(StageLine))

    @property
    def whole(self) -> WholeLine | None:
        """What is known at the end; None before."""
        return next(self.lines(WholeLine), None)

    def arrays(self) -> Arrays:
        """What is in `validation.npz`; raises `RunFolderError` for a damaged file."""
        if not self.validation.exists():
            return {}
        try:
            with np.load(self.validation, allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise RunFolderError(f"{self.validation} is damaged: {error}") from None

    def keep(self, arrays: Arrays) -> None:
        """Add arrays to `validation.npz`; raises `RecordError`."""
        write_arrays(self.validation, {**self.arrays(), **arrays})

    def write_table(self) -> None:
        """`validation.csv`, of the stages on record; raises `RecordError`."""
        write_atomically(self.validation_table, csv_content(list(self._rows())))

    def _rows(self) -> Iterator[Values]:
        arrays = self.arrays()
        targets = arrays["targets"].reshape(len(arrays["targets"]), -1)
        for number, line in enumerate(self.stages()):
            outputs = arrays[outputs_name(number)].reshape(len(targets), -1)
            for item, (target, output) in enumerate(zip(targets, outputs, strict=True)):
                row: Values = {"item": item, "stage": line.stage}
                row |= {_numbered("target", targets, i): f"{t:.6g}" for i, t in enumerate(target)}
                yield row | {f"output_{i}": f"{value:.6g}" for i, value in enumerate(output)}


def check_place(path: Path | None) -> None:
    """Raise `RunFolderError` unless a validation can begin or go on in a folder at `path`."""
    if path is None or is_own(path):
        return
    if is_run(path):
        raise RunFolderError(f"{path} holds a run of another kind; choose another run=")
    check_free(path)


def check_free(path: Path) -> None:
    """Raise `RunFolderError` unless a run can begin at `path`."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunFolderError(f"{path} is not an empty folder; choose another run=")


def is_own(path: Path) -> bool:
    """Whether the folder at `path` is that of a validation from Python; it may be none at all."""
    if not is_run(path):
        return False
    return StoredRun(path).recorded_config().get("kind") == KIND


def free_path(model: nn.Module) -> Path:
    """Under `runs/`, by time and model."""
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{type(model).__name__.lower()}"
    candidates = (Path("runs", name if n == 1 else f"{name}-{n}") for n in range(1, 1000))
    return next(path for path in candidates if not path.exists())


def differences(recorded: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """In what a call differs from the run that it is to go on with, a phrase each."""
    then, now_given = _flat(recorded), _flat(given)
    has_code = any(key.startswith(CODE) for key in then)
    found = []
    for key in sorted({*then, *now_given}):
        if key in UNTOLD or key.startswith("versions.") or key == "kind":
            continue
        one, other = then.get(key), now_given.get(key)
        if key.startswith(CODE):
            # A run of before it was recorded has none, and a class without source says nothing.
            if not has_code or UNKNOWN in (one, other) or one == other:
                continue
            found.append(_code_words(key.removeprefix(CODE), one, other))
        elif one != other:
            words = f"{key}: {_short(one)} there, {_short(other)} now"
            found.append(words)
    return found


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """The model's tensors by name, on the CPU; what else a state holds is no part of them."""
    state = model.state_dict()
    return {name: each.detach().cpu() for name, each in state.items() if isinstance(each, Tensor)}


def outputs_name(stage: int) -> str:
    """Of the model's outputs in `validation.npz`."""
    return f"stage{stage}_outputs"


def layer_name(stage: int, layer: int, call: int, what: str) -> str:
    """Of a layer's features, values or stderr there."""
    return f"stage{stage}_layer{layer}_call{call}_{what}"


def _code_words(name: str, there: str | None, now: str | None) -> str:
    if name == "modules":
        return "model: its modules are of other classes, or have other names"
    if there is None or now is None:
        return f"model: the class {name} is {'new' if there is None else 'not there any more'}"
    return f"model: the source of the class {name} has changed"


def _numbered(word: str, rows: NDArray[Any], index: int) -> str:
    return word if rows.shape[1] == 1 else f"{word}_{index}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Values:
    flat: Values = {}
    for key, value in values.items():
        is_table = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{key}.") if is_table else {f"{prefix}{key}": _plain(value)}
    return flat


def _plain(value: Any) -> Any:
    """As TOML gives it back."""
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = str(value)
    is_hash = isinstance(value, str) and len(value) == 64
    return f"{text[:12]}…" if is_hash else text
