"""The layer as a module: its weights, its copies, its backends, and what it refuses."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch

from models import QuantumPointwiseConv2d, count_parameters, to_backend
from models.pointwise_controls import LowRankQuadraticPointwise, QuadraticPointwise
from qbackend import LayerSpec, errors, get_backend
from tests.support.cases import MACHINE

from .definition import conv, gradients, images


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
        with pytest.raises(errors.OptionError, match=r"channels must be .* at least 1, got 0"):
            QuantumPointwiseConv2d(*arguments)
    with pytest.raises(errors.OptionError, match=r"stride must be .* at least 1, got 0"):
        QuantumPointwiseConv2d(2, 2, 1, stride=(1, 0))
    with pytest.raises(errors.SpecError, match="n_layers"):
        QuantumPointwiseConv2d(2, 2, 0)
    with pytest.raises(errors.OptionError, match="takes no shots"):
        QuantumPointwiseConv2d(2, 2, 1, backend="native", shots=10)
    with pytest.raises(errors.OptionError, match="shots must be"):
        QuantumPointwiseConv2d(2, 2, 1, shots=0)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_other_numbers_are_refused(dtype: torch.dtype, path: str) -> None:
    given = torch.ones(1, 4, 2, 2).to(dtype)
    layer = conv(4, 3, 1, backend="native")
    controls = QuadraticPointwise(4, 3), LowRankQuadraticPointwise(4, 3, 2)
    for call in (layer, layer.channel_vectors, *controls):
        with pytest.raises(errors.InputError, match=rf"images are {dtype}.*\.float\(\)"):
            call(given)


def test_a_bad_pixel_is_named_in_every_way(path_on_the_cpu: str) -> None:
    layer, given = conv(4, 3, 1, backend="native"), images(4)
    given[1, 2, 1, 3] = torch.inf
    with pytest.raises(errors.InputError, match=r"image 1, pixel 8 .*not finite"):
        layer(given)
    with pytest.raises(errors.InputError, match=r"image 1, pixel 8 .*not finite"):
        layer(given.requires_grad_())


@pytest.mark.parametrize("changed", ["images", "weights"])
def test_inputs_that_changed_since_are_noticed(path: str, changed: str) -> None:
    layer, given = conv(4, 3, 1, backend="native"), images(4).requires_grad_()
    used = given * 1
    maps = layer(used)
    expected = gradients(layer, given, layer(given * 1))
    with torch.no_grad():
        if changed == "images":
            used.zero_()
        else:
            layer.kernels[0].weight.zero_()
    if (changed == "images") != (path == "rows"):
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            gradients(layer, given, maps)
        return
    # Weights are stacked for all kernels at once, pixels laid out as rows: copies are kept.
    for ours, theirs in zip(gradients(layer, given, maps), expected, strict=True):
        assert torch.equal(ours, theirs)


def test_torchs_seed_decides_the_weights_where_none_is_given() -> None:
    def drawn(seed: int | None) -> list[list[float]]:
        torch.manual_seed(5)
        layer = QuantumPointwiseConv2d(4, 5, 1, backend="native", seed=seed)
        return [kernel.weight.tolist() for kernel in layer.kernels]

    assert drawn(None) == drawn(None) != drawn(1)
    assert drawn(None)[0] != drawn(None)[1]
    torch.manual_seed(6)
    other = QuantumPointwiseConv2d(4, 5, 1, backend="native")
    assert other.kernels[0].weight.tolist() != drawn(None)[0]


def test_numpys_whole_numbers_are_whole_numbers() -> None:
    plain = QuantumPointwiseConv2d(4, 5, 2, stride=(2, 1), backend="native", seed=3)
    four, five, two, one, three = (np.int64(n) for n in (4, 5, 2, 1, 3))
    layer = QuantumPointwiseConv2d(four, five, two, stride=(two, one), backend="native", seed=three)
    assert repr(layer) == repr(plain)
    assert torch.equal(layer.kernels[1].weight, plain.kernels[1].weight)
    assert layer(images(4)).shape == plain(images(4)).shape
    assert QuantumPointwiseConv2d(4, 5, 2, stride=two).stride == (2, 2)
    with pytest.raises(errors.OptionError, match="stride must be a whole number"):
        QuantumPointwiseConv2d(4, 5, 2, stride=1.5)


def test_unitaries_stop_where_they_say() -> None:
    spec = LayerSpec(9, n_layers=1)
    backend = get_backend("native")
    with pytest.raises(errors.OptionError, match="more than 8"):
        backend.forms(backend.compile(spec), np.zeros((1, spec.n_weights)))


def test_no_images_and_no_pixels(path: str) -> None:
    layer = conv(4, 3, 1, backend="native", length=True)
    for shape in ((0, 4, 2, 3), (2, 4, 0, 3)):
        given = torch.ones(shape, dtype=torch.float64, requires_grad=True)
        maps = layer(given)
        assert maps.shape == (shape[0], 4, *shape[2:])
        maps.sum().backward()
        assert given.grad.shape == shape


@pytest.mark.parametrize("n_weights", [11, 13])
def test_another_number_of_weights_is_refused(path: str, n_weights: int) -> None:
    layer = conv(4, 3, 2, backend="native")
    for kernel in layer.kernels:
        kernel.weight = torch.nn.Parameter(torch.ones(n_weights))
    with pytest.raises(errors.InputError, match=rf"takes 12 weights.*\({n_weights},\)"):
        layer(images(4))


def test_a_compiled_layer_answers_alike(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_into: list[bool] = []
    taken = QuantumPointwiseConv2d._taken

    def watched(layer: QuantumPointwiseConv2d, given: torch.Tensor) -> torch.Tensor:
        looked_into.append(torch.compiler.is_compiling())
        return taken(layer, given)

    monkeypatch.setattr(QuantumPointwiseConv2d, "_taken", watched)
    layer, given = conv(4, 3, 1, backend="native"), images(4)
    with torch.no_grad():
        compiled = torch.compile(layer, backend="eager")
        assert torch.equal(compiled(given), layer(given))
        layer.kernels[0].weight += 0.3
        assert torch.equal(compiled(given), layer(given))
    assert looked_into == 4 * [False]
