"""A run folder read whole: all that a report knows of a run."""

from __future__ import annotations

import zipfile
from csv import DictReader
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from qbackend.errors import ConfigError, RunFolderError
from qbackend.layers.definitions import layer_of
from qbackend.layers.program import Layer

from ..assembly.construct import model_plan
from ..records.compiled_circuit import load_compiled
from ..records.folder import Record, RunFolder
from ..records.lines import EvaluationRecord
from ..records.run_records import RunRecords

NOT_SETTINGS = (
    *("run.seed", "run.shots_seed", "run.threads"),
    *("description", "remarks", "data.download", "log."),
)
"""Keys of a recipe in which runs of one group may differ."""


@dataclass(frozen=True)
class Answers:
    """What a model answered in its last evaluation (`evaluation.npz`).

    Attributes:
        labels: (N,).
        logits: (N, classes).
        features: (N, F) before the bridge, None for a model without one.
        outputs: (N, M) behind it.
        samples: (S, C, H, W) uint8 images; None where inputs are no images.
        sample_places: (S,), where the samples stand among the N.
        are_drawn: whether the samples are drawn by a seed; the first ones in runs of before.
    """

    labels: NDArray[np.integer]
    logits: NDArray[np.floating]
    features: NDArray[np.floating] | None
    outputs: NDArray[np.floating] | None
    samples: NDArray[np.uint8] | None
    sample_places: NDArray[np.integer]
    are_drawn: bool

    def predictions(self) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
        """The predicted classes (N,) and their probabilities (N,)."""
        shifted = self.logits - self.logits.max(axis=1, keepdims=True)
        weights = np.exp(shifted)
        return self.logits.argmax(axis=1), weights.max(axis=1) / weights.sum(axis=1)


@dataclass(frozen=True)
class Run(RunRecords):
    """One run's records, and its arrays."""

    @property
    def seed(self) -> int:
        return self.config.run.seed

    @property
    def arm(self) -> str:
        return self.config.model.arm

    @property
    def spec(self) -> Layer | None:
        """The quantum layer that every image passes, None for a model without it.

        Of a network of the user's own the widest, as it is on record.
        """
        if self.config.model.factory is not None:
            return max(self.own_layers, key=lambda layer: layer.n_wires, default=None)
        return model_plan(self.config).circuit(self.arm)

    @property
    def own_layers(self) -> list[Layer]:
        """All quantum layers of a network of the user's own, in order; empty of the catalogue's."""
        return [layer_of(values) for values in RunFolder(self.folder).own_layers]

    @property
    def is_quantum(self) -> bool:
        """Whether a backend has a part in the model's answers."""
        return self.state.quantum_parameters > 0

    @property
    def headline(self) -> EvaluationRecord | None:
        """The evaluation that speaks for the run: the last on test images, else the last."""
        tested = tuple(record for record in self.evaluations if record.split == "test")
        candidates = tested or self.evaluations
        return candidates[-1] if candidates else None

    def settings(self) -> Record:
        """The recipe flat, by dotted key, without what may differ inside a group."""
        flat = _flat(self.config.compared())
        kept = {key: value for key, value in flat.items() if not key.startswith(NOT_SETTINGS)}
        if self.provenance.repeats is not None:
            # What is alike in everything else stays apart from what it repeats.
            kept["rerun"] = self.state.started[:19].replace("T", " ")
        return kept

    def stages(self) -> dict[str, NDArray[Any]]:
        """The arrays of a validation on a machine (`validation.npz`), empty where there was none.

        Raises `RunFolderError` for a damaged file.
        """
        return {} if self.validation is None else _arrays(self.folder / "validation.npz")

    def drift_arrays(self) -> dict[str, NDArray[Any]]:
        """What this run and the one that it repeats answered (`drift.npz`), empty without one.

        Raises `RunFolderError` for a damaged file.
        """
        return {} if self.drift is None else _arrays(self.folder / "drift.npz")

    def compiled_circuit(self) -> QuantumCircuit | None:
        """The circuit that a device executed, None where there was none or it was not kept.

        Raises `RunFolderError` for a damaged file.
        """
        path = RunFolder(self.folder).compiled
        return load_compiled(path) if path.exists() else None

    def row_values(self) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Exact and measured outputs of the rows of feature maps (`rows.csv`), (values,) each.

        Raises `RunFolderError` for a damaged file.
        """
        path = self.folder / "rows.csv"
        try:
            with open(path, newline="", encoding="utf-8") as file:
                lines = [(float(row["exact"]), float(row["measured"])) for row in DictReader(file)]
            exact, measured = np.array(lines).T
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunFolderError(f"{path} is damaged: {error}") from None
        return exact, measured

    def answers(self) -> Answers | None:
        """The arrays of the last evaluation, None where there was none.

        Raises `RunFolderError` for a damaged file.
        """
        path = self.folder / "evaluation.npz"
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                return Answers(
                    labels=file["labels"],
                    logits=file["logits"],
                    features=file.get("features"),
                    outputs=file.get("outputs"),
                    samples=file.get("samples"),
                    sample_places=file.get("sample_places", np.zeros(0, np.int64)),
                    are_drawn="sample_seed" in file,
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise RunFolderError(
                f"{path} is damaged: {error}; remove it to have the report without it, "
                f"or repeat the evaluation by: qhc run --checkpoint {self.folder}"
            ) from None


def read_run(path: Path) -> Run:
    """The run in the folder at `path`.

    Raises:
        RunFolderError: no such folder, one that is not a run's, or damaged records.
    """
    try:
        RunFolder.open(path)
    except RunFolderError as error:
        raise RunFolderError(
            f"{error}; give a folder that `qhc run` made: qhc report runs/<time>-<recipe>"
        ) from None
    try:
        return Run.read(path)
    except ConfigError as error:
        raise RunFolderError(f"{path / 'config.toml'} is not a run's record: {error}") from None


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise RunFolderError(
            f"{path} is damaged: {error}; remove it to have the report without it"
        ) from None


def _flat(values: Record, prefix: str = "") -> Record:
    flat: Record = {}
    for key, value in values.items():
        dotted = f"{prefix}{key}"
        flat |= _flat(value, f"{dotted}.") if isinstance(value, dict) else {dotted: value}
    return flat
