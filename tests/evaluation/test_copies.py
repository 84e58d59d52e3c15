"""Which copy answered which image, what its qubits explain, and which copy is far off."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from experiments.evaluation.copies import (
    CopyAnswers,
    far_off,
    noise_of_copies,
    under_own_noise,
)
from experiments.evaluation.evaluate import Evaluation, evaluate
from experiments.evaluation.meter import NO_COPY
from models import HybridCNN
from qbackend import LayerSpec, NoiseSpec, QuantumLayer
from qbackend.circuits.copied import Copying, with_copies
from qbackend.circuits.device_form import compile_for_target
from qbackend.devices.noise_spec import SavedNoise
from qbackend.devices.properties import read_properties
from qbackend.devices.snapshots import load_snapshot
from qbackend.registry import simulate_device
from qbackend.seam.requests import CompiledLayer, Request, Result

from ..support.distant import Distant

DEVICE = load_snapshot("fake_torino")


class SideBySide(Distant):
    """A backend that answers row k by copy k mod 3."""

    def evaluate(self, request: Request) -> Result:
        result = super().evaluate(request)
        return dataclasses.replace(result, copies=np.arange(len(result.values)) % 3)


def answered(features: torch.Tensor, backend: SideBySide) -> Evaluation:
    """What a bridge alone is asked for these features, in batches of four."""
    layer = QuantumLayer(LayerSpec(2), backend, seed=0)
    model = HybridCNN(nn.Identity(), layer, nn.Identity())
    labels = torch.zeros(len(features), dtype=torch.long)
    batches = zip(features.split(4), labels.split(4), strict=True)
    return evaluate(model, batches, ("a", "b"), 0.0)  # type: ignore[arg-type]


def test_an_image_that_is_never_sent_has_no_copy() -> None:
    """The rows that are sent move up: features without a norm have no circuit."""
    features = torch.rand(10, 4) + 0.1
    features[[0, 5]] = 0
    backend = SideBySide(100)
    found = answered(features, backend)
    assert backend.asked == [8]
    assert found.copies is not None
    assert found.copies.copies.tolist() == [NO_COPY, 0, 1, 2, 0, NO_COPY, 1, 2, 0, 1]
    assert (found.copies.stderr[[0, 5]] == 0).all()
    sent = found.copies.stderr[found.copies.copies >= 0]
    assert found.shot_error == pytest.approx(math.sqrt((sent**2).mean()))


def test_a_layer_that_stands_alone_says_nothing_of_copies() -> None:
    layer = QuantumLayer(LayerSpec(2), Distant(100), seed=0)
    model = HybridCNN(nn.Identity(), layer, nn.Identity())
    batch = (torch.rand(6, 4), torch.zeros(6, dtype=torch.long))
    assert evaluate(model, [batch], ("a", "b"), 0.0).copies is None  # type: ignore[arg-type]


def test_a_net_that_asks_for_many_rows_an_image_says_nothing_of_copies() -> None:
    class Twice(nn.Module):
        """A network with a layer on every half of its features."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = QuantumLayer(LayerSpec(2), SideBySide(100), seed=0)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return self.layer(features.reshape(-1, 2, 4)).mean(dim=1)

    batch = (torch.rand(6, 8), torch.zeros(6, dtype=torch.long))
    assert evaluate(Twice(), [batch], ("a", "b"), 0.0).copies is None  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def compiled() -> CompiledLayer:
    """Three copies of a small layer."""
    layer = compile_for_target(LayerSpec(2), DEVICE.target, device=DEVICE.name)
    return with_copies(layer, DEVICE.target, Copying(copies=3))


def simulated_on(*qubits: int) -> SavedNoise:
    """The device's noise on some qubits."""
    properties = read_properties(
        DEVICE.target, device=DEVICE.name, source="snapshot", calibrated_at=None, qubits=qubits
    )
    return SavedNoise(NoiseSpec(), properties)


def test_each_image_is_simulated_on_the_qubits_of_its_copy(compiled: CompiledLayer) -> None:
    saved = noise_of_copies(compiled, DEVICE, simulated_on(0, 1))
    places = [each["physical_qubits"] for each in compiled.record["copies"]]
    qubits = {qubit for each in places for qubit in each}
    assert saved.properties.physical_qubits == tuple(sorted(qubits | {0, 1}))
    rng = np.random.default_rng(0)
    features, weights = rng.random((7, 4)) + 0.1, rng.random(compiled.spec.n_weights)
    copies = np.array([0, 1, 2, NO_COPY, 0, 0, 1])
    found = under_own_noise(compiled, features, weights, copies, saved)
    assert found is not None
    assert (found[3] == 0).all()
    # The first copy is where the layer is put alone.
    alone = simulate_device(DEVICE)
    layer = alone.compile(compiled.spec)
    values = alone.evaluate(Request(layer, layer.rows(features, weights))).values
    first = copies == 0
    np.testing.assert_allclose(found[first], values[first], atol=1e-12)
    # Elsewhere other errors are reported.
    assert np.abs(found[copies > 0] - values[copies > 0]).max() > 1e-4


