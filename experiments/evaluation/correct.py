"""What goes through a model's quantum layers, and affine maps that correct a noisy one's outputs.

Letters: N rows, F features, M outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from qbackend.devices.affine_map import AffineMap, fit_affine_map
from qbackend.errors import InputError
from qbackend.layers.inputs import Array

from ..assembly.construct import quantum_layers
from ..data.batches import Batches
from .evaluate import Predictions, predict


@dataclass(frozen=True)
class Observed:
    """What went through one quantum layer: features (N, F) in, outputs (N, M) out."""

    features: Tensor
    outputs: Tensor


def observe(model: nn.Module, batches: Batches) -> list[Observed]:
    """What goes through each of the model's quantum layers for these images."""
    return observed_answers(model, batches, label_smoothing=0.0)[1]


def observed_answers(
    model: nn.Module, batches: Batches, label_smoothing: float
) -> tuple[Predictions, list[Observed]]:
    """What the model answers to these images, and what goes through its quantum layers."""
    layers = quantum_layers(model)
    seen: list[list[tuple[Tensor, Tensor]]] = [[] for _ in layers]
    with ExitStack() as hooks:
        for layer, kept in zip(layers, seen, strict=True):
            hooks.enter_context(layer.register_forward_hook(partial(_keep, kept), with_kwargs=True))
        predictions = predict(model, batches, label_smoothing)
    if not all(seen):
        raise InputError(
            f"none of the images comes to quantum layer {seen.index([]) + 1} of {len(layers)}, "
            "which cannot be calibrated: take more of them (--calibrate), or leave --calibrate out"
        )
    found = [Observed(*(torch.cat(parts) for parts in zip(*kept, strict=True))) for kept in seen]
    return predictions, found


def answers_from(
    model: nn.Module, values: Array, batches: Batches, label_smoothing: float
) -> Predictions:
    """What a model answers whose one quantum layer gives these values (N, M), in order."""
    (layer,) = quantum_layers(model)
    given = partial(_given, iter(torch.from_numpy(values)))
    handle = layer.register_forward_hook(given)
    try:
        return predict(model, batches, label_smoothing)
    finally:
        handle.remove()


@torch.no_grad()
def fit_maps(model: nn.Module, observed: Sequence[Observed]) -> list[AffineMap]:
    """A map per quantum layer, from what it answers now to what it answered then.

    Raises:
        InputError: fewer than two rows.
    """
    return [
        fit_affine_map(_numbers(layer(seen.features)), _numbers(seen.outputs))
        for layer, seen in zip(quantum_layers(model), observed, strict=True)
    ]


@contextmanager
def corrected(model: nn.Module, maps: Sequence[AffineMap]) -> Iterator[None]:
    """Correct the outputs of each quantum layer by its map while it lasts."""
    with ExitStack() as hooks:
        for layer, found in zip(quantum_layers(model), maps, strict=True):
            hooks.enter_context(layer.register_forward_hook(partial(_correct, found)))
        yield


def _keep(
    kept: list[tuple[Tensor, Tensor]],
    _: nn.Module,
    given: tuple[Tensor, ...],
    named: dict[str, Tensor],
    outputs: Tensor,
) -> None:
    (features,) = (*given, *named.values())
    kept.append((_as_rows(features), _as_rows(outputs)))


def _as_rows(values: Tensor) -> Tensor:
    return values.reshape(-1, values.shape[-1])


def _given(
    values: Iterator[Tensor], _: nn.Module, __: tuple[Tensor, ...], outputs: Tensor
) -> Tensor:
    """The next of the values in place of the layer's outputs."""
    n_rows = outputs.numel() // outputs.shape[-1]
    rows = torch.stack([next(values) for _ in range(n_rows)])
    return rows.reshape(outputs.shape).to(outputs)


def _correct(found: AffineMap, _: nn.Module, __: tuple[Tensor, ...], outputs: Tensor) -> Tensor:
    return torch.from_numpy(found.apply(_numbers(outputs))).to(outputs)


def _numbers(values: Tensor) -> Array:
    return values.detach().double().cpu().numpy()
