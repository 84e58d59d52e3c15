"""What an accelerator does, on the CPU: the road's choice, its rounding, and that nothing waits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models import QuantumPointwiseConv2d
from qbackend import LayerSpec
from qbackend.gradients.torch_circuit import outputs
from qbackend.gradients.torch_unitaries import unitaries
from qbackend.layers.ansatze import ANSATZE, Ansatz, Cnots, Operation, Rotations
from qbackend.module.pointwise import kernel_spec, n_kernels
from qbackend.pixels import channel_products
from qbackend.pixels.roads import prefers_forms
from tests.support.cases import MACHINE
from tests.support.no_synchronisation import no_synchronisation

from .definition import Case, conv, gradients, images

EXACT = {torch.float32: 1e-6, torch.float64: 1e-12}


def maps_and_gradients(layer: QuantumPointwiseConv2d, given: Tensor) -> list[Tensor]:
    """The maps, and their gradients by the images and by the weights of all kernels."""
    given = given.requires_grad_()
    maps = layer(given)
    of_images, *of_weights = gradients(layer, given, maps)
    return [maps, of_images, torch.cat(of_weights)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", [Case(3, 8), Case(16, 10, length=True), Case(64, 13)], ids=str)
def test_equals_the_cpus_road(
    case: Case, dtype: torch.dtype, path_elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = conv(case.in_channels, case.out_channels, 2, backend="native", length=case.length)
    # Of length 1: the shorter a vector, the larger is its gradient's rounding.
    given = torch.nn.functional.normalize(images(case.in_channels, size=(4, 5)), dim=1)
    given = given.to(dtype).to(memory_format=torch.channels_last)
    found = maps_and_gradients(layer.to(dtype), given)
    monkeypatch.undo()
    expected = maps_and_gradients(layer.double(), given.detach().double())
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == dtype
        scale = max(1.0, float(theirs.detach().abs().max()))
        assert (ours.double() - theirs).abs().max() <= EXACT[dtype] * scale


def test_nothing_waits(path_elsewhere: str) -> None:
    layer = conv(5, 4, 2, backend="native", stride=(1, 2), length=True, affine=True)
    given = images(5)
    # What is the same for all weights is made the first time.
    expected = maps_and_gradients(layer, given)
    with no_synchronisation():
        found = maps_and_gradients(layer, given.detach())
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_training_may_follow_inference(path_elsewhere: str) -> None:
    # No other test has this layer: nothing of it is known before.
    layer, given = conv(7, 4, 5, backend="native"), images(7)
    with torch.inference_mode():
        expected = layer(given).clone()
    found = maps_and_gradients(layer, given)
    assert torch.equal(found[0], expected)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_becomes_nan(bad: float, path_elsewhere: str) -> None:
    layer, given = conv(5, 4, 2, backend="native", length=True), images(5)
    whole = layer(given)
    given[1, 2, 2, 3] = bad
    maps = layer(given)
    spoilt = torch.zeros_like(maps, dtype=torch.bool)
    spoilt[1, :, 2, 3] = True
    assert torch.equal(maps.isnan(), spoilt)
    torch.testing.assert_close(maps[~spoilt], whole[~spoilt], atol=MACHINE, rtol=0)
    with torch.no_grad():
        layer.kernels[1].weight[0] = bad
    given[1, 2, 2, 3] = 1
    # The second kernel has the fourth output alone, the others are cut.
    spoilt = layer(given).isnan().flatten(2).transpose(1, 2).flatten(0, 1)
    assert torch.equal(spoilt, torch.tensor([[False, False, False, True, False]]).expand(30, 5))


def test_what_fits_is_kept_and_the_rest_computed_again(
    path_elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def n_products() -> int:
        layer, given = conv(5, 4, 1, backend="native"), images(5, size=(8, 8)).requires_grad_()
        maps, seen = layer(given), []
        taken = channel_products.units_of
        with monkeypatch.context() as patch:
            patch.setattr(channel_products, "units_of", lambda *a: seen.append(a) or taken(*a))
            maps.sum().backward()
        return len(seen)

    assert n_products() == 0
    monkeypatch.setattr(channel_products, "PIECE_BYTES", 1)
    # At least 64 pixels at a time: each of the two images.
    assert n_products() == 2


def test_forms_serve_few_channels() -> None:
    def chosen(n_channels: int, n_outputs: int) -> bool:
        spec = kernel_spec(n_channels, "strongly_entangling", 2)
        n_amplitudes = 2**spec.n_wires
        return prefers_forms(n_channels, n_kernels(spec, n_outputs), n_amplitudes, n_outputs)

    shapes = {(1, 2): True, (3, 32): True, (8, 32): True, (8, 4): False, (16, 32): False}
    shapes |= {(64, 10): False, (64, 66): False, (128, 256): False}
    assert {shape: chosen(*shape) for shape in shapes} == shapes


def _beginning_with_cnots(n_wires: int, index: int, first: int) -> tuple[Operation, ...]:
    """Stages of none, of two and of one rotation; CNOTs twice in a row."""
    weights = tuple(range(first, first + n_wires))
    ring = Cnots(((0, 1), (1, 2), (2, 0)))
    turns = Rotations("x", weights), Rotations("z", weights)
    return (ring, *turns, ring, Cnots(((2, 1),)), Rotations("y", weights))


@pytest.mark.parametrize("name", [*ANSATZE, "beginning with CNOTs"])
def test_unitaries_are_the_circuits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name not in ANSATZE:
        monkeypatch.setitem(ANSATZE, name, Ansatz(name, 1, _beginning_with_cnots))
    spec = LayerSpec(3, ansatz=name, n_layers=3)
    weights = torch.randn(2, spec.n_weights, dtype=torch.float64)
    states = torch.nn.functional.normalize(torch.randn(4, 8).double())
    for matrix, vector in zip(unitaries(spec, weights, 8), weights, strict=True):
        chances = (states.to(matrix) @ matrix.T).abs().square()
        values = chances @ torch.tensor(spec.signs()).T
        torch.testing.assert_close(values, outputs(spec, states, vector), atol=MACHINE, rtol=0)
    few = unitaries(spec, weights, 2)
    torch.testing.assert_close(few, unitaries(spec, weights, 8)[..., :2], atol=MACHINE, rtol=0)
