"""A circuit of the user's own in the published networks."""

from __future__ import annotations

import math

import pytest
import torch

from models import MODELS, build_model, count_parameters, find_plan
from models.hybrid import ARMS, HybridPlan
from models.pointwise_plans import PointwisePlan
from qbackend import CircuitLayer, QuantumLayer
from qbackend.errors import OptionError, SpecError
from tests.support.own_circuit import circuit

LAYER = CircuitLayer(circuit(), features="x", weights="w", observables=["ZZI", "IIZ"])
HYBRIDS = [name for name, plan in MODELS.items() if isinstance(plan, HybridPlan)]
POINTWISE = [name for name, plan in MODELS.items() if isinstance(plan, PointwisePlan)]


@pytest.mark.parametrize("name", HYBRIDS)
@pytest.mark.parametrize("arm", ARMS)
def test_every_hybrid_network_takes_it_in_every_arm(name: str, arm: str) -> None:
    model = build_model(name, arm=arm, spec=LAYER, backend="native", seed=3)
    images = torch.randn(4, find_plan(name).in_channels, 16, 16)
    logits = model(images)
    assert logits.shape == (4, find_plan(name).n_classes)
    logits.square().sum().backward()
    quantum = arm.startswith("quantum")
    assert count_parameters(model)[1] == (LAYER.n_weights if quantum else 0)
    width = LAYER.n_features if arm == "none" else LAYER.n_outputs
    assert model.head[0].in_features == width
    front = next(model.front.parameters())
    assert front.grad is not None
    assert front.grad.abs().max() > 0


def test_its_features_are_angles() -> None:
    model = build_model("hybrid-digits", spec=LAYER, backend="native", seed=3).eval()
    with torch.no_grad():
        for parameter in model.front.parameters():
            parameter.mul_(4)
        features = model.front(torch.randn(256, 1, 8, 8))
    assert features.shape == (256, LAYER.n_features)
    assert features.abs().max() <= math.pi
    # A softmax would be neither negative nor larger than 1.
    assert features.min() < -1
    assert features.max() > 1


def test_its_weights_begin_as_the_layers_own() -> None:
    model = build_model("hybrid-digits", spec=LAYER, backend="native", seed=5)
    alone = QuantumLayer(LAYER, backend="native", seed=5)
    torch.testing.assert_close(model.bridge.weight, alone.weight, rtol=0, atol=0)


def test_a_circuit_without_weights_trains_what_is_around_it() -> None:
    bare = CircuitLayer(circuit(), features=["x", "w"], outputs="probabilities")
    model = build_model("hybrid-digits", spec=bare, backend="native", seed=3)
    model(torch.randn(4, 1, 8, 8)).square().sum().backward()
    assert count_parameters(model)[1] == 0
    assert model.head[0].in_features == 8
    assert next(model.front.parameters()).grad.abs().max() > 0


@pytest.mark.parametrize("name", HYBRIDS)
def test_a_plan_is_changed_by_its_description(name: str) -> None:
    plan = find_plan(name).changed(LAYER.to_dict())
    assert plan.bottleneck == LAYER
    assert find_plan(name).with_spec(LAYER.to_dict()) == plan


@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise_convolutions_say_why_they_take_none(name: str) -> None:
    with pytest.raises(SpecError, match=r"layer\.circuit: quantum pointwise convolutions"):
        find_plan(name).changed(LAYER.to_dict())
    with pytest.raises(OptionError, match="takes a PointwiseSpec, not a CircuitLayer"):
        build_model(name, spec=LAYER)
