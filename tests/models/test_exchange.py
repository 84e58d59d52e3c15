"""Exchanging pointwise convolutions: shapes, counts, controls, pairing, and the way back."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models import (
    POINTWISE_ARMS,
    PointwiseSpec,
    QuantumPointwiseConv2d,
    arms_of,
    build_model,
    count_parameters,
    exchange_pointwise,
    quantize_pointwise,
    restore_pointwise,
    to_backend,
)
from models.pointwise_controls import (
    LowRankPointwise,
    LowRankQuadraticPointwise,
    QuadraticPointwise,
    grouped_pointwise,
)
from models.pointwise_plans import POINTWISE_MODELS
from qbackend.errors import OptionError, SpecError, UnknownNameError
from qbackend.gradients.torch_circuit import unit_vectors

QUANTUM = ("quantum", "quantum-frozen", "unentangled")


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def quantum_layers(model: nn.Module) -> dict[str, QuantumPointwiseConv2d]:
    return {n: m for n, m in model.named_modules() if isinstance(m, QuantumPointwiseConv2d)}


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 5, 3),
        nn.Conv2d(5, 7, 1, stride=2),
        nn.Conv2d(7, 7, 1, groups=7),
        nn.Conv2d(7, 4, 1, bias=False),
    )


@pytest.mark.parametrize("arm", POINTWISE_ARMS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8)])
def test_images_become_logits_and_all_that_is_trained_has_a_gradient(
    arm: str, shape: tuple[int, int, int]
) -> None:
    model = build_model("qpcnn-s", arm=arm, in_channels=shape[0], backend="native")
    logits = model(images(2, *shape))
    assert logits.shape == (2, 10)
    logits.square().sum().backward()
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert bool(frozen) == (arm == "quantum-frozen")
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_the_counts_of_weights_are_those_of_the_definition(depth: int) -> None:
    # 16 to 32 channels: 8 kernels of 4 wires; 32 to 64: 13 of 5 wires; 3 weights a wire and layer.
    spec = PointwiseSpec(depth)
    wanted = 8 * 3 * 4 * depth + 13 * 3 * 5 * depth
    assert spec.n_weights(16, 32) + spec.n_weights(32, 64) == wanted
    of_conv, none = count_parameters(build_model("qpcnn-s", arm="conv", in_channels=1))
    assert none == 0
    for arm in QUANTUM:
        model = build_model("qpcnn-s", arm=arm, spec=spec, in_channels=1, backend="native")
        assert count_parameters(model) == (of_conv - 16 * 32 - 32 * 64 + wanted, wanted)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("shape", [(16, 32), (32, 64), (64, 128)])
def test_controls_of_few_weights_have_about_as_many_as_the_circuits(
    depth: int, shape: tuple[int, int]
) -> None:
    wanted = PointwiseSpec(depth).n_weights(*shape)
    rank = max(1, round(wanted / sum(shape)))
    for control in (LowRankPointwise(*shape, rank), LowRankQuadraticPointwise(*shape, rank)):
        # The rank is a whole number: half of one is what can be missed.
        found = sum(p.numel() for p in control.parameters())
        assert abs(found - wanted) <= sum(shape) / 2
    # Groups come in powers of two here, the nearest is within the square root of two.
    found = grouped_pointwise(*shape, wanted).weight.numel()
    if wanted <= shape[0] * shape[1]:
        assert abs(math.log2(found / wanted)) <= 0.5
    else:
        assert found == shape[0] * shape[1]


@pytest.mark.parametrize("name", ["qpcnn-s", "qpcnn-m"])
def test_everything_outside_the_exchanged_layers_starts_equal(name: str) -> None:
    models = {arm: build_model(name, arm=arm, backend="native", seed=3) for arm in POINTWISE_ARMS}
    first = models["conv"].state_dict()
    for arm, model in models.items():
        state = model.state_dict()
        outside = {key for key in state if ".pointwise." not in key}
        assert outside == {key for key in first if ".pointwise." not in key}
        assert all(torch.equal(state[key], first[key]) for key in outside), arm
    frozen, trained = models["quantum-frozen"].state_dict(), models["quantum"].state_dict()
    assert all(torch.equal(frozen[key], trained[key]) for key in trained)
    other = build_model(name, backend="native", seed=4).state_dict()
    assert not torch.equal(other["head.weight"], trained["head.weight"])
    assert any(".pointwise." in k and not torch.equal(other[k], trained[k]) for k in trained)


@pytest.mark.parametrize("name", ["mobilenet-v2", "resnet18"])
def test_torchvisions_networks_keep_their_shape(name: str) -> None:
    model = build_model(name, backend="native", n_classes=7).eval()
    found = quantum_layers(model)
    classical = build_model(name, arm="conv", n_classes=7)
    assert len(found) == {"mobilenet-v2": 2, "resnet18": 1}[name]
    for key, layer in found.items():
        there = classical.get_submodule(key)
        assert (layer.in_channels, layer.out_channels) == (there.in_channels, there.out_channels)
        assert layer.stride == there.stride
    with torch.no_grad():
        assert model(images(1, 3, 32, 32)).shape == (1, 7)
    assert count_parameters(classical)[1] == 0 < count_parameters(model)[1]


def test_exchange_keeps_shapes_and_goes_back() -> None:
    model = small_net()
    given = images(2, 1, 11, 11)
    before = model(given).shape
    first = model[0].weight.clone()
    assert quantize_pointwise(model, "*", 2, backend="native", seed=5) is model
    assert list(quantum_layers(model)) == ["1", "3"]
    assert model(given).shape == before
    # A bias becomes an affine map; what has neither 1x1 kernels nor all channels stays.
    assert model[1].scale is not None
    assert model[3].scale is None
    assert torch.equal(model[0].weight, first)
    assert restore_pointwise(model, "1") is model
    assert list(quantum_layers(model)) == ["3"]
    restore_pointwise(model)
    assert not quantum_layers(model)
    for index, fresh in enumerate(small_net()):
        assert repr(model[index]) == repr(fresh)
    assert model(given).shape == before


def test_a_layers_weights_follow_from_seed_and_name_alone() -> None:
    def weights(pattern: str, seed: int) -> torch.Tensor:
        model = quantize_pointwise(small_net(), pattern, 1, backend="native", seed=seed)
        return torch.cat([p.flatten() for p in model[3].parameters()])

    torch.manual_seed(11)
    state = torch.get_rng_state()
    assert torch.equal(weights("3", 1), weights("*", 1))
    assert not torch.equal(weights("3", 1), weights("3", 2))
    torch.manual_seed(11)
    convolution = QuantumPointwiseConv2d(4, 4, 1, backend="native", seed=1)
    restore_pointwise(nn.Sequential(convolution), seed=2)
    assert torch.equal(torch.get_rng_state(), state)


def test_torchs_seed_decides_the_weights_where_none_is_given() -> None:
    def drawn(seed: int) -> list[list[float]]:
        network = small_net()
        torch.manual_seed(seed)
        quantum = quantize_pointwise(network, "3", 1, backend="native")[3]
        weights = nn.utils.parameters_to_vector(quantum.parameters()).tolist()
        return [weights, restore_pointwise(network)[3].weight.flatten().tolist()]

    first, again, other = drawn(5), drawn(5), drawn(6)
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


def test_exchange_keeps_the_mode() -> None:
    model = quantize_pointwise(small_net().eval(), "3", 1, backend="native")
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_exchange_keeps_the_dtype(dtype: torch.dtype) -> None:
    model = quantize_pointwise(small_net().to(dtype), "*", 1, backend="native")
    given = images(2, 1, 11, 11).to(dtype)
    model(given).sum().backward()
    assert {p.dtype for p in model.parameters()} == {dtype}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert {p.dtype for p in restore_pointwise(model).parameters()} == {dtype}
    assert model(given).dtype == dtype


def test_a_convolution_alone_cannot_be_exchanged_in_place() -> None:
    with pytest.raises(OptionError, match="contains no 1x1 convolution"):
        quantize_pointwise(nn.Conv2d(2, 3, 1), "*", 1)


def test_exchange_by_a_control_of_ones_own() -> None:
    names = []

    def make(name: str, convolution: nn.Conv2d) -> nn.Module:
        names.append(name)
        return nn.Identity() if convolution.in_channels == 7 else convolution

    model = exchange_pointwise(small_net(), "[13]", make)
    assert names == ["1", "3"]
    assert isinstance(model[3], nn.Identity)


def test_a_whole_network_changes_its_backend() -> None:
    model = build_model("qpcnn-s", in_channels=1, backend="native").double().eval()
    given = images(1, 1, 8, 8).double()
    with torch.no_grad():
        expected = model(given)
        to_backend(model, "aer")
        layers = quantum_layers(model).values()
        assert {kernel.backend.name for m in layers for kernel in m.kernels} == {"aer"}
        torch.testing.assert_close(model(given), expected, atol=1e-10, rtol=0)


@given(seed=st.integers(0, 2**31), channels=st.integers(1, 6), depth=st.integers(1, 3))
@settings(deadline=None, max_examples=20)
def test_free_forms_contain_every_circuit(seed: int, channels: int, depth: int) -> None:
    """The quadratic control reproduces a circuit when it is given the circuit's forms."""
    layer = QuantumPointwiseConv2d(channels, 4, depth, backend="native", seed=seed % 1000).double()
    control = QuadraticPointwise(channels, 4).double()
    # The forms' entries from the layer's own values: e_i gives M_ii, e_i + e_j the rest.
    rows, columns = torch.triu_indices(channels, channels)
    basis = torch.eye(channels).double()
    pairs = basis[rows] + (rows != columns).double()[:, None] * basis[columns]
    with torch.no_grad():
        values = layer(pairs[:, :, None, None]).flatten(1)
        diagonal = values[rows == columns]
        forms = 2 * values - diagonal[rows] - diagonal[columns]
        forms[rows == columns] = diagonal
        control.weight.copy_(forms.T)
        given = images(2, channels, 3, 2, seed=seed).double()
        torch.testing.assert_close(control(given), layer(given), atol=1e-10, rtol=0)


