"""The checkpoint that a run was given: its own copy of it, by which it goes on.

Another model may lie at the checkpoint's path when a run is resumed. Two models in one record
would be worse than none, and a machine would be paid for both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from qbackend.errors import CheckpointError
from qbackend.machines.ledger.ledger import Ledger
from qbackend.validation.records.environment import without_home
from qbackend.validation.records.files import write_atomically
from qbackend.validation.records.state import Beside

from ..assembly.feed import evaluation_split
from ..config.sections import Config
from ..data.splits import ImageData
from ..evaluation.assess import in_order
from ..evaluation.evaluate import evaluate
from ..records.folder import RunFolder

SAME_LOGITS = 1e-3
"""By which logits of one float32 network may differ between computers, relative or absolute.

Rounding is a thousandth of that; another training is a thousand times as far away.
"""


@dataclass(frozen=True)
class Given:
    """A checkpoint as it was read: its name in the records, its bytes' SHA-256, and the bytes."""

    name: str
    sha256: str
    content: bytes

    @classmethod
    def read(cls, path: Path) -> Given:
        """The checkpoint at `path`; raises `CheckpointError`."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CheckpointError(
                f"there is no checkpoint {path} to be read: {error.strerror or error}"
            ) from None
        return cls(without_home(str(path)), hashlib.sha256(content).hexdigest(), content)

    def record(self) -> dict[str, str]:
        """What the run's record says of it."""
        return {"checkpoint": self.name, "checkpoint_sha256": self.sha256}


def own_copy(folder: RunFolder, config: Config) -> Path:
    """Where a run keeps the checkpoint that it was given; training in the loop writes its own."""
    return folder.given if config.train.weights == "quantum" else folder.checkpoint


def keep(given: Given, folder: RunFolder, config: Config) -> Path:
    """The run's own copy, written; raises `RecordError`."""
    copy = own_copy(folder, config)
    write_atomically(copy, given.content)
    return copy


def beside_record(given: Sequence[Given]) -> dict[str, tuple[Beside, ...]]:
    """What the run's record says of checkpoints beside the first; nothing without any."""
    found = tuple(Beside.from_dict(each.record()) for each in given)
    return {"beside": found} if found else {}


def keep_beside(given: Sequence[Given], folder: RunFolder) -> list[Path]:
    """The run's own copies of checkpoints beside the first; raises `RecordError`."""
    copies = [folder.beside(number) for number in range(2, len(given) + 2)]
    for each, copy in zip(given, copies, strict=True):
        write_atomically(copy, each.content)
    return copies


def given_beside(folder: RunFolder) -> list[Path]:
    """The checkpoints beside the first that a run goes on with; raises as `given_checkpoint`."""
    return [
        _found(Path(each.checkpoint).expanduser(), folder.beside(number), each.checkpoint_sha256)
        for number, each in enumerate(folder.provenance.beside, start=2)
    ]


def given_checkpoint(folder: RunFolder, config: Config) -> Path | None:
    """The checkpoint that a run goes on with; None for one that trains from scratch.

    A run of old has no copy: it goes on with what is at the checkpoint's path (`check_proven`).

    Raises:
        CheckpointError: the copy is not what the run was given, or there is none any more.
    """
    recorded = folder.provenance
    if recorded.checkpoint is None:
        return None
    path, copy = Path(recorded.checkpoint).expanduser(), own_copy(folder, config)
    sha256 = recorded.checkpoint_sha256
    if sha256 is None:
        return path
    return _found(path, copy, sha256)


def _found(path: Path, copy: Path, sha256: str) -> Path:
    """The run's own copy of a checkpoint, made anew where it is lost; raises `CheckpointError`."""
    if copy.exists() and Given.read(copy).sha256 == sha256:
        return copy
    if path.is_file() and (found := Given.read(path)).sha256 == sha256:
        write_atomically(copy, found.content)
        return copy
    raise CheckpointError(
        f"neither {copy} nor {path} is the checkpoint that this run was given (its SHA-256 begins "
        f"with {sha256[:12]}); nothing was sent. Put it back, or begin a new run: "
        "qhc run --checkpoint FILE"
    )


def check_proven(
    path: Path, model: nn.Module, folder: RunFolder, config: Config, data: ImageData
) -> None:
    """Raise `CheckpointError` where a run of old may find another model at `path` than before.

    It is the same where it gives, without noise, the answers that are on record. Where nothing was
    planned on a machine, nothing can be mixed or paid twice; what is trained in the loop is kept
    from its first epoch on.
    """
    if folder.provenance.checkpoint_sha256 is not None or not config.backend.is_machine:
        return
    if folder.training.exists() or not _has_jobs(folder):
        return
    recorded = _recorded_logits(folder)
    if recorded is None or not _gives(recorded, model, config, data):
        raise CheckpointError(
            f"this run was begun by a qhc that kept no copy of its checkpoint, and {path} cannot "
            "be shown to be the same; nothing was sent. Put the checkpoint back that it was begun "
            f"with, or begin a new run; the jobs it has sent are shown by: qhc jobs {folder.path}"
        )


def _has_jobs(folder: RunFolder) -> bool:
    if not folder.ledger.exists():
        return False
    ledger = Ledger.existing(folder.ledger, read_only=True)
    try:
        return bool(ledger.entries())
    finally:
        ledger.close()


def _recorded_logits(folder: RunFolder) -> np.ndarray | None:
    """Of the evaluation without noise."""
    if "ideal" not in {record.stage for record in folder.evaluations()}:
        return None
    # Rows of feature maps are followed by no other evaluation.
    for path, name in ((folder.validation, "ideal_logits"), (folder.evaluation, "logits")):
        if path.exists():
            with np.load(path, allow_pickle=False) as arrays:
                return arrays[name]
    return None


def _gives(recorded: np.ndarray, model: nn.Module, config: Config, data: ImageData) -> bool:
    split = evaluation_split(data.test, config.run.limit, config.run.seed)
    images = in_order(split, model, config, data)
    found = evaluate(model, images, data.classes, config.train.label_smoothing)
    logits = found.predictions.logits.float().cpu().numpy()
    if logits.shape != recorded.shape:
        return False
    return bool(np.allclose(logits, recorded, rtol=SAME_LOGITS, atol=SAME_LOGITS))
