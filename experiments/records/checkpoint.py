"""Checkpoints: a model that can be validated anywhere, and a training that can go on.

Both are safetensors files (https://huggingface.co/docs/safetensors), tensors and text without any
code, written wholly or not at all. `checkpoint.safetensors` says in its metadata all that is
needed to build the model again; `training.safetensors` holds what the next epoch depends on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from qbackend.errors import CheckpointError
from qbackend.validation.records.files import write_atomically

from ..config.train import Ties

VERSION = 1
_MODEL, _TRAINING = "qhc model", "qhc training"
_LENGTH = 8
"""Bytes of a safetensors file that say how long its header is."""


@dataclass(frozen=True)
class ModelInfo:
    """All that is needed to build a checkpoint's model and to feed it.

    Attributes:
        model: name of the model.
        arm: what stands where the circuit is.
        spec: the quantum layer as its `to_dict` gives it (`LayerSpec`, `CircuitLayer` or
            `PointwiseSpec`), None where there is none.
        n_classes: of the last layer.
        in_channels: of an image.
        classes: their names, in the order of the logits.
        mean: of each channel, subtracted from pixels in [0, 1].
        std: of each channel, by which the difference is divided.
        recipe: name of the recipe.
        seed: of the run.
        epoch: after which the weights were taken.
        config: the resolved recipe, as `Config.to_dict` gives it.
        size: height and width of an image; None in checkpoints of before it was kept, and of
            inputs that are no images.
        shape: of one input, where data or network are the user's own.
    """

    model: str
    arm: str
    spec: dict[str, Any] | None
    n_classes: int
    in_channels: int
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    recipe: str
    seed: int
    epoch: int
    config: dict[str, Any]
    size: tuple[int, int] | None = None
    shape: tuple[int, ...] | None = None

    @property
    def inputs(self) -> str:
        """What it takes, in words."""
        is_image = self.shape is None or len(self.shape) == 3
        return f"{self.in_channels} channels" if is_image else f"inputs of shape {self.shape}"

    def __str__(self) -> str:
        return (
            f"{self.model}, arm {self.arm}, {self.n_classes} classes, "
            f"{self.inputs}, epoch {self.epoch} of recipe {self.recipe}"
        )


_MODEL_INFO = TypeAdapter(ModelInfo)


@dataclass(frozen=True)
class Best:
    """The epoch with the highest validation accuracy."""

    epoch: int
    accuracy: float
    loss: float

    def is_beaten_by(self, later: Best, ties: Ties) -> bool:
        """Whether `later` is to be kept instead; `ties` as in `TrainSection`."""
        if ties == "later":
            return later.accuracy >= self.accuracy
        return (later.accuracy, -later.loss) > (self.accuracy, -self.loss)


def save_model(path: Path, model: nn.Module, info: ModelInfo) -> None:
    """Write the model's weights and what they belong to; raises `RecordError`."""
    metadata = {"format": _MODEL, "version": str(VERSION)}
    values = asdict(info)
    if info.shape is None:
        del values["shape"]
    metadata |= {key: json.dumps(value) for key, value in values.items()}
    write_atomically(path, _content(model.state_dict(), metadata))


def load_model_info(path: Path) -> ModelInfo:
    """What the checkpoint at `path` belongs to; raises `CheckpointError`."""
    return _info(path, _read(path, _MODEL)[1])


def load_model(path: Path, model: nn.Module) -> ModelInfo:
    """Put the checkpoint's weights into `model`.

    Raises:
        CheckpointError: no checkpoint, a damaged one, or one of another model.
    """
    tensors, metadata = _read(path, _MODEL)
    info = _info(path, metadata)
    _load_weights(path, model, tensors, f"it holds {info}")
    return info