def test_noise_of_before_there_were_copies_is_not_enough(compiled: CompiledLayer) -> None:
    saved = simulated_on(*compiled.record["copies"][0]["physical_qubits"])
    features, weights = np.ones((2, 4)), np.zeros(compiled.spec.n_weights)
    assert under_own_noise(compiled, features, weights, np.array([0, 1]), saved) is None


def test_properties_of_some_qubits_are_those_that_are_read_of_them_alone() -> None:
    named = {"device": DEVICE.name, "source": "snapshot", "calibrated_at": None}
    wide = read_properties(DEVICE.target, qubits=[3, 4, 5, 16], **named)  # type: ignore[arg-type]
    some = read_properties(DEVICE.target, qubits=[5, 4], **named)  # type: ignore[arg-type]
    assert wide.among([5, 4]) == some
    with pytest.raises(ValueError, match="not in tuple"):
        wide.among([4, 17])


def answers(bias: float = 0.0, n_images: int = 240, n_copies: int = 12) -> CopyAnswers:
    """Outputs as shots and reported errors explain them, but for a bias of copy 7."""
    rng = np.random.default_rng(3)
    copies = np.arange(n_images) % n_copies
    own_noise = rng.uniform(-0.9, 0.9, (n_images, 4))
    stderr = np.sqrt((1 - own_noise**2) / 1000)
    outputs = rng.normal(own_noise, stderr) + bias * (copies == 7)[:, None]
    is_right = rng.random(n_images) < 0.9
    return CopyAnswers(copies, is_right, outputs, stderr, own_noise / 0.9, own_noise)


def test_scores_are_those_of_the_copys_own_images() -> None:
    given = answers()
    found = given.scores(13)
    mine = given.copies == 4
    assert found[4].n_images == mine.sum() == 20
    assert found[4].accuracy == given.is_right[mine].mean()
    low, high = found[4].accuracy_interval or (1.0, 0.0)
    assert low < found[4].accuracy < high
    for name, reference in (("ideal_rmse", given.ideal), ("noise_rmse", given.own_noise)):
        expected = np.sqrt(((given.outputs - reference)[mine] ** 2).mean())
        assert getattr(found[4], name) == pytest.approx(expected)
    assert found[4].shot_rmse == pytest.approx(np.sqrt((given.stderr[mine] ** 2).mean()))
    # There are fewer images than copies.
    assert found[12].to_dict() == {"n_images": 0}
    assert [each.is_far_off for each in found] == [False] * 13


def test_a_copy_that_is_far_off_is_found() -> None:
    found = answers(bias=0.15).scores(12)
    assert [index for index, each in enumerate(found) if each.is_far_off] == [7]


def test_nothing_is_far_off_from_what_is_not_known() -> None:
    given = dataclasses.replace(answers(bias=0.5), own_noise=None)
    found = given.scores(12)
    assert not any(each.is_far_off for each in found)
    assert all(each.noise_rmse is None for each in found)


@pytest.mark.parametrize("n_images", [1, 4, 80])
def test_chance_alone_is_not_far_off(n_images: int) -> None:
    """Also of few images, whose squares are far from normal, and with outputs of the same shots."""
    rng = np.random.default_rng(n_images)
    for n_copies in (3, 24):
        for _ in range(500):
            squares = rng.normal(size=(n_copies, n_images)) ** 2
            assert not far_off(squares.mean(axis=1), np.full(n_copies, n_images)).any()


def test_errors_that_are_not_reported_are_those_of_all_copies() -> None:
    """A device that is ten times as noisy as it says has no copy that is far off."""
    rng = np.random.default_rng(0)
    spread = 10 * np.exp(rng.normal(0, 0.5, 24))
    assert not far_off(spread, np.full(24, 400)).any()
    spread[[2, 9]] = 10 * np.exp(0.5 * 8)
    # Two do not hide each other.
    assert np.flatnonzero(far_off(spread, np.full(24, 400))).tolist() == [2, 9]


def test_of_two_copies_nobody_knows_which_one_is_right() -> None:
    assert not far_off([1.0, 1e6], [100, 100]).any()
