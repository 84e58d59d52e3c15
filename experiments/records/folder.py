"""The run folder: everything that one invocation of `qhc run` leaves on disk.

config.toml             the resolved recipe and layer, the command, versions; written once
state.json              what happened to the run: how far it came, notes, the computer
code/                   copies of the user's own files that the recipe names, if it names some
metrics.jsonl           a line per epoch and per evaluation
metrics.csv             the epochs as a table
checkpoint.safetensors  the model of the best validation epoch, or the one that was given
checkpoint-2.safetensors, …   those that were given beside the first
given.safetensors       the one that was given, where its circuit is trained on
training.safetensors    what `qhc resume` goes on from
evaluation.npz          the arrays of the last test evaluation (`evaluate.Evaluation.arrays`)
jobs.sqlite             the ledger of a machine's jobs
jobs.layers.json        what these jobs were compiled to, once more
validation.npz, .csv    what a machine and the simulators in its place answered, image by image
rows.csv                rows of feature maps that a device executed, where not whole images were
mitigation.csv          what a machine answered under each mitigation, image by image
joint.csv               what a device answered to several models, image by image
drift.npz               what a repeated run and the one that it repeats answered, image by image
compiled.qpy            the circuit of the widest layer as the device executed it
noise.json              the noise model, where a device's was simulated; a backend can read it
device.json             what the device reported of all its qubits when the run compiled for it
report.html, figures/   what a reader looks at first

A run of old has its state in `config.toml` too: its first change goes to a `state.json`.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from qbackend.errors import RunFolderError
from qbackend.validation.records.environment import without_home
from qbackend.validation.records.files import csv_content, write_atomically
from qbackend.validation.records.state import Provenance, State
from qbackend.validation.records.stored import StoredRun, is_run, now, reading, written

from ..config.own_files import COPIES, code_files
from ..config.recipe import load_config
from ..config.sections import Config
from .comparisons import MitigationRecord, RowRecord, ValidationRecord
from .drift import DriftRecord
from .joint import JointRecord
from .lines import EpochRecord, EvaluationRecord, Line

Record = dict[str, Any]
"""Plain values by name, as JSON has them."""

AnyLine = TypeVar("AnyLine", bound=Line)


class RunFolder(StoredRun):
    """A run's folder; `create` makes one, `open` finds one."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.given = path / "given.safetensors"
        self.training = path / "training.safetensors"
        self.evaluation = path / "evaluation.npz"
        self.noise = path / "noise.json"
        self.device = path / "device.json"
        self.compiled = path / "compiled.qpy"
        self.row_table = path / "rows.csv"
        self.mitigation_table = path / "mitigation.csv"
        self.joint_table = path / "joint.csv"
        self.drift = path / "drift.npz"

    def beside(self, number: int) -> Path:
        """Where the checkpoint of that number is kept, of several that were given; from 2 on."""
        return self.path / f"checkpoint-{number}.safetensors"

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
        values = config.to_dict()
        if provenance is not None:
            values["run"] |= provenance.to_dict()
        if layer is not None:
            values["quantum_layer"] = layer
        code = code_files(config.code).items() if config.code else ()
        copies = {f"{COPIES}/{name}": content for name, content in code}
        state = State(status="running", started=now(), notes=tuple(notes))
        folder.begin(values, state, copies)
        return folder

    @staticmethod
    def check_free(path: Path | None) -> None:
        """Raise `RunFolderError` if `path` is anything but an empty folder or nothing.

        Of a run whose process was killed while it made the folder there is nothing to keep.
        """
        if path is None or not path.exists():
            return
        if (path / "config.toml").exists():
            raise RunFolderError(f"{path} holds a run already; go on with it by: qhc resume {path}")
        begun = {"state.json", ".state.json.partial", ".config.toml.partial"}
        if not path.is_dir() or any(each.name not in begun for each in path.iterdir()):
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
        if (kind := self.recorded_config().get("kind")) is not None:
            raise RunFolderError(
                f"{self.path} is of {kind}, which has no recipe: its page is made by qhc report "
                f"{self.path}, and qhc jobs, cancel and resume --collect know its jobs"
            )
        config, budget = load_config(str(self.config_file)), self.state.max_qpu_seconds
        if budget is None:
            return config
        machine = replace(config.machine, max_qpu_seconds=budget)
        return config.model_copy(update={"machine": machine})

    @property
    def provenance(self) -> Provenance:
        """What the run was begun with, beside its recipe."""
        content = self.recorded_config()
        with reading(self.config_file):
            return Provenance.from_dict(content["run"])

    @property
    def own_layers(self) -> list[Record]:
        """The quantum layers of a network of the user's own, as their `to_dict` gave them."""
        return self.recorded_config().get("quantum_layer", {}).get("layers", [])

    def append(self, line: Line) -> None:
        """Add a line to `metrics.jsonl`, and to `metrics.csv` if it is an epoch's."""
        super().append(line)
        if isinstance(line, EpochRecord):
            self._write_csv()

    def epochs(self) -> list[EpochRecord]:
        """The epochs' records, in order."""
        return list(self.lines(EpochRecord))

    def evaluations(self) -> list[EvaluationRecord]:
        """The evaluations' records, in order."""
        return list(self.lines(EvaluationRecord))

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
    def joint_record(self) -> JointRecord | None:
        """Several models that a device answered in this run, None before it did."""
        return self._last(JointRecord)

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
        write_atomically(self.metrics, "".join(f"{written(each)}\n" for each in kept).encode())
        self._write_csv()

    def _last(self, kind: type[AnyLine]) -> AnyLine | None:
        found = list(self.lines(kind))
        return found[-1] if found else None

    def _write_csv(self) -> None:
        rows = [_flat(record.to_dict()) for record in self.epochs()]
        write_atomically(self.path / "metrics.csv", csv_content(rows))


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
            flat |= {f"{key}_{name}": entry for name, entry in _flat(value).items()}
        else:
            flat[key] = value
    return flat
