"""From a config or a checkpoint to the network that it describes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from models import ModelPlan, build_model, find_plan
from qbackend import QuantumLayer
from qbackend.layers.program import Layer
from qbackend.seam.backend import QuantumBackend

from ..config.model import CLASSICAL
from ..config.sections import Config
from ..data.splits import ImageData
from ..records.checkpoint import ModelInfo, load_model, load_model_info


def model_plan(config: Config) -> ModelPlan:
    """The config's network with the changes of [layer].

    Raises `SpecError` for a layer that it cannot have.
    """
    return find_plan(config.model.name).changed(config.layer.model_dump(exclude_none=True))


def layer_spec(config: Config) -> Layer | None:
    """The quantum layer between the two halves of the config's network; raises as `model_plan`."""
    return model_plan(config).bottleneck


def new_model(
    config: Config,
    data: ImageData,
    *,
    backend: str | QuantumBackend,
    shots: int | None = None,
) -> nn.Module:
    """The config's model for these images, with initial weights; raises as `build_model`."""
    info = model_info(config, data, epoch=0)
    return _built(info, backend=backend, shots=shots, gradient=config.train.gradient)


def trained_model(
    path: Path, *, backend: str | QuantumBackend, shots: int | None = None, seed: int
) -> tuple[nn.Module, ModelInfo]:
    """A checkpoint's model on any backend, weights unchanged; raises `CheckpointError`."""
    info = load_model_info(path)
    model = _built(replace(info, seed=seed), backend=backend, shots=shots)
    load_model(path, model)
    return model, info


def model_info(config: Config, data: ImageData, epoch: int) -> ModelInfo:
    """What the checkpoint of the config's model says after `epoch`."""
    spec = model_plan(config).spec
    return ModelInfo(
        model=config.model.name,
        arm=config.model.arm,
        spec=spec.to_dict() if spec else None,
        n_classes=len(data.classes),
        in_channels=data.train.images.shape[1],
        classes=tuple(data.classes),
        mean=tuple(data.mean),
        std=tuple(data.std),
        recipe=config.recipe,
        seed=config.run.seed,
        epoch=epoch,
        config=config.to_dict(),
        size=(data.train.images.shape[2], data.train.images.shape[3]),
    )


def quantum_layers(model: nn.Module) -> list[QuantumLayer]:
    """The model's quantum layers, in the order of registration."""
    return [module for module in model.modules() if isinstance(module, QuantumLayer)]


def _built(info: ModelInfo, **options: Any) -> nn.Module:
    """The model of a checkpoint's record, with initial weights."""
    return build_model(
        info.model,
        arm="quantum" if info.arm == CLASSICAL else info.arm,
        spec=find_plan(info.model).with_spec(info.spec).spec,
        n_classes=info.n_classes,
        in_channels=info.in_channels,
        seed=info.seed,
        **options,
    )
