"""Rows of feature maps: which are drawn, and what a device's errors on them say."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from experiments.rows.draw import FEWEST_ROWS, draw_rows, share_rows
from experiments.rows.errors import Distortion, fit_distortion, row_errors
from experiments.rows.simulation import N_DRAWS, distorted_accuracy, simulated_accuracies
from models import QuantumPointwiseConv2d, to_backend
from qbackend import LayerSpec
from qbackend.devices.affine_map import fit_affine_map
from qbackend.errors import InputError, OptionError
from qbackend.registry import get_backend
from qbackend.seam.backend import Capabilities, QuantumBackend
from qbackend.seam.jobs import Job, LocalJob
from qbackend.seam.requests import CompiledLayer, Cost, Request, Result, local_cost


@given(
    per_image=st.lists(st.integers(1, 10**6), min_size=1, max_size=6),
    more=st.integers(0, 5_000),
)
def test_rows_are_shared_in_proportion_and_no_layer_goes_without(
    per_image: list[int], more: int
) -> None:
    n_rows = FEWEST_ROWS * len(per_image) + more
    shares = share_rows(n_rows, per_image)
    assert sum(shares) == n_rows
    assert min(shares) >= FEWEST_ROWS
    large = [(s, n) for s, n in zip(shares, per_image, strict=True) if s > FEWEST_ROWS + 1]
    total, found = sum(n for _, n in large), sum(s for s, _ in large)
    # Each share is rounded by less than one row, and so is the sum by less than one each.
    assert all(abs(s - found * n / total) < 1 + len(large) for s, n in large)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(OptionError, match="--rows 20 is the least"):
        share_rows(19, [300, 200])


def small_net(*, affine: bool = False) -> nn.Sequential:
    """Two quantum pointwise convolutions behind a ReLU, which makes zero vectors."""
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 1),
        nn.ReLU(),
        QuantumPointwiseConv2d(4, 5, 1, seed=3, affine=affine, stride=2),
        QuantumPointwiseConv2d(5, 7, 1, seed=4, length=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    nn.init.constant_(net[0].bias, -0.3)
    return net.eval()


def batches(n_batches: int = 3) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(8, 1, 6, 6, generator=generator) for _ in range(n_batches)]
    return [(each, torch.arange(8) % 3) for each in images]


def test_rows_are_vectors_of_real_maps_with_their_exact_outputs() -> None:
    net = small_net()
    shown = batches()
    first, second = draw_rows(net, shown, [30, 20], seed=5)
    with torch.no_grad():
        before = net[:2](torch.cat([images for images, _ in shown]))
        maps = net[2](before)
    vectors = net[2].channel_vectors(before).double().numpy().reshape(24, 9, 4)
    assert first.layer == "2"
    # The convolution before may round other batches otherwise, in float32.
    found = vectors[first.images, first.pixels]
    np.testing.assert_allclose(first.features, found, atol=1e-6)
    assert np.linalg.norm(first.features, axis=1).min() > 0
    assert first.live_share == np.any(vectors != 0, axis=2).mean() < 1
    assert len({*zip(first.images, first.pixels, strict=True)}) == 30
    assert sorted(np.bincount(first.kernels)) == [10, 10, 10]
    answers = maps.flatten(2).numpy()
    for row in range(30):
        kernel = first.kernels[row]
        # The last kernel's second output is cut: the maps have five channels.
        channels = [2 * kernel + wire for wire in range(2) if 2 * kernel + wire < 5]
        found = answers[first.images[row], channels, first.pixels[row]]
        np.testing.assert_allclose(first.exact[row, : len(channels)], found, atol=1e-6)
    again = draw_rows(net, shown, [30, 20], seed=5)
    np.testing.assert_array_equal(again[1].features, second.features)
    other = draw_rows(net, shown, [30, 20], seed=6)
    assert not np.array_equal(other[1].features, second.features)


def test_maps_that_are_zero_have_no_rows() -> None:
    net = small_net()
    nn.init.constant_(net[0].bias, -100.0)
    with pytest.raises(InputError, match="reaches 2 is zero"):
        draw_rows(net, batches(), [10, 10], seed=0)


def test_a_distortion_is_found_again() -> None:
    rng = np.random.default_rng(0)
    n = 4_000
    exact = rng.uniform(-1, 1, (n, 3))
    true = Distortion(np.array([0.9, 0.5, 1.0]), np.array([0.1, 0.0, -0.2]), np.full(3, 0.05))
    clean = exact * true.scale + true.offset
    found = fit_distortion(exact, clean)
    np.testing.assert_allclose(found.scale, true.scale, atol=1e-12)
    np.testing.assert_allclose(found.offset, true.offset, atol=1e-12)
    np.testing.assert_allclose(found.scatter, 0, atol=1e-12)
    measured = clean + 0.05 * rng.normal(size=(n, 3))
    found = fit_distortion(exact, measured)
    # Of a least-squares line over n points, and of a standard deviation.
    slope_error = 0.05 / np.sqrt(n / 3)
    assert np.abs(found.scale - true.scale).max() < 5 * slope_error
    assert np.abs(found.offset - true.offset).max() < 5 * 0.05 / np.sqrt(n)
    assert np.abs(found.scatter - 0.05).max() < 5 * 0.05 / np.sqrt(2 * n)
    errors = row_errors(exact, measured, np.full((n, 3), 0.04))
    differences = measured - exact
    assert errors.rmse == pytest.approx(np.sqrt((differences**2).mean()))
    assert errors.bias == pytest.approx(differences.mean())
    assert errors.shot_error == pytest.approx(0.04)
    halves = [row_errors(exact[i::2], measured[i::2], measured[i::2]) for i in range(2)]
    for name in ("rmse", "bias"):
        one, other = (getattr(half, name) for half in halves)
        spread = np.hypot(*(getattr(half, f"{name}_error") for half in halves))
        assert abs(one - other) < 5 * spread


class _Crooked(QuantumBackend):
    """Exact values, each wire's with a slope and an offset of its own."""

    name = "crooked"
    shots = None

    def __init__(self) -> None:
        self.inner = get_backend("aer")

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            exact=True, remote=False, vjp=False, max_wires=9, gradient_methods=("parameter-shift",)
        )

    def compile(self, spec: LayerSpec) -> CompiledLayer:
        return self.inner.compile(spec)

    def submit(self, request: Request) -> Job:
        exact = self.inner.evaluate(request).values
        values = self.bend(exact)
        return LocalJob(
            lambda job_id: Result(values, np.zeros_like(values), None, (job_id,), self.name)
        )

    def estimate(self, request: Request) -> Cost:
        return local_cost(request)

    @staticmethod
    def bend(exact: np.ndarray) -> np.ndarray:
        wires = np.arange(exact.shape[1])
        return exact * (0.8 - 0.2 * wires) + 0.1 * wires - 0.05


