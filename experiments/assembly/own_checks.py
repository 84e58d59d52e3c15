"""The user's own network, loss and metrics, tried on a few inputs before hours are spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import isclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from qbackend import QuantumLayer
from qbackend.errors import OptionError, QhcError

from ..config.own_code import importing_from
from ..config.own_objects import own_callable
from ..config.sections import Config
from ..data.batches import BatchSource
from ..data.splits import ImageData
from .construct import quantum_layers

N_TRIED = 4
"""Inputs: more than one, for a BatchNorm."""

Measure = Callable[[Tensor, Tensor], Tensor]
"""From logits (B, classes) and labels (B,) to a number."""


def own_loss(config: Config) -> Measure | None:
    """The loss that the recipe names by reference, None where it names one of qhc's."""
    return _measure(config, "train.loss") if ":" in config.train.loss else None


def own_metrics(config: Config) -> dict[str, Measure]:
    """The recipe's own metrics by the names of their functions."""
    names = [each.rpartition(":")[2] for each in config.train.metrics or ()]
    return {name: _measure(config, f"train.metrics.{place}") for place, name in enumerate(names)}


def check_own(model: nn.Module, config: Config, data: ImageData) -> None:
    """Raise `OptionError` for what of the user's own would fail in the training.

    That is a network that does not take the inputs or has not one logit for each class, one whose
    quantum layers torch does not know of, a loss without a gradient, a metric that is no number.
    """
    metrics = own_metrics(config)
    if metrics and config.fabric.devices != 1:
        raise OptionError(
            "train.metrics are computed in one process; leave fabric.devices at 1, or them out"
        )
    if config.model.factory is not None:
        _check_network(model, config, data)
    loss = own_loss(config)
    logits = torch.randn(N_TRIED, len(data.classes), generator=torch.Generator().manual_seed(0))
    labels = data.train.labels[:N_TRIED].cpu()
    logits = logits[: len(labels)].requires_grad_()
    if loss is not None:
        found = _number(config.train.loss, loss, logits, labels)
        if not (isinstance(found, Tensor) and found.requires_grad):
            raise OptionError(
                f"{config.train.loss} gives a number without a gradient: compute it in torch, from "
                "the logits, without .item(), .detach() or NumPy"
            )
    for name, measure in metrics.items():
        _number(name, measure, logits.detach(), labels)


def _measure(config: Config, key: str) -> Measure:
    """A function, or an object of a class that needs no arguments (`nn.Module`, torchmetrics)."""
    found: Any = own_callable(config, key)
    measure = found
    if isclass(found):
        try:
            with importing_from(config.code):
                measure = found()
        # Whatever the user's own lines raise.
        except Exception as error:
            raise OptionError(
                f"{key}: {found.__name__} could not be made without arguments: "
                f"{type(error).__name__}: {error}; name a function that makes it and calls it"
            ) from error
    if key == "train.loss" and isinstance(measure, nn.Module):
        _check_untrained(config.train.loss, measure)
    return measure


def _check_untrained(name: str, loss: nn.Module) -> None:
    """Raise `OptionError` for weights of a loss: the optimiser has the network's alone."""
    if found := [key for key, each in loss.named_parameters() if each.requires_grad]:
        raise OptionError(
            f"train.loss: {name} has parameters of its own ({', '.join(found)}), and only those of "
            "the network are trained: they would stay as they are. Make them part of the network, "
            "or fix them: .requires_grad_(False)"
        )


def _number(name: str, measure: Measure, logits: Tensor, labels: Tensor) -> Tensor | float:
    try:
        found = measure(logits, labels)
        size = found.numel() if isinstance(found, Tensor) else 1
        float(found.detach() if isinstance(found, Tensor) else found)
    except QhcError:
        raise
    # Whatever the user's own lines raise.
    except Exception as error:
        raise OptionError(
            f"{name} fails on logits {tuple(logits.shape)} and labels {tuple(labels.shape)}: "
            f"{type(error).__name__}: {error}; it takes both and returns one number, the mean "
            "over the batch"
        ) from error
    if size != 1:
        raise OptionError(f"{name} returns {size} numbers; it must return one, their mean")
    return found


@torch.no_grad()
def _check_network(model: nn.Module, config: Config, data: ImageData) -> None:
    name, was_training = config.model.name, model.training
    device = next((each.device for each in model.parameters()), torch.device("cpu"))
    some = data.train.select(torch.arange(min(N_TRIED, len(data.train))))
    source = BatchSource(some, N_TRIED, device=device, mean=data.mean, std=data.std)
    inputs, _ = next(iter(source.epoch()))
    try:
        with _called() as called:
            logits = model.eval()(inputs)
    except QhcError:
        raise
    # Whatever the user's own lines raise.
    except Exception as error:
        raise OptionError(
            f"the network of {name} fails on inputs of shape {tuple(inputs.shape)}: "
            f"{type(error).__name__}: {error}; what it is given of that is `shape`, that of one"
        ) from error
    finally:
        model.train(was_training)
    wanted = (len(inputs), len(data.classes))
    if not isinstance(logits, Tensor) or logits.shape != wanted:
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise OptionError(
            f"the network of {name} answers {tuple(inputs.shape)} with {given}; wanted are logits "
            f"{wanted}, one for each of {len(data.classes)} classes (`n_classes`)"
        )
    known = set(quantum_layers(model))
    if strays := [layer for layer in called if layer not in known]:
        raise OptionError(
            f"the network of {name} calls a quantum layer ({strays[0]}) that torch does not know "
            "of, and would neither train nor save it: make it an attribute of the module, or keep "
            "several in an nn.ModuleList"
        )
    if not any(each.requires_grad for each in model.parameters()):
        raise OptionError(f"the network of {name} has no parameter to be trained")


@contextmanager
def _called() -> Iterator[list[QuantumLayer]]:
    """Every quantum layer that is called meanwhile."""
    found: list[QuantumLayer] = []

    def keep(module: nn.Module, _: object) -> None:
        if isinstance(module, QuantumLayer) and module not in found:
            found.append(module)

    handle = register_module_forward_pre_hook(keep)
    try:
        yield found
    finally:
        handle.remove()


def measured(metrics: Mapping[str, Measure], logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Each metric of all answers; raises `OptionError` for one that is not finite."""
    found = {}
    for name, measure in metrics.items():
        try:
            with torch.no_grad():
                value = float(measure(logits.float(), labels))
        except QhcError:
            raise
        # Whatever the user's own lines raise.
        except Exception as error:
            raise OptionError(
                f"the metric {name} fails on logits {tuple(logits.shape)} and labels "
                f"{tuple(labels.shape)}: {type(error).__name__}: {error}"
            ) from error
        if value != value or value in (float("inf"), float("-inf")):
            raise OptionError(f"the metric {name} is {value:g}; it must be a finite number")
        found[name] = value
    return found
