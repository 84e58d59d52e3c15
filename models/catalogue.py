"""The models by name, and how one is built.

The hybrid and the classical networks of arXiv 2509.13353 with their published sizes, one pair for
scikit-learn's 8x8 digits in the same style, the controls that stand in for the quantum layer, and
the networks with quantum pointwise convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from qbackend import LayerSpec, QuantumLayer
from qbackend.errors import OptionError, UnknownNameError, suggest
from qbackend.layers.inputs import seed_or_drawn, whole_number
from qbackend.seam.backend import QuantumBackend

from .blocks import ConvStack, Layout, classifier, reducer
from .cnn import ClassicalCNN, HybridCNN
from .norm_biases import hold_norm_biases
from .pointwise_plans import POINTWISE_ARMS, POINTWISE_MODELS, PointwisePlan, PointwiseSpec
from .pointwise_plans import build as build_pointwise
from .streams import weights_from

ARMS = ("quantum", "quantum-frozen", "linear", "mlp", "none")
"""What can stand between front end and head: the circuit; the circuit with random weights that
are not trained; Linear F to M; Linear F to M and tanh; nothing, so that the head gets all of the F
features, which with amplitude encoding are a softmax."""

PUBLISHED_LAYER = LayerSpec(n_wires=4)
"""16 amplitudes, 2 basic-entangler layers, <Z> of each wire."""


@dataclass(frozen=True)
class HybridPlan:
    """A hybrid network: convolutions, reducer to F features, bottleneck, head.

    Attributes:
        in_channels: of an image.
        n_classes: number of logits.
        layout: the convolutions.
        reduced: width of the reducer's hidden layer.
        spec: the quantum layer.
        pooled: side of the square that each channel is averaged to.
        hidden: width of the head's hidden layer.
        dropout: of the head.
    """

    in_channels: int
    n_classes: int
    layout: Layout
    reduced: int
    spec: LayerSpec = PUBLISHED_LAYER
    pooled: int = 4
    hidden: int = 128
    dropout: float = 0.3


@dataclass(frozen=True)
class ClassicalPlan:
    """A classical network: convolutions and head; attributes as in `HybridPlan`."""

    in_channels: int
    n_classes: int
    layout: Layout
    pooled: int
    hidden: int
    dropout: float = 0.3


_HYBRID_MNIST = HybridPlan(1, 10, (16, "MP", 32, "MP"), reduced=256)
_DEEP: Layout = (64, "MP", 128, "MP", 256, "MP", 512)

MODELS: dict[str, HybridPlan | ClassicalPlan | PointwisePlan] = {
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


def arms_of(name: str) -> tuple[str, ...]:
    """The arms that the model of that name has; raises `UnknownNameError`."""
    if name not in MODELS:
        raise UnknownNameError(f"unknown model '{name}': {suggest(name, MODELS)}")
    match MODELS[name]:
        case HybridPlan():
            return ARMS
        case PointwisePlan():
            return POINTWISE_ARMS
        case _:
            return ()


def build_model(
    name: str,
    *,
    arm: str = "quantum",
    n_classes: int | None = None,
    in_channels: int | None = None,
    spec: LayerSpec | PointwiseSpec | None = None,
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
        spec: the quantum layer, if not the model's own, a `LayerSpec` of a hybrid model (the
            reducer's and the head's width follow), a `PointwiseSpec` of a pointwise one.
        backend: where the quantum layer runs, or the name of it.
        shots: per circuit, where a named backend samples.
        gradient: how the quantum layer is differentiated, see `QuantumLayer`.
        seed: of all initial weights, and of sampling; None draws one from torch's generator, as
            `torch.manual_seed` has it.

    Raises:
        UnknownNameError: no such model or arm.
        OptionError: an arm or a spec for a classical model, a spec of the other kind, a pattern
            that names no pointwise convolution, or fewer than one class or channel.
    """
    arms = arms_of(name) or ARMS
    if arm not in arms:
        raise UnknownNameError(f"unknown arm '{arm}' of '{name}': {suggest(arm, arms)}")
    seed = seed_or_drawn(seed)
    plan = MODELS[name]
    plan = replace(
        plan,
        n_classes=whole_number("n_classes", plan.n_classes if n_classes is None else n_classes),
        in_channels=whole_number(
            "in_channels", plan.in_channels if in_channels is None else in_channels
        ),
    )
    if isinstance(plan, ClassicalPlan):
        if arm != "quantum" or spec is not None:
            raise OptionError(
                f"'{name}' has no quantum layer for an arm or a spec to change; "
                f"use 'hybrid-{name.removeprefix('classical-')}'"
            )
        return _classical(plan, seed)
    if spec is not None and type(spec) is not type(plan.spec):
        raise OptionError(
            f"'{name}' takes a {type(plan.spec).__name__}, not a {type(spec).__name__}"
        )
    if isinstance(plan, PointwisePlan):
        if isinstance(spec, PointwiseSpec):
            plan = replace(plan, spec=spec)
        return build_pointwise(plan, arm, backend, shots=shots, gradient=gradient, seed=seed)
    if isinstance(spec, LayerSpec):
        plan = replace(plan, spec=spec)
    if arm.startswith("quantum"):
        layer = QuantumLayer(plan.spec, backend, shots=shots, seed=seed, gradient=gradient)
        # Frozen, the circuit keeps the weights that the trained arm of the same seed starts from.
        layer.requires_grad_(arm == "quantum")
        return _hybrid(plan, layer, plan.spec.n_outputs, seed)
    bridge, n_outputs = _control(plan.spec, arm, seed)
    return _hybrid(plan, bridge, n_outputs, seed)


def _hybrid(plan: HybridPlan, bridge: nn.Module, n_outputs: int, seed: int) -> HybridCNN:
    with weights_from(seed, "front"):
        convolutions = ConvStack(plan.in_channels, plan.layout, plan.pooled)
        reduce = reducer(
            convolutions.n_features, plan.reduced, plan.spec.n_features, plan.spec.encoding
        )
    with weights_from(seed, "head"):
        head = classifier(n_outputs, plan.hidden, plan.n_classes, plan.dropout)
    return hold_norm_biases(HybridCNN(nn.Sequential(convolutions, reduce), bridge, head))


def _classical(plan: ClassicalPlan, seed: int) -> ClassicalCNN:
    with weights_from(seed, "front"):
        front = ConvStack(plan.in_channels, plan.layout, plan.pooled)
    with weights_from(seed, "head"):
        head = classifier(front.n_features, plan.hidden, plan.n_classes, plan.dropout)
    return hold_norm_biases(ClassicalCNN(front, head))


def _control(spec: LayerSpec, arm: str, seed: int) -> tuple[nn.Module, int]:
    """What stands in for the quantum layer, and the width of its output."""
    if arm == "none":
        return nn.Identity(), spec.n_features
    with weights_from(seed, "bridge"):
        linear = nn.Linear(spec.n_features, spec.n_outputs)
    return (nn.Sequential(linear, nn.Tanh()) if arm == "mlp" else linear), spec.n_outputs