def save_training(
    path: Path,
    model: nn.Module,
    optimiser: Optimizer,
    schedule: LRScheduler,
    epoch: int,
    best: Best,
) -> None:
    """Write what the epochs after `epoch` depend on; raises `RecordError`."""
    optimiser_state = optimiser.state_dict()
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    for index, entries in optimiser_state["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in entries.items()}
    metadata = {
        "format": _TRAINING,
        "version": str(VERSION),
        "epoch": str(epoch),
        "best": json.dumps(asdict(best)),
        "groups": json.dumps(optimiser_state["param_groups"]),
        "schedule": json.dumps(schedule.state_dict()),
    }
    write_atomically(path, _content(tensors, metadata))


def load_training(
    path: Path, model: nn.Module, optimiser: Optimizer, schedule: LRScheduler
) -> tuple[int, Best]:
    """Put a training back where `save_training` left it; returns its epoch and its best one.

    Raises:
        CheckpointError: no such file, a damaged one, or one of another model or optimiser.
    """
    tensors, metadata = _read(path, _TRAINING)
    weights: dict[str, Tensor] = {}
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, key = name.partition(".")
        if part == "model":
            weights[key] = tensor
        else:
            index, _, entry = key.partition(".")
            state.setdefault(int(index), {})[entry] = tensor
    _load_weights(path, model, weights, "it holds another training")
    groups = json.loads(metadata["groups"])
    try:
        optimiser.load_state_dict({"state": state, "param_groups": groups})
        schedule.load_state_dict(json.loads(metadata["schedule"]))
        _lay_out(optimiser)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path} belongs to another optimiser: {error}") from None
    return int(metadata["epoch"]), Best(**json.loads(metadata["best"]))


def _lay_out(optimiser: Optimizer) -> None:
    """Give the optimiser's tensors the order in memory of their parameters, which it relies on."""
    for parameter, entries in optimiser.state.items():
        for key, value in entries.items():
            if value.shape == parameter.shape:
                entries[key] = torch.empty_like(parameter).copy_(value)


def _content(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A safetensors file with the metadata in their order; the library's own is never the same."""
    content = save(_detached(tensors), metadata)
    start = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    header = {**json.loads(content[_LENGTH:start]), "__metadata__": metadata}
    written = json.dumps(header, separators=(",", ":")).encode()
    # The format wants the tensors to begin at a multiple of eight bytes.
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(_LENGTH, "little") + written + content[start:]


def _detached(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies on the CPU: safetensors refuses views and shared memory."""
    return {
        key: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for key, value in tensors.items()
    }


def _read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"checkpoint {path} is truncated or damaged: {error}; train again, or take another"
        ) from None
    if metadata.get("format") != kind:
        found = metadata.get("format", "a file that qhc did not write")
        raise CheckpointError(f"{path} is not a {kind} checkpoint but {found}")
    if metadata.get("version") != str(VERSION):
        raise CheckpointError(
            f"{path} has format version {metadata.get('version')}, this qhc reads {VERSION}"
        )
    return tensors, metadata


def _info(path: Path, metadata: Mapping[str, str]) -> ModelInfo:
    try:
        values = {
            field.name: json.loads(metadata[field.name])
            for field in fields(ModelInfo)
            if field.default is MISSING or field.name in metadata
        }
        return _MODEL_INFO.validate_python(values)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path} does not say what it holds: {error}") from None


def _load_weights(path: Path, model: nn.Module, tensors: dict[str, Tensor], owner: str) -> None:
    expected = {key: value.shape for key, value in model.state_dict().items()}
    differing = [
        f"{key}: {_shape(tensors.get(key))} in the file, {_shape(expected.get(key))} in the model"
        for key in sorted(tensors.keys() | expected.keys())
        if _shape(tensors.get(key)) != _shape(expected.get(key))
    ]
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise CheckpointError(
            f"{path} does not belong to this model: {owner}; {'; '.join(differing[:3])}{more}"
        )
    model.load_state_dict(tensors)


def _shape(found: Tensor | torch.Size | None) -> str:
    shape = found.shape if isinstance(found, Tensor) else found
    return "missing" if shape is None else str(tuple(shape))
