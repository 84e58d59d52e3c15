"""The models: published sizes, pairing of the arms, and what a model may depend on."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from models import (
    ARMS,
    MODELS,
    ClassicalCNN,
    HybridCNN,
    arms_of,
    build_model,
    count_parameters,
    find_plan,
    to_backend,
)
from models.blocks import AveragePool, ConvStack
from models.hybrid import HybridPlan
from models.pointwise_plans import PointwisePlan
from qbackend import LayerSpec, QuantumLayer
from qbackend.errors import OptionError, UnknownNameError

IMAGES = {
    "mnist": (1, 28, 28),
    "mnist-angle": (1, 28, 28),
    "cifar100": (3, 32, 32),
    "stl10": (3, 96, 96),
    "digits": (1, 8, 8),
}
POINTWISE = [name for name, plan in MODELS.items() if isinstance(plan, PointwisePlan)]
HYBRIDS = [name for name, plan in MODELS.items() if isinstance(plan, HybridPlan)]


def images_for(name: str, n: int = 4, seed: int = 0) -> torch.Tensor:
    shape = IMAGES[name.split("-", 1)[1]]
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("name", "total", "quantum"),
    [
        ("hybrid-mnist", 142_530, 8),
        ("hybrid-mnist-angle", 72_752, 4),
        ("hybrid-cifar100", 1_164_796, 8),
        ("hybrid-stl10", 4_603_298, 8),
        ("classical-mnist", 151_754, 0),
        ("classical-cifar100", 1_710_436, 0),
        ("classical-stl10", 1_687_306, 0),
    ],
)
def test_published_parameter_counts(name: str, total: int, quantum: int) -> None:
    assert count_parameters(build_model(name)) == (total, quantum)


def test_digits_models_are_small_and_alike_in_size() -> None:
    hybrid, _ = count_parameters(build_model("hybrid-digits"))
    classical, _ = count_parameters(build_model("classical-digits"))
    assert hybrid < classical < 20_000


ARMS_OF_SMALL_MODELS = [
    (name, arm)
    for name in ("hybrid-digits", "hybrid-mnist-angle", "classical-digits", "qpcnn-s", "qpcnn-m")
    for arm in arms_of(name) or ("quantum",)
]


@pytest.mark.parametrize(("name", "arm"), ARMS_OF_SMALL_MODELS)
def test_a_plan_tells_the_quantum_layers_of_every_arm(name: str, arm: str) -> None:
    found = [m.spec for m in build_model(name, arm=arm).modules() if isinstance(m, QuantumLayer)]
    told = find_plan(name).layers(arm)
    assert (told is None) == (not found)
    assert {spec.ansatz for spec in found} == (set() if told is None else {told.ansatz})


def gradients(name: str, arm: str) -> dict[str, torch.Tensor]:
    """Of every parameter, in float64, for a batch of random images."""
    model = build_model(name, arm=arm, backend="native", seed=0).double()
    held = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    for parameter in held:
        parameter.requires_grad_()
    shape = IMAGES.get(name.split("-", 1)[1], (3, 32, 32))
    images = torch.randn(16, *shape, generator=torch.manual_seed(0), dtype=torch.float64)
    functional.cross_entropy(model(images), torch.arange(16) % 10).backward()
    for parameter in held:
        parameter.requires_grad_(False)
    return dict(model.named_parameters())


@pytest.mark.parametrize(("name", "arm"), ARMS_OF_SMALL_MODELS)
def test_rounding_trains_nothing(name: str, arm: str) -> None:
    """What is held still is what moves by rounding alone, and Adam would move by full steps."""
    parameters = gradients(name, arm)
    largest = max(parameter.grad.abs().max() for parameter in parameters.values())
    for key, parameter in parameters.items():
        # Sums of some 1e4 terms in float64.
        is_rounding = parameter.grad.abs().max() < 1e-12 * largest
        is_frozen = arm == "quantum-frozen" and ("bridge" in key or "kernels" in key)
        assert parameter.requires_grad != (is_rounding or is_frozen), key


def test_frozen_weights_still_count() -> None:
    assert count_parameters(build_model("hybrid-digits", arm="quantum-frozen")) == (
        count_parameters(build_model("hybrid-digits"))
    )


@pytest.mark.parametrize("name", [name for name in MODELS if name not in POINTWISE])
def test_images_become_logits(name: str) -> None:
    model = build_model(name)
    assert isinstance(model, HybridCNN if name in HYBRIDS else ClassicalCNN)
    logits = model(images_for(name))
    assert logits.shape == (4, MODELS[name].n_classes)
    logits.sum().backward()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None for parameter in trained)


@pytest.mark.parametrize("name", HYBRIDS)
def test_front_bridge_head_are_the_model(name: str) -> None:
    model = build_model(name).eval()
    images = images_for(name)
    features = model.front(images)
    outputs = model.bridge(features)
    spec = MODELS[name].spec
    assert features.shape == (4, spec.n_features)
    assert outputs.shape == (4, spec.n_outputs)
    assert torch.equal(model.head(outputs), model(images))


def test_amplitude_features_are_a_distribution() -> None:
    features = build_model("hybrid-mnist").front(images_for("hybrid-mnist"))
    assert (features >= 0).all()
    torch.testing.assert_close(features.sum(dim=1), torch.ones(4))


def test_angle_features_are_pi_times_tanh() -> None:
    front = build_model("hybrid-mnist-angle", arm="linear").front
    images = images_for("hybrid-mnist-angle")
    before_tanh = front[1][:-1](front[0](images))
    torch.testing.assert_close(front(images), math.pi * before_tanh.tanh(), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["hybrid-mnist", "hybrid-mnist-angle"])
def test_one_image_does_not_depend_on_the_rest(name: str) -> None:
    """A batch of very different neighbours must not move an image's logits (eval mode)."""
    model = build_model(name).double().eval()
    image = images_for(name, 1).double()
    loud, quiet = (scale * images_for(name, 3, seed=1).double() for scale in (1e3, 1e-3))
    expected = model(image)
    for others in (loud, quiet):
        torch.testing.assert_close(
            model(torch.cat([image, others]))[:1], expected, rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("n_wires", [5, 6])
def test_a_wider_layer_widens_reducer_and_head(n_wires: int) -> None:
    spec = LayerSpec(n_wires)
    model = build_model("hybrid-mnist", arm="linear", spec=spec)
    published, _ = count_parameters(build_model("hybrid-mnist", arm="linear"))
    more_features, more_outputs = 2**n_wires - 16, n_wires - 4
    expected = published + 257 * more_features + 128 * more_outputs
    expected += (2**n_wires + 1) * n_wires - 17 * 4
    assert count_parameters(model)[0] == expected
    assert model(images_for("hybrid-mnist")).shape == (4, 10)


def test_the_encoding_decides_how_features_end() -> None:
    front = build_model("hybrid-mnist", arm="linear", spec=LayerSpec(3, encoding="angle")).front
    features = front(100 * images_for("hybrid-mnist"))
    assert features.shape == (4, 3)
    assert features.min() < 0


def test_classes_and_channels_of_another_dataset() -> None:
    model = build_model("hybrid-cifar100", arm="linear", n_classes=7, in_channels=1)
    assert model(torch.randn(2, 1, 64, 64)).shape == (2, 7)


@pytest.mark.parametrize("arm", ARMS)
def test_arms_of_one_seed_are_paired(arm: str) -> None:
    torch.manual_seed(1)
    first = build_model("hybrid-digits", arm=arm, seed=3)
    torch.manual_seed(2)
    again = build_model("hybrid-digits", arm=arm, seed=3)
    quantum = build_model("hybrid-digits", seed=3)
    other = build_model("hybrid-digits", arm=arm, seed=4)
    parts = ["front"] if arm == "none" else ["front", "head"]
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
        if name.split(".")[0] in parts:
            assert torch.equal(value, quantum.state_dict()[name])
    for part in ("front", "head"):
        assert not torch.equal(
            nn.utils.parameters_to_vector(getattr(first, part).parameters()),
            nn.utils.parameters_to_vector(getattr(other, part).parameters()),
        )


def test_building_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    build_model("hybrid-digits", seed=0)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", ["hybrid-digits", "classical-digits", "qpcnn-s"])
def test_torchs_seed_decides_the_weights_where_none_is_given(name: str) -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(build_model(name, backend="native").parameters())

    assert torch.equal(drawn(5), drawn(5))
    assert not torch.equal(drawn(5), drawn(6))


def test_frozen_arm_starts_where_the_trained_one_does_and_stays() -> None:
    trained = build_model("hybrid-digits", seed=5).bridge
    frozen = build_model("hybrid-digits", arm="quantum-frozen", seed=5)
    assert torch.equal(trained.weight, frozen.bridge.weight)
    before = frozen.bridge.weight.clone()
    optimizer = torch.optim.SGD(
        [parameter for parameter in frozen.parameters() if parameter.requires_grad], lr=1.0
    )
    frozen(images_for("hybrid-digits")).square().sum().backward()
    optimizer.step()
    assert torch.equal(frozen.bridge.weight, before)
    assert next(frozen.front.parameters()).grad.abs().max() > 0


def test_quantum_weights_are_spread_over_the_circle() -> None:
    weights = torch.cat([build_model("hybrid-digits", seed=s).bridge.weight for s in range(50)])
    assert (weights >= 0).all()
    assert (weights < 2 * math.pi).all()
    # 400 uniform draws: standard error of the mean is 2 pi / sqrt(12 * 400).
    assert abs(weights.mean().item() - math.pi) < 5 * 2 * math.pi / math.sqrt(12 * 400)


@pytest.mark.parametrize("arm", ARMS)
def test_copies_and_state_dicts_carry_the_model(arm: str) -> None:
    model = build_model("hybrid-digits", arm=arm, seed=1).eval()
    images = images_for("hybrid-digits")
    restored = build_model("hybrid-digits", arm=arm, seed=2).eval()
    restored.load_state_dict(model.state_dict())
    for twin in (copy.deepcopy(model), restored):
        torch.testing.assert_close(twin(images), model(images), rtol=0, atol=0)
    # safetensors stores dense tensors only.
    assert all(value.is_contiguous() for value in model.state_dict().values())


def test_to_backend_moves_every_quantum_layer() -> None:
    model = build_model("hybrid-digits", backend="aer", seed=1).double().eval()
    images = images_for("hybrid-digits").double()
    on_aer, weights = model(images), model.bridge.weight.clone()
    assert to_backend(model, "native") is model
    assert isinstance(model.bridge, QuantumLayer)
    assert model.bridge.backend.name == "native"
    assert torch.equal(model.bridge.weight, weights)
    torch.testing.assert_close(model(images), on_aer, rtol=1e-10, atol=1e-10)


def test_to_backend_leaves_other_models_alone() -> None:
    model = build_model("classical-digits").eval()
    images = images_for("classical-digits")
    before = model(images)
    assert torch.equal(to_backend(model, "native")(images), before)


def test_convolutions_equal_the_table_read_literally() -> None:
    """Conv, BatchNorm, ReLU, max-pool in that order, in the usual memory layout."""
    torch.manual_seed(0)
    stack = ConvStack(3, (8, "MP", 12, "MP", 16), pooled=4).double()
    layers = iter(stack)
    conv_1, norm_1, *_ = next(layers), next(layers), next(layers), next(layers)
    conv_2, norm_2, *_ = next(layers), next(layers), next(layers), next(layers)
    conv_3, norm_3 = next(layers), next(layers)
    literal = nn.Sequential(
        *(conv_1, norm_1, nn.ReLU(), nn.MaxPool2d(2)),
        *(conv_2, norm_2, nn.ReLU(), nn.MaxPool2d(2)),
        *(conv_3, norm_3, nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()),
    )
    images = torch.randn(6, 3, 28, 28, dtype=torch.float64).round(decimals=1)
    cotangent = torch.randn(6, 256, dtype=torch.float64)
    results = []
    for network in (stack, literal):
        network.zero_grad()
        inputs = images.clone().requires_grad_()
        outputs = network(inputs)
        outputs.backward(cotangent)
        results.append([outputs, inputs.grad, *(p.grad.clone() for p in network.parameters())])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("height", "width", "size"), [(7, 7, 4), (12, 8, 4), (5, 9, 1), (2, 3, 4)])