@pytest.mark.parametrize("affine", [False, True])
def test_an_error_without_scatter_is_predicted_exactly(affine: bool) -> None:
    net = small_net(affine=affine)
    if affine:
        nn.init.uniform_(net[2].scale, -2, 2)
        nn.init.uniform_(net[2].shift, -2, 2)
    shown = batches()
    drawn = draw_rows(net, shown, [40, 40], seed=0)
    pairs = {rows.layer: (rows.exact, _Crooked.bend(rows.exact)) for rows in drawn}
    distortions = {name: fit_distortion(*pair) for name, pair in pairs.items()}
    images, labels = shown[0]
    seen: list[Tensor] = []
    with net[-1].register_forward_pre_hook(lambda _, given: seen.append(given[0])):
        accuracy = distorted_accuracy(net, shown[:1], distortions, torch.Generator())
        to_backend(net, _Crooked())
        with torch.no_grad():
            direct = net(images)
    torch.testing.assert_close(seen[0], seen[1], atol=1e-5, rtol=0)
    assert accuracy == (direct.argmax(dim=1) == labels).double().mean()
    to_backend(net, "aer")
    found = simulated_accuracies(net, partial(iter, shown[:1]), pairs, seed=0)
    assert found.tolist() == [pytest.approx(float(accuracy))] * N_DRAWS
    maps = {name: fit_affine_map(measured, exact) for name, (exact, measured) in pairs.items()}
    corrected = simulated_accuracies(net, partial(iter, shown[:1]), pairs, 0, maps)
    with torch.no_grad():
        ideal = (net(images).argmax(dim=1) == labels).double().mean()
    assert corrected.tolist() == [pytest.approx(float(ideal))] * N_DRAWS


def test_a_large_scatter_leaves_nothing_but_chance() -> None:
    net = small_net()
    images = torch.randn(3_000, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    labels = torch.randint(3, (3_000,), generator=torch.Generator().manual_seed(3))
    wild = {
        name: Distortion(np.zeros(n), np.zeros(n), np.full(n, 1e3))
        for name, n in (("2", 2), ("3", 3))
    }
    accuracy = distorted_accuracy(net, [(images, labels)], wild, torch.Generator())
    # Labels that nothing tells are met by a third of any answers.
    assert abs(accuracy - 1 / 3) < 5 * np.sqrt(2 / 9 / 3_000)
