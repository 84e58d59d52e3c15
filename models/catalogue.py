"""The models by name, and how one is built.

The hybrid and the classical networks of arXiv 2509.13353 with their published sizes, one pair for
scikit-learn's 8x8 digits in the same style, and the networks with quantum pointwise convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from qbackend import LayerSpec
from qbackend.errors import UnknownNameError, suggest
from qbackend.layers.inputs import seed_or_drawn, whole_number
from qbackend.seam.backend import QuantumBackend

from .blocks import Layout
from .classical import ClassicalPlan
from .hybrid import HybridPlan
from .plan import ModelPlan, Spec
from .pointwise_plans import POINTWISE_MODELS

_HYBRID_MNIST = HybridPlan(1, 10, (16, "MP", 32, "MP"), reduced=256)
_DEEP: Layout = (64, "MP", 128, "MP", 256, "MP", 512)

MODELS: dict[str, ModelPlan] = {
    "hybrid-mnist": _HYBRID_MNIST,
    "hybrid-mnist-angle": replace(_HYBRID_MNIST, reduced=128, spec=LayerSpec(2, encoding="angle")),
    "hybrid-cifar100": HybridPlan(3, 100, (32, "MP", 64, "MP", 128), reduced=512),
    "hybrid-stl10": HybridPlan(3, 10, (32, "MP", 64, "MP", 128, "MP", 256), reduced=1024),
    "hybrid-digits": HybridPlan(1, 10, (8, "MP", 16), reduced=32),
    "classical-mnist": ClassicalPlan(1, 10, (32, "MP", 64, "MP"), pooled=4, hidden=128),
    "classical-cifar100": ClassicalPlan(3, 100, _DEEP, pooled=1, hidden=256),
    "classical-stl10": ClassicalPlan(3, 10, _DEEP, pooled=1, hidden=256, dropout=0.4),
    "classical-digits": ClassicalPlan(1, 10, (16, "MP", 32), pooled=2, hidden=64),
    **POINTWISE_MODELS,
}
"""Every network by its name. Another kind of network is a `ModelPlan` with an entry here."""


def find_plan(name: str) -> ModelPlan:
    """The plan of the model of that name; raises `UnknownNameError`."""
    try:
        return MODELS[name]
    except KeyError:
        raise UnknownNameError(f"unknown model '{name}': {suggest(name, MODELS)}") from None


def arms_of(name: str) -> tuple[str, ...]:
    """The arms that the model of that name has; raises `UnknownNameError`."""
    return find_plan(name).arms


def build_model(
    name: str,
    *,
    arm: str = "quantum",
    n_classes: int | None = None,
    in_channels: int | None = None,
    spec: Spec | None = None,
    network: Mapping[str, Any] | None = None,
    backend: str | QuantumBackend = "aer",
    shots: int | None = None,
    gradient: str = "auto",
    seed: int | None = None,
) -> nn.Module:
    """A new model; with a seed its initial weights are a function of the arguments alone.

    Front end and head are drawn from streams of their own, so that one seed gives every arm the
    same front end and (of equal width) the same head; of a network with pointwise convolutions,
    everything outside the exchanged ones. PyTorch's global generator is left alone then. Biases in
    front of a BatchNorm are not trained, see `norm_biases`.

    Args:
        name: one of `MODELS`.
        arm: one of `arms_of(name)`; a classical model has none to choose.
        n_classes: number of logits, if not the model's own.
        in_channels: of an image, if not the model's own.
        spec: the quantum layers, if not the model's own: a `LayerSpec` or a `CircuitLayer` of a
            hybrid model, a `PointwiseSpec` of a pointwise one.
        network: what is changed of the network around the quantum layers, by the keys of a
            recipe's [model]: channels, depth, pooling, pooled, reducer, head, dropout, activation.
        backend: where the quantum layer runs, or the name of it.
        shots: per circuit, where a named backend samples.
        gradient: how the quantum layer is differentiated, see `QuantumLayer`.
        seed: of all initial weights, and of sampling; None draws one from torch's generator, as
            `torch.manual_seed` has it.

    Raises:
        UnknownNameError: no such model or arm.
        OptionError: an arm or a spec for a classical model, a spec of the other kind, a pattern
            that names no pointwise convolution, fewer than one class or channel, or a key of
            `network` that the model has not.
    """
    plan = find_plan(name)
    plan.check(name, arm, spec)
    plan = plan.with_network(network or {})
    plan = replace(
        plan,
        n_classes=whole_number("n_classes", plan.n_classes if n_classes is None else n_classes),
        in_channels=whole_number(
            "in_channels", plan.in_channels if in_channels is None else in_channels
        ),
        spec=plan.spec if spec is None else spec,
    )
    seed = seed_or_drawn(seed)
    return plan.build(arm, seed, backend=backend, shots=shots, gradient=gradient)
