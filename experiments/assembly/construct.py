"""From a config or a checkpoint to the network that it describes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from models import FactoryPlan, ModelPlan, build_model, find_plan
from qbackend import QuantumLayer
from qbackend.errors import SpecError
from qbackend.layers.definitions import layer_of
from qbackend.layers.program import Layer
from qbackend.seam.backend import QuantumBackend

from ..config.model import CLASSICAL, ModelSection
from ..config.own_code import importing_from
from ..config.own_objects import own_model
from ..config.recipe import configure
from ..config.sections import Config
from ..data.splits import ImageData
from ..records.checkpoint import ModelInfo, load_model, load_model_info


def model_plan(config: Config) -> ModelPlan:
    """The config's network with the changes of [model] and [layer].

    Raises `SpecError` for a layer that it cannot have.
    """
    changes = config.layer.model_dump(exclude_none=True)
    if config.model.factory is not None:
        if changes and not {"circuit", "n_wires"} & set(changes):
            raise SpecError(
                f"layer.{', layer.'.join(changes)}: the layer of a network of your own needs "
                "n_wires too: --set layer.n_wires=4"
            )
        return _own_plan(config, layer_of(changes) if changes else None)
    plan = find_plan(config.model.name).with_network(config.model.network)
    return plan.changed(changes)


def _own_plan(config: Config, layer: Layer | None) -> FactoryPlan:
    """A network of the user's own, whose file is executed when it is built."""
    model = config.model
    return FactoryPlan(
        0,
        0,
        name=model.factory or model.name,
        find=partial(own_model, config),
        arguments=model.arguments or {},
        layer=layer,
    )


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
    return _built(info, config, backend=backend, shots=shots, gradient=config.train.gradient)


def trained_model(
    path: Path, *, backend: str | QuantumBackend, shots: int | None = None, seed: int
) -> tuple[nn.Module, ModelInfo]:
    """A checkpoint's model on any backend, weights unchanged; raises `CheckpointError`.

    A network of the user's own is made by the file that it was trained with, or not at all.
    """
    info = load_model_info(path)
    own = info.config.get("model", {}).get("factory")
    config = None if own is None else configure(info.config, [], f"checkpoint {path}", path.parent)
    model = _built(replace(info, seed=seed), config, backend=backend, shots=shots)
    load_model(path, model)
    return model, info


def model_info(config: Config, data: ImageData, epoch: int) -> ModelInfo:
    """What the checkpoint of the config's model says after `epoch`."""
    spec, shape = model_plan(config).spec, tuple(data.train.images.shape[1:])
    is_own = config.model.factory is not None or config.data.factory is not None
    return ModelInfo(
        model=config.model.name,
        arm=config.model.arm,
        spec=spec.to_dict() if spec else None,
        n_classes=len(data.classes),
        in_channels=shape[0],
        classes=tuple(data.classes),
        mean=tuple(data.mean),
        std=tuple(data.std),
        recipe=config.recipe,
        seed=config.run.seed,
        epoch=epoch,
        config=_kept(config),
        size=(shape[1], shape[2]) if len(shape) == 3 else None,
        shape=shape if is_own else None,
    )


def _kept(config: Config) -> dict[str, Any]:
    """What a checkpoint has of the recipe: equal bytes for equal runs, wherever their code lies."""
    values = config.to_dict()
    values.get("code", {}).pop("folders", None)
    return values


def quantum_layers(model: nn.Module) -> list[QuantumLayer]:
    """The model's quantum layers, in the order of registration."""
    return [module for module in model.modules() if isinstance(module, QuantumLayer)]


def recorded_layer(config: Config, model: nn.Module) -> dict[str, Any] | None:
    """What a run's record says of its quantum layers, those of the user's own in a list."""
    if config.model.factory is None:
        spec = model_plan(config).layers(config.model.arm)
        return None if spec is None else spec.to_dict()
    found = [layer.spec.to_dict() for layer in quantum_layers(model)]
    return {"layers": found} if found else None


def _built(info: ModelInfo, own: Config | None, **options: Any) -> nn.Module:
    """The model of a checkpoint's record, with initial weights; `own`: of the user's own code."""
    if own is not None and own.model.factory is not None:
        plan = model_plan(own)
        assert isinstance(plan, FactoryPlan)
        plan = replace(plan, n_classes=info.n_classes, shape=info.shape or ())
        with importing_from(own.code):
            return plan.build(info.arm, info.seed, **{"gradient": "auto", **options})
    return build_model(
        info.model,
        arm="quantum" if info.arm == CLASSICAL else info.arm,
        spec=find_plan(info.model).with_spec(info.spec).spec,
        n_classes=info.n_classes,
        in_channels=info.in_channels,
        network=ModelSection.model_validate(info.config["model"]).network,
        seed=info.seed,
        **options,
    )
