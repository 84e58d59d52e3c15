"""The quantum pointwise convolution against its definition, written with dense matrices."""

from __future__ import annotations

import copy
import io
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models import (
    QuantumPointwiseConv2d,
    channel_forms,
    channel_tensors,
    count_parameters,
    pointwise,
    to_backend,
)
from qbackend import errors
from qbackend.kernels import threads

from .cases import MACHINE

COMPLEX = torch.complex128


def conv(*args: object, **options: object) -> QuantumPointwiseConv2d:
    """A layer in float64 with weights far from the identity."""
    layer = QuantumPointwiseConv2d(*args, **{"seed": 0, **options}).double()  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=2.0, generator=generator)
    return layer


def images(n_channels: int, *, size: tuple[int, int] = (3, 5), n_images: int = 2) -> Tensor:
    """Random signed images; one pixel is zero, one has a single channel."""
    generator = torch.Generator().manual_seed(n_channels)
    drawn = torch.randn(n_images, n_channels, *size, dtype=torch.float64, generator=generator)
    drawn[0, :, 0, 1] = 0
    drawn[-1, 1:, -1, 0] = 0
    return drawn


def on_wire(gate: Tensor, wire: int, n_wires: int) -> Tensor:
    """A gate on one wire as a matrix over all of them, wire 0 first."""
    ahead, behind = (torch.eye(2**n, dtype=COMPLEX) for n in (wire, n_wires - wire - 1))
    return torch.kron(torch.kron(ahead, gate), behind)


def rotation(pauli: Tensor, angle: Tensor) -> Tensor:
    """exp(-i angle pauli / 2)."""
    return torch.cos(angle / 2) * torch.eye(2, dtype=COMPLEX) - 1j * torch.sin(angle / 2) * pauli


Y = torch.tensor([[0, -1j], [1j, 0]], dtype=COMPLEX)
Z = torch.tensor([[1, 0], [0, -1]], dtype=COMPLEX)
X = torch.tensor([[0, 1], [1, 0]], dtype=COMPLEX)
ZERO, ONE = (torch.diag(torch.tensor(bits, dtype=COMPLEX)) for bits in ((1, 0), (0, 1)))


def unitary(weights: Tensor, n_wires: int, depth: int) -> Tensor:
    """Strongly entangling layers as one matrix: Rot on each wire, then CNOTs of growing reach."""
    angles = weights.to(COMPLEX).reshape(depth, n_wires, 3)
    matrix = torch.eye(2**n_wires, dtype=COMPLEX)
    for layer in range(depth):
        for wire in range(n_wires):
            phi, theta, omega = angles[layer, wire]
            rot = rotation(Z, omega) @ rotation(Y, theta) @ rotation(Z, phi)
            matrix = on_wire(rot, wire, n_wires) @ matrix
        if n_wires == 1:
            continue
        reach = layer % (n_wires - 1) + 1
        for control in range(n_wires):
            target = (control + reach) % n_wires
            flip = on_wire(ONE, control, n_wires) @ on_wire(X, target, n_wires)
            matrix = (on_wire(ZERO, control, n_wires) + flip) @ matrix
    return matrix


def definition(layer: QuantumPointwiseConv2d, given: Tensor, depth: int) -> Tensor:
    """The layer's maps, pixel by pixel as the working definition has them."""
    vertical, horizontal = layer.stride
    vectors = given[:, :, ::vertical, ::horizontal].movedim(1, -1)
    n_wires = max(1, int(np.ceil(np.log2(layer.in_channels))))
    lengths = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    is_zero = lengths < 1e-12
    units = torch.where(is_zero, 0, vectors / torch.where(is_zero, 1, lengths))
    padded = torch.nn.functional.pad(units, (0, 2**n_wires - layer.in_channels))
    outputs = []
    for kernel in layer.kernels:
        state = padded.to(COMPLEX) @ unitary(kernel.weight, n_wires, depth).T
        for wire in range(n_wires):
            outputs.append((state.conj() * (state @ on_wire(Z, wire, n_wires))).sum(-1).real)
    maps = torch.stack(outputs, dim=1)[:, : layer.out_channels]
    if layer.length:
        maps = torch.cat([maps, torch.where(is_zero, 0, lengths)[..., 0].unsqueeze(1)], dim=1)
    if layer.scale is not None and layer.shift is not None:
        maps = maps * layer.scale[:, None, None] + layer.shift[:, None, None]
    return maps


