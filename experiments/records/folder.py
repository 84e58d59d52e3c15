"""The run folder: everything that one invocation of `qhc run` leaves on disk.

config.toml             the resolved recipe, the command, versions, computer, status
metrics.jsonl           a line per epoch and per evaluation
metrics.csv             the epochs as a table
checkpoint.safetensors  the model of the best validation epoch, or the one that was given
given.safetensors       the one that was given, where its circuit is trained on
training.safetensors    what `qhc resume` goes on from
evaluation.npz          the arrays of the last test evaluation (`evaluate.Evaluation.arrays`)
jobs.sqlite             the ledger of a machine's jobs
jobs.layers.json        what these jobs were compiled to, once more
validation.npz, .csv    what a machine and the simulators in its place answered, image by image
rows.csv                rows of feature maps that a device executed, where not whole images were
noise.json              the noise model, where a device's was simulated; a backend can read it
report.html, figures/   what a reader looks at first
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import tomli_w

from qbackend.errors import RunFolderError

from ..config.recipe import load_config
from ..config.sections import Config
from .environment import versions, without_home
from .files import append_line, csv_content, write_atomically

Status = Literal["running", "waiting", "interrupted", "failed", "finished"]
"""waiting is for jobs that were sent and go on by themselves."""
Record = dict[str, Any]


FORMER_KEYS = {"encoder": "preparation"}
"""Of records, whose files stay as they are."""


class RunFolder:
    """A run's folder; `create` makes one, `open` finds one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.toml"
        self.metrics = path / "metrics.jsonl"
        self.checkpoint = path / "checkpoint.safetensors"
        self.given = path / "given.safetensors"
        self.training = path / "training.safetensors"
        self.evaluation = path / "evaluation.npz"
        self.report = path / "report.html"
        self.noise = path / "noise.json"
        self.ledger = path / "jobs.sqlite"
        self.validation = path / "validation.npz"
        self.validation_table = path / "validation.csv"
        self.row_table = path / "rows.csv"

    @classmethod
    def create(cls, path: Path | None, config: Config, run: Mapping[str, Any]) -> RunFolder:
        """A new folder at `path`, or under `runs/` by time and recipe.

        Args:
            path: must be empty or not there yet.
            config: the resolved recipe.
            run: what else to record under [run], such as the command and the notes.

        Raises:
            RunFolderError: `path` is taken.
        """
        cls.check_free(path)
        folder = cls(_free_path(config) if path is None else path)
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{folder.path} cannot be made: {error.strerror}") from None
        values = config.to_dict()
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        values["run"] |= {**run, "started": started, "status": "running"}
        folder._write_config({**values, "versions": versions()})
        return folder

    @staticmethod
    def check_free(path: Path | None) -> None:
        """Raise `RunFolderError` if `path` is anything but an empty folder or nothing."""
        if path is None or not path.exists():
            return
        if (path / "config.toml").exists():
            raise RunFolderError(f"{path} holds a run already; go on with it by: qhc resume {path}")
        if not path.is_dir() or any(path.iterdir()):
            raise RunFolderError(f"{path} is not an empty folder; choose another --out")

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The run at `path`; raises `RunFolderError`."""
        folder = cls(path)
        if not folder.config_file.is_file():
            reason = "has no config.toml" if path.is_dir() else "does not exist"
            raise RunFolderError(f"{path} is not a run: it {reason}")
        try:
            folder._read_config()["run"]
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
            raise RunFolderError(f"{folder.config_file} is damaged: {error}") from None
        return folder

    def config(self) -> Config:
        """The resolved recipe; raises `ConfigError`."""
        return load_config(str(self.config_file))

    @property
    def run(self) -> Record:
        """The [run] table, with what was recorded beside the recipe."""
        return self._read_config()["run"]

    @property
    def versions(self) -> dict[str, str]:
        """Of what the run began with."""
        return self._read_config().get("versions", {})

    @property
    def status(self) -> Status:
        """How far the run has come, as far as its folder knows."""
        return self.run["status"]

    def note(self, table: str, **values: Any) -> None:
        """Enter values into a table of `config.toml`."""
        content = self._read_config()
        content[table] = {**content.get(table, {}), **values}
        self._write_config(content)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line to `metrics.jsonl`, and to `metrics.csv` if it is an epoch's."""
        append_line(self.metrics, json.dumps(record, allow_nan=False))
        if record["kind"] == "epoch":
            self._write_csv()

    def epochs(self) -> list[Record]:
        """The epochs' records, in order."""
        return [record for record in self._records() if record["kind"] == "epoch"]

    def evaluations(self) -> list[Record]:
        """The evaluations' records, in order."""
        return [record for record in self._records() if record["kind"] == "evaluation"]

    @property
    def validation_record(self) -> Record | None:
        """The comparison of a machine's answers with the simulated ones, None before there is."""
        return self._last("validation")

    @property
    def row_record(self) -> Record | None:
        """The error of rows of feature maps on a device, None before they were executed."""
        return self._last("rows")

    def rewind(self, epoch: int) -> None:
        """Forget what was recorded after `epoch`: it is about to happen again."""
        kept = [record for record in self.epochs() if record["epoch"] <= epoch]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_atomically(self.metrics, text.encode())
        self._write_csv()

    def _last(self, kind: str) -> Record | None:
        found = [record for record in self._records() if record["kind"] == kind]
        return found[-1] if found else None

    def _records(self) -> Iterator[Record]:
        if not self.metrics.exists():
            return
        for line in self.metrics.read_text(encoding="utf-8").splitlines(keepends=True):
            # A process that was killed may leave half a line, always the last one.
            if line.endswith("\n"):
                yield json.loads(line, object_hook=_in_words_of_today)

    def _write_csv(self) -> None:
        rows = [_flat(record) for record in self.epochs()]
        write_atomically(self.path / "metrics.csv", csv_content(rows))

    def _read_config(self) -> Record:
        return tomllib.loads(self.config_file.read_text(encoding="utf-8"))

    def _write_config(self, content: Record) -> None:
        write_atomically(self.config_file, tomli_w.dumps(content).encode())


def command_line(arguments: list[str]) -> str:
    """The command as it can be pasted again, without the user's home folder."""
    join = subprocess.list2cmdline if sys.platform == "win32" else shlex.join
    return without_home(join(["qhc", *arguments]))


def _free_path(config: Config) -> Path:
    arm = "" if config.model.arm == "quantum" else f"-{config.model.arm}"
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{config.recipe}{arm}"
    candidates = (Path("runs", name if n == 1 else f"{name}-{n}") for n in range(1, 1000))
    return next(path for path in candidates if not path.exists())


def _flat(record: Mapping[str, Any]) -> Record:
    flat: Record = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}_{name}": entry for name, entry in value.items()}
        elif key != "kind":
            flat[key] = value
    return flat


def _in_words_of_today(values: Record) -> Record:
    """The same under the keys that were once called otherwise."""
    return {FORMER_KEYS.get(key, key): value for key, value in values.items()}
