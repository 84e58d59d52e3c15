"""A run's folder, whatever the run is: what it is, what happened to it, its lines, its ledger.

config.toml    what the run is; written once
state.json     what happened to it
metrics.jsonl  a line for each thing that was found
jobs.sqlite    the ledger of a machine's jobs
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import tomli_w

from ...errors import RunFolderError
from .environment import versions
from .files import append_line, write_atomically
from .recorded import Recorded
from .state import State, Status


class Line(Recorded):
    """A line of `metrics.jsonl`, with the `kind` that tells which."""

    kind: ClassVar[str]


AnyLine = TypeVar("AnyLine", bound=Line)


class StoredRun:
    """What is in the folder at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.toml"
        self.state_file = path / "state.json"
        self.metrics = path / "metrics.jsonl"
        self.checkpoint = path / "checkpoint.safetensors"
        self.ledger = path / "jobs.sqlite"
        self.validation = path / "validation.npz"
        self.validation_table = path / "validation.csv"
        self.report = path / "report.html"

    def begin(
        self, config: Mapping[str, Any], state: State, files: Mapping[str, bytes] | None = None
    ) -> None:
        """Make the folder, with what the run is, the versions of the software, and its state.

        Args:
            config: what the run is.
            state: what happened to it.
            files: that the run goes on with, by their paths in the folder.

        Raises:
            RunFolderError: it cannot be made.
            RecordError: a file could not be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{self.path} cannot be made: {error.strerror}") from None
        # A folder with a config is a run, and has a state.
        self._write_state(state)
        values = {**config, "versions": versions()}
        try:
            for name, content in (files or {}).items():
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(self.path / name, content)
            write_atomically(
                self.config_file, tomli_w.dumps(values, multiline_strings=True).encode()
            )
        except BaseException:
            self.state_file.unlink(missing_ok=True)
            raise

    @property
    def backend(self) -> str:
        """Its name, of a config that is not checked: that takes seconds of loading."""
        content = self.recorded_config()
        with reading(self.config_file):
            return content["run"]["backend"]

    @property
    def versions(self) -> dict[str, str]:
        """Of what the run began with."""
        return self.recorded_config().get("versions", {})

    @property
    def state(self) -> State:
        """What happened to the run; raises `RunFolderError` for a damaged file."""
        if not self.state_file.exists():
            content = self.recorded_config()
            if "status" not in content["run"]:
                raise RunFolderError(f"{self.state_file} is missing; put it back")
            with reading(self.config_file):
                return State.from_dict({**content["run"], "computer": content.get("computer")})
        with reading(self.state_file):
            return State.from_dict(json.loads(self.state_file.read_text(encoding="utf-8")))

    @property
    def status(self) -> Status:
        """How far the run has come, as far as its folder knows."""
        return self.state.status

    def note(self, **values: Any) -> None:
        """Enter values of a `State` into `state.json`; None takes one away."""
        noted = {**self.state.to_dict(), **values}
        kept = {key: value for key, value in noted.items() if value is not None}
        self._write_state(State.from_dict(kept))

    def append(self, line: Line) -> None:
        """Add a line to `metrics.jsonl`."""
        append_line(self.metrics, written(line))

    def lines(self, kind: type[AnyLine]) -> Iterator[AnyLine]:
        """Those of a kind, in order; raises `RunFolderError` for a damaged file."""
        if not self.metrics.exists():
            return
        with reading(self.metrics):
            for line in self.metrics.read_text(encoding="utf-8").splitlines(keepends=True):
                # A process that was killed may leave half a line, always the last one.
                if line.endswith("\n") and (values := json.loads(line))["kind"] == kind.kind:
                    yield kind.from_dict(values)

    def recorded_config(self) -> dict[str, Any]:
        """What is in `config.toml`; raises `RunFolderError` for a damaged file."""
        with reading(self.config_file):
            return tomllib.loads(self.config_file.read_text(encoding="utf-8"))

    def _write_state(self, state: State) -> None:
        write_atomically(self.state_file, json.dumps(state.to_dict(), indent=1).encode())


def is_run(path: Path) -> bool:
    """Whether the folder at `path` is a run's."""
    return (path / "config.toml").is_file()


def now() -> str:
    """The time of day, ISO 8601."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises `RunFolderError` where a file does not hold what it should."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{path} is damaged: {error}") from None


def written(line: Line) -> str:
    """The line as the file has it."""
    return json.dumps({"kind": line.kind, **line.to_dict()}, allow_nan=False)
