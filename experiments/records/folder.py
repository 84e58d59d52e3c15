"""The run folder: everything that one invocation of `qhc run` leaves on disk.

config.toml             the resolved recipe and layer, the command, versions; written once
state.json              what happened to the run: how far it came, notes, the computer
code/                   copies of the user's own files that the recipe names, if it names some
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
mitigation.csv          what a machine answered under each mitigation, image by image
drift.npz               what a repeated run and the one that it repeats answered, image by image
compiled.qpy            the circuit of the widest layer as the device executed it
noise.json              the noise model, where a device's was simulated; a backend can read it
device.json             what the device reported of all its qubits when the run compiled for it
report.html, figures/   what a reader looks at first

A run of old has its state in `config.toml` too: its first change goes to a `state.json`.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from qbackend.errors import RunFolderError

from ..config.own_files import COPIES, code_files
from ..config.recipe import load_config
from ..config.sections import Config
from .comparisons import MitigationRecord, RowRecord, ValidationRecord
from .drift import DriftRecord
from .environment import versions, without_home
from .files import append_line, csv_content, write_atomically
from .lines import EpochRecord, EvaluationRecord, Line
from .state import Provenance, State, Status

Record = dict[str, Any]
"""Plain values by name, as JSON has them."""

AnyLine = TypeVar("AnyLine", bound=Line)


class RunFolder:
    """A run's folder; `create` makes one, `open` finds one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.toml"
        self.state_file = path / "state.json"
        self.metrics = path / "metrics.jsonl"
        self.checkpoint = path / "checkpoint.safetensors"
        self.given = path / "given.safetensors"
        self.training = path / "training.safetensors"
        self.evaluation = path / "evaluation.npz"
        self.report = path / "report.html"
        self.noise = path / "noise.json"
        self.device = path / "device.json"
        self.compiled = path / "compiled.qpy"
        self.ledger = path / "jobs.sqlite"
        self.validation = path / "validation.npz"
        self.validation_table = path / "validation.csv"
        self.row_table = path / "rows.csv"
        self.mitigation_table = path / "mitigation.csv"
        self.drift = path / "drift.npz"

    @classmethod
    def create(
        cls,
        path: Path | None,
        config: Config,
        provenance: Provenance | None = None,
        *,
        layer: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
    ) -> RunFolder:
        """A new folder at `path`, or under `runs/` by time and recipe.

        Args:
            path: must be empty or not there yet.
            config: the resolved recipe.
            provenance: what else the run is begun with.
            layer: the quantum layer as its `to_dict` gives it, where the network has one.
            notes: where it is not quite what its headings say.

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
        if provenance is not None:
            values["run"] |= provenance.to_dict()
        if layer is not None:
            values["quantum_layer"] = layer
        values["versions"] = versions()
        # A folder with a config is a run, and has a state.
        folder._write_state(State(status="running", started=now(), notes=tuple(notes)))
        try:
            folder._keep_code(config)
            write_atomically(
                folder.config_file, tomli_w.dumps(values, multiline_strings=True).encode()
            )
        except BaseException:
            folder.state_file.unlink(missing_ok=True)
            raise
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
        if not is_run(path):
            reason = "has no config.toml" if path.is_dir() else "does not exist"
            raise RunFolderError(f"{path} is not a run: it {reason}")
        _ = folder.provenance, folder.state
        return folder

    def config(self) -> Config:
        """The resolved recipe, with the budget of today; raises `ConfigError`."""
        config, budget = load_config(str(self.config_file)), self.state.max_qpu_seconds
        if budget is None:
            return config
        machine = replace(config.machine, max_qpu_seconds=budget)
        return config.model_copy(update={"machine": machine})

    @property
    def backend(self) -> str:
        """Its name, of a config that is not checked: that takes seconds of loading."""
        content = self._read_config()
        with _reading(self.config_file):
            return content["run"]["backend"]

    @property
    def provenance(self) -> Provenance:
        """What the run was begun with, beside its recipe."""
        content = self._read_config()
        with _reading(self.config_file):
            return Provenance.from_dict(content["run"])

    @property
    def own_layers(self) -> list[Record]:
        """The quantum layers of a network of the user's own, as their `to_dict` gave them."""
        return self._read_config().get("quantum_layer", {}).get("layers", [])

    @property
    def versions(self) -> dict[str, str]:
        """Of what the run began with."""
        return self._read_config().get("versions", {})

    @property
    def state(self) -> State:
        """What happened to the run; raises `RunFolderError` for a damaged file."""
        if not self.state_file.exists():
            content = self._read_config()
            if "status" not in content["run"]:
                raise RunFolderError(f"{self.state_file} is missing; put it back")
            with _reading(self.config_file):
                return State.from_dict({**content["run"], "computer": content.get("computer")})
        with _reading(self.state_file):
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
        """Add a line to `metrics.jsonl`, and to `metrics.csv` if it is an epoch's."""
        append_line(self.metrics, _written(line))
        if isinstance(line, EpochRecord):
            self._write_csv()

    def epochs(self) -> list[EpochRecord]:
        """The epochs' records, in order."""
        return list(self._lines(EpochRecord))

    def evaluations(self) -> list[EvaluationRecord]:
        """The evaluations' records, in order."""
        return list(self._lines(EvaluationRecord))

    @property
    def validation_record(self) -> ValidationRecord | None:
        """The comparison of a machine's answers with the simulated ones, None before there is."""
        return self._last(ValidationRecord)

    @property
    def row_record(self) -> RowRecord | None:
        """The error of rows of feature maps on a device, None before they were executed."""
        return self._last(RowRecord)

    @property
    def mitigation_record(self) -> MitigationRecord | None:
        """Ways to mitigate a machine's errors side by side, None before they were compared."""
        return self._last(MitigationRecord)

    @property
    def drift_record(self) -> DriftRecord | None:
        """This run beside the one that it repeats, None where it repeats none."""
        return self._last(DriftRecord)

    @property
    def repeated(self) -> RunFolder | None:
        """The run that this one repeats; None where there is none, or none any more.

        It is looked for where it was, and beside this one: folders are moved together.
        """
        if self.provenance.repeats is None:
            return None
        recorded = Path(self.provenance.repeats).expanduser()
        places = (recorded, self.path.absolute().parent / recorded.name)
        return next((RunFolder.open(each) for each in places if is_run(each)), None)

    def rewind(self, epoch: int) -> None:
        """Forget what was recorded after `epoch`: it is about to happen again."""
        kept = [record for record in self.epochs() if record.epoch <= epoch]
        write_atomically(self.metrics, "".join(f"{_written(each)}\n" for each in kept).encode())
        self._write_csv()

    def _last(self, kind: type[AnyLine]) -> AnyLine | None:
        found = list(self._lines(kind))
        return found[-1] if found else None

    def _lines(self, kind: type[AnyLine]) -> Iterator[AnyLine]:
        if not self.metrics.exists():
            return
        with _reading(self.metrics):
            for line in self.metrics.read_text(encoding="utf-8").splitlines(keepends=True):
                # A process that was killed may leave half a line, always the last one.
                if line.endswith("\n") and (values := json.loads(line))["kind"] == kind.kind:
                    yield kind.from_dict(values)

    def _write_csv(self) -> None:
        rows = [_flat(record.to_dict()) for record in self.epochs()]
        write_atomically(self.path / "metrics.csv", csv_content(rows))

    def _read_config(self) -> Record:
        with _reading(self.config_file):
            return tomllib.loads(self.config_file.read_text(encoding="utf-8"))

    def _keep_code(self, config: Config) -> None:
        """Copies of the user's own files, by which the run goes on."""
        for name, content in code_files(config.code).items() if config.code else ():
            path = self.path / COPIES / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)

    def _write_state(self, state: State) -> None:
        write_atomically(self.state_file, json.dumps(state.to_dict(), indent=1).encode())


def is_run(path: Path) -> bool:
    """Whether the folder at `path` is a run's."""
    return (path / "config.toml").is_file()


def now() -> str:
    """The time of day, ISO 8601."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def command_line(arguments: list[str]) -> str:
    """The command as it can be pasted again, without the user's home folder."""
    join = subprocess.list2cmdline if sys.platform == "win32" else shlex.join
    return without_home(join(["qhc", *arguments]))


def _free_path(config: Config) -> Path:
    arm = "" if config.model.arm == "quantum" else f"-{config.model.arm}"
    name = f"{datetime.now():%Y%m%d-%H%M%S}-{config.recipe}{arm}"
    candidates = (Path("runs", name if n == 1 else f"{name}-{n}") for n in range(1, 1000))
    return next(path for path in candidates if not path.exists())


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raises `RunFolderError` where a file does not hold what it should."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{path} is damaged: {error}") from None


def _written(line: Line) -> str:
    return json.dumps({"kind": line.kind, **line.to_dict()}, allow_nan=False)


def _flat(record: Mapping[str, Any]) -> Record:
    flat: Record = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}_{name}": entry for name, entry in _flat(value).items()}
        else:
            flat[key] = value
    return flat