@pytest.mark.parametrize("control", [QuadraticPointwise(5, 3), LowRankQuadraticPointwise(5, 3, 2)])
def test_quadratic_controls_lose_length_and_sign_as_circuits_do(control: nn.Module) -> None:
    control.double()
    given = images(1, 5, 4, 4).double()
    given[0, :, 1, 2] = 0.0
    given.requires_grad_()
    values = control(given)
    torch.testing.assert_close(control(-3 * given), values, atol=1e-12, rtol=0)
    assert (values[0, :, 1, 2] == 0).all()
    values.sum().backward()
    assert (given.grad[0, :, 1, 2] == 0).all()
    assert torch.isfinite(given.grad).all()


def test_unit_vectors_have_the_right_gradient() -> None:
    given = images(1, 3, 2, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(partial(unit_vectors, dim=1), (given,))
    assert torch.autograd.gradgradcheck(partial(unit_vectors, dim=1), (given,))


def test_every_model_names_its_arms() -> None:
    assert all(arms_of(name) == POINTWISE_ARMS for name in POINTWISE_MODELS)
    assert arms_of("classical-digits") == ()
    with pytest.raises(UnknownNameError, match="did you mean 'qpcnn-s'"):
        arms_of("qpcnn-x")


def test_mistakes_say_what_to_type() -> None:
    with pytest.raises(OptionError, match="matches no 1x1 convolution of the model"):
        quantize_pointwise(small_net(), "layer*", 2)
    with pytest.raises(UnknownNameError, match="unknown arm 'linear' of 'qpcnn-s'"):
        build_model("qpcnn-s", arm="linear")
    with pytest.raises(OptionError, match="takes a LayerSpec, not a PointwiseSpec"):
        build_model("hybrid-digits", spec=PointwiseSpec())
    with pytest.raises(SpecError, match="n_layers must be a whole number of at least 1"):
        PointwiseSpec(depth=0)
    with pytest.raises(SpecError, match="pointwise layers have no 'n_wires'"):
        PointwiseSpec.from_dict({"n_wires": 3})
    spec = PointwiseSpec(3, pattern="stages.1.*")
    assert PointwiseSpec.from_dict(spec.to_dict()) == spec
