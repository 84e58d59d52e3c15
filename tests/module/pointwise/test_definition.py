"""Outputs and gradients equal the definition, in every way and on every device."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from models import QuantumPointwiseConv2d
from qbackend.kernels import threads
from qbackend.module import pointwise
from qbackend.pixels import channel_products, pieces, tensors
from tests.support.cases import MACHINE

from .conftest import take
from .definition import Case, conv, definition, gradients, images

CASES = [
    Case(1, 2),
    Case(2, 1, depth=3),
    Case(3, 5, length=True),
    Case(4, 6, stride=2, affine=True),
    Case(5, 3, stride=(2, 3), length=True, affine=True),
    Case(16, 10, depth=3),
    Case(20, 7, depth=1, length=True),
]


@pytest.mark.parametrize("backend", ["aer", "native"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_outputs_and_gradients_equal_the_definition(case: Case, backend: str, path: str) -> None:
    layer = conv(
        case.in_channels,
        case.out_channels,
        case.depth,
        backend=backend,
        stride=case.stride,
        length=case.length,
        affine=case.affine,
    )
    given = images(case.in_channels).requires_grad_()
    expected = definition(layer, given, case.depth)
    maps = layer(given)
    assert maps.shape == expected.shape
    torch.testing.assert_close(maps, expected, atol=MACHINE, rtol=0)
    pairs = zip(gradients(layer, given, maps), gradients(layer, given, expected), strict=True)
    for ours, theirs in pairs:
        # A vector's gradient grows as one over its length.
        torch.testing.assert_close(ours, theirs, atol=MACHINE, rtol=MACHINE)


@pytest.mark.parametrize("n_channels", [33, 64, 65])
def test_many_channels_equal_the_definition(n_channels: int) -> None:
    layer = conv(n_channels, 8, 2, backend="native", length=True)
    given = images(n_channels).requires_grad_()
    expected = definition(layer, given, 2)
    maps = layer(given)
    torch.testing.assert_close(maps, expected, atol=MACHINE, rtol=0)
    pairs = zip(gradients(layer, given, maps), gradients(layer, given, expected), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, atol=MACHINE, rtol=MACHINE)


@pytest.mark.parametrize("backend", ["aer", "native"])
def test_gradcheck(backend: str) -> None:
    layer = conv(3, 3, 1, backend=backend, length=True, affine=True)
    given = images(3, size=(2, 2), n_images=1)
    given[0, :, 0, 1] = 1.0
    assert torch.autograd.gradcheck(layer, given.requires_grad_())


@pytest.mark.parametrize("way", ["tensors", "products of states", "products of forms"])
def test_pieces_do_not_matter(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take(way, monkeypatch)
    layer = conv(5, 6, 2, backend="native", length=True)
    given = images(5, size=(7, 11), n_images=4).requires_grad_()
    whole = layer(given)
    expected = [whole, *gradients(layer, given, whole)]
    monkeypatch.setattr(pieces, "LEAST_PIXELS", 1)
    # What a pixel becomes: products of channels, states of two kernels, products and outputs.
    n_numbers = {"tensors": 15, "products of states": 2 * 2 * 8, "products of forms": 25 + 6}[way]
    for pixels in (10, 200):
        n_bytes = pixels * n_numbers * 8
        monkeypatch.setitem(tensors.PIECE_BYTES, "cpu", n_bytes)
        monkeypatch.setattr(channel_products, "PIECE_BYTES", n_bytes)
        maps = layer(given)
        for ours, theirs in zip([maps, *gradients(layer, given, maps)], expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=MACHINE, rtol=MACHINE)


def test_rows_are_taken_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pointwise, "FORM_WIRES", 0)
    layer = conv(3, 4, 1, backend="native")
    given = images(3)
    whole = layer(given)
    monkeypatch.setattr(pointwise, "ROW_BYTES", 7 * 8 * 4)
    torch.testing.assert_close(layer(given), whole, atol=MACHINE, rtol=0)


@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("state_cost", [0.0, np.inf])
def test_threads_change_no_bit(
    n_threads: int, state_cost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pointwise, "STATE_COST", state_cost)
    layer = conv(6, 7, 2, backend="native").float()
    given = images(6, size=(17, 19), n_images=5).float().requires_grad_()

    def run() -> list[Tensor]:
        maps = layer(given)
        return [maps, *gradients(layer, given, maps)]

    alone = run()
    monkeypatch.setattr(threads, "WORTH_SPLITTING", 0)
    torch.set_num_threads(n_threads)
    assert all(torch.equal(a, b) for a, b in zip(alone, run(), strict=True))


def test_only_wanted_gradients_are_computed(path: str) -> None:
    layer = conv(5, 4, 2, backend="native")
    given = images(5).requires_grad_()
    of_images = gradients(layer, given, layer(given))[0]
    layer.requires_grad_(False)
    (alone,) = torch.autograd.grad(layer(given), given, torch.ones(2, 4, 3, 5).double())
    assert alone.shape == of_images.shape
    layer.requires_grad_(True)
    maps = layer(given.detach())
    maps.sum().backward()
    assert all(kernel.weight.grad is not None for kernel in layer.kernels)


def test_states_serve_shallow_and_wide_layers_only() -> None:
    chosen = {
        (case.in_channels, case.depth): QuantumPointwiseConv2d(
            case.in_channels, case.out_channels, case.depth, backend=backend
        )._prefers_states(torch.empty(0))
        for backend, case in (
            ("native", Case(16, 32, depth=1)),
            ("native", Case(64, 66, depth=2)),
            ("native", Case(64, 66, depth=8)),
            ("native", Case(128, 128, depth=8)),
            ("aer", Case(65, 66, depth=1)),
        )
    }
    expected = {(16, 1): False, (64, 2): True, (64, 8): False, (128, 8): True, (65, 1): False}
    assert chosen == expected


def test_forms_follow_the_weights() -> None:
    layer, given = conv(4, 4, 2, backend="aer"), images(4)
    with torch.no_grad():
        before = layer(given)
        assert torch.equal(layer(given), before)
        layer.kernels[1].weight.data += 0.5
        after = layer(given)
    assert torch.equal(after[:, :2], before[:, :2])
    torch.testing.assert_close(after, definition(layer, given, 2), atol=MACHINE, rtol=0)


def test_gradients_by_rows_alone_agree() -> None:
    layer = conv(2, 2, 1, backend="aer", gradient="parameter-shift")
    given = images(2, size=(2, 2), n_images=1).requires_grad_()
    maps, expected = layer(given), definition(layer, given, 1)
    torch.testing.assert_close(maps, expected, atol=MACHINE, rtol=0)
    pairs = zip(gradients(layer, given, maps), gradients(layer, given, expected), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cuda_agrees_with_the_cpu(dtype: torch.dtype) -> None:
    layer = conv(16, 10, 2, backend="native", length=True)
    given = images(16).to(dtype).requires_grad_()
    maps = layer(given)
    expected = [maps, *gradients(layer, given, maps)]
    there, moved = copy.deepcopy(layer).cuda(), given.detach().cuda().requires_grad_()
    maps = there(moved)
    limit = 2**10 * torch.finfo(dtype).eps
    for ours, theirs in zip([maps, *gradients(there, moved, maps)], expected, strict=True):
        assert ours.is_cuda
        torch.testing.assert_close(ours.cpu(), theirs, atol=limit, rtol=limit)


@pytest.mark.parametrize("backend", ["aer", "native"])
def test_gradgradcheck(backend: str, path: str) -> None:
    layer = conv(3, 3, 1, backend=backend, length=True, affine=True)
    given = images(3, size=(1, 2), n_images=1)
    given[0, :, 0, 1] = 1.0
    weights = [parameter.detach().clone().requires_grad_() for parameter in layer.parameters()]
    names = [name for name, _ in layer.named_parameters()]

    def call(given: Tensor, *weights: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (given,))

    assert torch.autograd.gradgradcheck(call, (given.requires_grad_(), *weights))


@pytest.mark.parametrize("case", [Case(5, 4, length=True), Case(5, 4, stride=2)], ids=str)
def test_second_derivatives_equal_the_definition(case: Case, path: str) -> None:
    layer = conv(5, 4, 2, backend="native", stride=case.stride, length=case.length)
    given = images(5, size=(4, 5)).to(memory_format=torch.channels_last).requires_grad_()
    inputs = [given, *layer.parameters()]

    def curvature(maps: Tensor) -> list[Tensor]:
        slopes = torch.autograd.grad(maps.square().sum(), inputs, create_graph=True)
        cotangents = [torch.ones_like(slope) for slope in slopes]
        return list(torch.autograd.grad(slopes, inputs, cotangents))

    maps = layer(given)
    found, expected = curvature(maps), curvature(definition(layer, given, 2))
    # One pixel is zero, where a length has no derivative and the definition none that is finite.
    empty = (given == 0).all(dim=1, keepdim=True).expand_as(given)
    assert empty.any()
    assert (found[0][empty] == 0).all()
    for ours, theirs in zip(found, expected, strict=True):
        theirs = torch.where(empty, 0, theirs) if theirs is expected[0] else theirs
        torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-8)
