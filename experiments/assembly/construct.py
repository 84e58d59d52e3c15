"""From a config or a checkpoint to the network that it describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from models import MODELS, PointwiseSpec, build_model
from models.catalogue import HybridPlan, PointwisePlan
from qbackend import LayerSpec, QuantumLayer
from qbackend.seam.backend import QuantumBackend

from ..config.sections import CLASSICAL, Config
from ..data.splits import ImageData
from ..records.checkpoint import ModelInfo, load_model, load_model_info

Spec = LayerSpec | PointwiseSpec


def layer_spec(config: Config) -> LayerSpec | None:
    """A hybrid model's quantum layer with the changes of [layer], None for another model.

    Raises `SpecError` for a layer that no circuit corresponds to.
    """
    plan = MODELS[config.model.name]
    if not isinstance(plan, HybridPlan):
        return None
    changes = config.layer.model_dump(exclude_none=True)
    values = plan.spec.to_dict()
    if "n_wires" in changes:
        # The model's own observables are as long as its own layer is wide.
        del values["observables"]
    return LayerSpec.from_dict({**values, **changes})


def pointwise_spec(config: Config) -> PointwiseSpec | None:
    """The quantum pointwise convolutions with the changes of [layer], None for another model.

    Raises `SpecError` for a change that they cannot have.
    """
    plan = MODELS[config.model.name]
    if not isinstance(plan, PointwisePlan):
        return None
    changes = config.layer.model_dump(exclude_none=True)
    if "n_layers" in changes:
        changes["depth"] = changes.pop("n_layers")
    return PointwiseSpec.from_dict({**plan.spec.to_dict(), **changes})


def new_model(
    config: Config,
    data: ImageData,
    *,
    backend: str | QuantumBackend,
    shots: int | None = None,
) -> nn.Module:
    """The config's model for these images, with initial weights; raises as `build_model`."""
    return _build(
        config.model.name,
        config.model.arm,
        layer_spec(config) or pointwise_spec(config),
        n_classes=len(data.classes),
        in_channels=data.train.images.shape[1],
        backend=backend,
        shots=shots,
        gradient=config.train.gradient,
        seed=config.run.seed,
    )


def trained_model(
    path: Path, *, backend: str | QuantumBackend, shots: int | None = None, seed: int
) -> tuple[nn.Module, ModelInfo]:
    """A checkpoint's model on any backend, weights unchanged; raises `CheckpointError`."""
    info = load_model_info(path)
    model = _build(
        info.model,
        info.arm,
        _saved_spec(info),
        n_classes=info.n_classes,
        in_channels=info.in_channels,
        backend=backend,
        shots=shots,
        seed=seed,
    )
    load_model(path, model)
    return model, info


def model_info(config: Config, data: ImageData, epoch: int) -> ModelInfo:
    """What the checkpoint of the config's model says after `epoch`."""
    spec = layer_spec(config) or pointwise_spec(config)
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


def _saved_spec(info: ModelInfo) -> Spec | None:
    if info.spec is None:
        return None
    pointwise = isinstance(MODELS.get(info.model), PointwisePlan)
    return (PointwiseSpec if pointwise else LayerSpec).from_dict(info.spec)


def _build(name: str, arm: str, spec: Spec | None, **options: Any) -> nn.Module:
    return build_model(name, arm="quantum" if arm == CLASSICAL else arm, spec=spec, **options)
