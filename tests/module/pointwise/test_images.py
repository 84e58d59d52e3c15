"""What the images may be: scaled, permuted, zero, strided, of any dtype; and what they may not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import QuantumPointwiseConv2d
from qbackend import errors
from tests.support.cases import MACHINE

from .definition import conv, gradients, images


@settings(max_examples=10)
@given(
    n_channels=st.integers(1, 9),
    factor=st.floats(0.01, 100) | st.floats(-100, -0.01),
    seed=st.integers(0, 10**6),
)
def test_length_and_sign_are_lost(n_channels: int, factor: float, seed: int) -> None:
    layer = conv(n_channels, 3, 2, backend="native", length=True, seed=seed)
    given = images(n_channels)
    maps, other = layer(given), layer(factor * given)
    torch.testing.assert_close(maps[:, :-1], other[:, :-1], atol=MACHINE, rtol=0)
    torch.testing.assert_close(abs(factor) * maps[:, -1], other[:, -1], atol=MACHINE, rtol=MACHINE)


@settings(max_examples=10)
@given(data=st.data(), size=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_pixels_may_be_permuted_and_shifted(data: st.DataObject, size: tuple[int, int]) -> None:
    layer = conv(5, 4, 2, backend="native", length=True)
    given = images(5, size=size) if min(size) > 1 else torch.ones(2, 5, *size).double().cumsum(1)
    maps = layer(given)
    order = torch.tensor(data.draw(st.permutations(range(size[0] * size[1]))))
    permuted = layer(given.flatten(2)[:, :, order].unflatten(2, size))
    expected = maps.flatten(2)[:, :, order].unflatten(2, size)
    torch.testing.assert_close(permuted, expected, atol=MACHINE, rtol=0)
    shift = data.draw(st.tuples(st.integers(0, size[0]), st.integers(0, size[1])))
    shifted, expected = (x.roll(shift, dims=(2, 3)) for x in (given, maps))
    torch.testing.assert_close(layer(shifted), expected, atol=MACHINE, rtol=0)


def test_a_zero_vector_gives_nothing(path: str) -> None:
    layer = conv(6, 5, 2, backend="native", length=True)
    given = images(6)
    given[1, :, 1, 1] = 1e-13 / np.sqrt(6)
    given.requires_grad_()
    maps = layer(given)
    of_images = gradients(layer, given, maps)[0]
    for image, row, column in ((0, 0, 1), (1, 1, 1)):
        assert (maps[image, :, row, column] == 0).all()
        assert (of_images[image, :, row, column] == 0).all()
    assert torch.count_nonzero(of_images) > 0


@pytest.mark.parametrize(
    ("dtype", "size"), [(torch.float32, 1e30), (torch.float64, 1e200), (torch.float64, 1e-9)]
)
def test_a_vector_counts_by_its_direction(dtype: torch.dtype, size: float, path: str) -> None:
    layer = conv(5, 3, 2, backend="native", length=True)
    given = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    near, far = layer(given), layer(size * given)
    # Some tens of roundings: products of the vector, of the form, and their sums.
    limit = 64 * torch.finfo(dtype).eps
    torch.testing.assert_close(far[:, :-1], near[:, :-1], atol=limit, rtol=0)
    torch.testing.assert_close(far[:, -1] / size, near[:, -1], atol=0, rtol=limit)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (9, 16)])
def test_channels_last_stays_so(size: tuple[int, int], stride: int, path: str) -> None:
    layer = conv(5, 4, 2, backend="native", stride=stride, length=True)
    given = torch.randn(3, 5, *size, dtype=torch.float64)
    plain, last = given.clone().requires_grad_(), given.to(memory_format=torch.channels_last)
    last.requires_grad_()
    expected, maps = layer(plain), layer(last)
    torch.testing.assert_close(maps, expected, atol=MACHINE, rtol=0)
    if path != "rows":
        assert maps.is_contiguous(memory_format=torch.channels_last)
        assert expected.is_contiguous()
    pairs = zip(gradients(layer, last, maps), gradients(layer, plain, expected), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, atol=MACHINE, rtol=MACHINE)


def test_any_view_of_images_is_taken() -> None:
    layer = conv(4, 4, 1, backend="native")
    given = images(8)[:, ::2].transpose(2, 3)
    torch.testing.assert_close(layer(given), layer(given.clone().contiguous()))
    assert layer(given[:0]).shape == (0, 4, 5, 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_output_has_the_inputs_dtype(dtype: torch.dtype) -> None:
    layer = QuantumPointwiseConv2d(5, 4, 2, backend="native", affine=True, length=True, seed=0)
    given = images(5).to(dtype).requires_grad_()
    maps = layer(given)
    maps.float().sum().backward()
    assert maps.dtype == dtype
    assert given.grad is not None
    assert given.grad.dtype == dtype
    assert all(parameter.grad.dtype == torch.float32 for parameter in layer.parameters())
    expected = layer(given.double())
    # The maps are rounded to the dtype; what is half is computed in float32.
    limit = torch.finfo(dtype).eps + (64 * torch.finfo(torch.float32).eps) * (dtype.itemsize < 8)
    torch.testing.assert_close(maps.double(), expected, atol=limit, rtol=limit)


@pytest.mark.parametrize("affine", [False, True])
def test_under_autocast_float32_is_kept(affine: bool, path: str) -> None:
    layer = QuantumPointwiseConv2d(5, 4, 2, backend="native", affine=affine, seed=0)
    given = images(5).float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = layer(given)
        inside = gradients(layer, given, maps)
        half = layer(given.bfloat16())
    assert maps.dtype == torch.float32
    assert half.dtype == torch.bfloat16
    outside = layer(given)
    assert torch.equal(maps, outside)
    pairs = zip(inside, gradients(layer, given, outside), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_bad_pixel_is_named(bad: float, path_on_the_cpu: str) -> None:
    layer = QuantumPointwiseConv2d(3, 2, 1, backend="native")
    given = torch.ones(4, 3, 6, 7)
    given[2, 1, 3, 4] = given[3, 0, 0, 0] = bad
    with pytest.raises(errors.InputError, match="image 2, pixel 25 "):
        layer(given)