def gradients(layer: torch.nn.Module, given: Tensor, maps: Tensor) -> list[Tensor]:
    """Of a fixed random sum of the maps, by the images and every weight."""
    cotangent = torch.randn(maps.shape, generator=torch.Generator().manual_seed(2)).to(maps)
    return list(torch.autograd.grad(maps, [given, *layer.parameters()], cotangent))


@pytest.fixture(params=["states", "kernels", "tensors", "rows"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way in which the layer can be computed, made to be taken."""
    # What a gate seems to cost decides between states, where a backend has them, and forms.
    cost = 0.0 if request.param == "states" else np.inf
    monkeypatch.setattr(pointwise, "STATE_COST", cost)
    if request.param == "tensors":
        monkeypatch.setattr(channel_forms, "KERNEL_CHANNELS", 0)
    if request.param == "rows":
        monkeypatch.setattr(pointwise, "FORM_WIRES", 0)
    return request.param


@dataclass(frozen=True)
class Case:
    """A layer that differs from the plain one in one respect or two."""

    in_channels: int
    out_channels: int
    depth: int = 2
    stride: int | tuple[int, int] = 1
    length: bool = False
    affine: bool = False


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


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "per_layer"),
    [(16, 4, 12), (16, 16, 48), (64, 6, 18), (64, 64, 198), (1, 1, 3), (5, 7, 27)],
)
@pytest.mark.parametrize("depth", [1, 2, 8])
def test_weights_are_counted(
    in_channels: int, out_channels: int, per_layer: int, depth: int
) -> None:
    layer = QuantumPointwiseConv2d(in_channels, out_channels, depth, affine=True)
    assert count_parameters(layer) == (per_layer * depth + 2 * out_channels, per_layer * depth)


def test_weights_start_near_the_identity_and_apart() -> None:
    first, again, other = (
        QuantumPointwiseConv2d(64, 600, 8, backend="native", seed=seed) for seed in (3, 3, 4)
    )
    weights = torch.stack([kernel.weight for kernel in first.kernels]).detach()
    variance = 1 / (4 * (8 + 2))
    # 14,400 draws: the variance of a normal sample spreads by sqrt(2 / n), its mean by 1/sqrt(n).
    n_weights = weights.numel()
    assert abs(weights.var() / variance - 1) < 5 * np.sqrt(2 / n_weights)
    assert abs(weights.mean()) < 5 * np.sqrt(variance / n_weights)
    assert len(torch.unique(weights)) > 0.99 * n_weights
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    assert not torch.equal(first.kernels[0].weight, other.kernels[0].weight)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_forms, "KERNEL_CHANNELS", 0)
    layer = conv(5, 6, 2, backend="native", length=True)
    given = images(5, size=(7, 11), n_images=4).requires_grad_()
    whole = layer(given)
    expected = [whole, *gradients(layer, given, whole)]
    monkeypatch.setattr(channel_tensors, "LEAST_PIXELS", 1)
    for pixels in (10, 200):
        monkeypatch.setitem(channel_tensors.CHUNK_BYTES, "cpu", pixels * 15 * 8)
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


def test_moves_between_backends() -> None:
    layer, given = conv(4, 6, 2, backend="aer"), images(4)
    before = layer(given)
    assert to_backend(layer, "native") is layer
    assert {kernel.backend.name for kernel in layer.kernels} == {"native"}
    torch.testing.assert_close(layer(given), before, atol=MACHINE, rtol=0)


def test_copies_answer_alike() -> None:
    layer, given = conv(5, 4, 2, affine=True), images(5)
    expected = layer(given)
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    fresh = conv(5, 4, 2, affine=True, seed=9)
    torch.nn.init.zeros_(fresh.kernels[0].weight)
    fresh.load_state_dict(layer.state_dict())
    loaded = torch.load(buffer, weights_only=False)
    for other in (copy.deepcopy(layer), loaded, fresh):
        assert torch.equal(other(given), expected)
    assert len(layer.state_dict()) == len(list(layer.parameters())) == 4


def test_shots_agree_within_their_errors() -> None:
    layer, given = conv(4, 6, 2, backend="aer", length=True), images(4)
    exact, shots = layer(given), 4000
    to_backend(layer, "aer", shots=shots, seed=5)
    sampled = layer(given)
    limit = 5 * torch.sqrt((1 - exact[:, :-1] ** 2) / shots) + 1 / shots
    assert (abs(sampled - exact)[:, :-1] < limit).all()
    torch.testing.assert_close(sampled[:, -1], exact[:, -1], atol=MACHINE, rtol=0)
    assert (sampled[0, :, 0, 1] == 0).all()
    assert not torch.equal(sampled, exact)


def test_kernels_draw_samples_of_their_own() -> None:
    layer, given = conv(4, 4, 1, backend="native"), torch.ones(1, 4, 8, 8).double()
    with torch.no_grad():
        layer.kernels[1].weight.copy_(layer.kernels[0].weight)
    to_backend(layer, "aer", shots=100, seed=5)
    maps = layer(given)
    assert not torch.equal(maps[:, :2], maps[:, 2:])


def test_runs_under_a_devices_noise() -> None:
    layer, given = conv(4, 2, 1, backend="native"), images(4, size=(2, 2), n_images=1)
    ideal = layer(given)
    exact = to_backend(layer, "native:fake_manila")(given)
    assert abs(exact - ideal).max() > 1e-3
    shots = 2000
    sampled = to_backend(layer, "aer:fake_manila", shots=shots, seed=1)(given)
    limit = 5 * torch.sqrt((1 - exact**2) / shots) + 1 / shots
    assert (abs(sampled - exact) < limit).all()


def test_noisy_gradients_are_those_of_the_kernels() -> None:
    layer = conv(4, 3, 1, backend="native:fake_manila")
    given = images(4, size=(2, 2), n_images=1).requires_grad_()
    maps = layer(given)
    rows = given.flatten(2)[0].T
    values = torch.cat([kernel(rows) for kernel in layer.kernels], dim=1)[:, :3]
    expected = values.T.unflatten(1, (2, 2))[None]
    assert torch.equal(maps, expected)
    pairs = zip(gradients(layer, given, maps), gradients(layer, given, expected), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, atol=MACHINE, rtol=MACHINE)


def test_gradients_by_rows_alone_agree() -> None:
    layer = conv(2, 2, 1, backend="aer", gradient="parameter-shift")
    given = images(2, size=(2, 2), n_images=1).requires_grad_()
    maps, expected = layer(given), definition(layer, given, 1)
    torch.testing.assert_close(maps, expected, atol=MACHINE, rtol=0)
    pairs = zip(gradients(layer, given, maps), gradients(layer, given, expected), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=1e-8)


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
def test_the_first_bad_pixel_is_named(bad: float, path: str) -> None:
    layer = QuantumPointwiseConv2d(3, 2, 1, backend="native")
    given = torch.ones(4, 3, 6, 7)
    given[2, 1, 3, 4] = given[3, 0, 0, 0] = bad
    with pytest.raises(errors.InputError, match="image 2, pixel 25 "):
        layer(given)


def test_a_bad_weight_is_named() -> None:
    layer = QuantumPointwiseConv2d(3, 4, 1)
    layer.kernels[1].weight.data[0] = float("nan")
    with pytest.raises(errors.InputError, match="weights"):
        layer(torch.ones(1, 3, 2, 2))


def test_what_cannot_be_is_refused() -> None:
    layer = QuantumPointwiseConv2d(3, 2, 1)
    with pytest.raises(errors.InputError, match=r"3 channels.*got shape \(1, 4, 2, 2\)"):
        layer(torch.ones(1, 4, 2, 2))
    with pytest.raises(errors.InputError, match="3 channels"):
        layer(torch.ones(3, 2, 2))
    for arguments in ((0, 2, 1), (2, 0, 1)):
        with pytest.raises(errors.OptionError, match="channels must be at least 1, got 0"):
            QuantumPointwiseConv2d(*arguments)
    with pytest.raises(errors.OptionError, match="stride must be at least 1, got 0"):
        QuantumPointwiseConv2d(2, 2, 1, stride=(1, 0))
    with pytest.raises(errors.SpecError, match="n_layers"):
        QuantumPointwiseConv2d(2, 2, 0)
    with pytest.raises(errors.OptionError, match="takes no shots"):
        QuantumPointwiseConv2d(2, 2, 1, backend="native", shots=10)
    with pytest.raises(errors.OptionError, match="shots must be"):
        QuantumPointwiseConv2d(2, 2, 1, shots=0)


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