def test_average_pool_is_adaptive(height: int, width: int, size: int) -> None:
    torch.manual_seed(0)
    images = torch.randn(3, 2, height, width, dtype=torch.float64)
    torch.testing.assert_close(
        AveragePool(size)(images),
        functional.adaptive_avg_pool2d(images, size),
        rtol=1e-14,
        atol=1e-14,
    )


def test_average_pool_after_inference_mode_can_be_trained() -> None:
    images = torch.randn(1, 1, 11, 13)
    with torch.inference_mode():
        AveragePool(4)(images)
    AveragePool(4)(images.requires_grad_()).sum().backward()
    assert images.grad is not None


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"name": "hybrid-mnits"}, UnknownNameError, "did you mean 'hybrid-mnist'"),
        ({"name": "hybrid-mnist", "arm": "liner"}, UnknownNameError, "did you mean 'linear'"),
        ({"name": "classical-mnist", "arm": "mlp"}, OptionError, "hybrid-mnist"),
        ({"name": "classical-mnist", "spec": LayerSpec(4)}, OptionError, "hybrid-mnist"),
        ({"name": "hybrid-mnist", "n_classes": 0}, OptionError, "n_classes must be a whole number"),
    ],
)
def test_mistakes_are_named(arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        build_model(**arguments)
