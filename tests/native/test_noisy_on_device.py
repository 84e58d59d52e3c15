"""`native:DEVICE` as it runs off the CPU: the same numbers, and nothing that waits."""

from __future__ import annotations

import pickle
from functools import cache

import pytest
import torch
from torch import Tensor

from qbackend import CircuitLayer, LayerSpec, QuantumLayer
from qbackend.devices.snapshots import load_snapshot
from qbackend.errors import OptionError
from qbackend.layers.program import Layer
from qbackend.native.noisy import NativeNoisy
from qbackend.native.pauli.layer import ReadoutSimulation
from qbackend.seam.backend import Forward
from qbackend.seam.requests import CompiledLayer

from ..support import own_circuit
from ..support.no_synchronisation import no_synchronisation

EXACT = {torch.float32: 1e-6, torch.float64: 1e-12}


class OnDevice(NativeNoisy):
    """The tensors' way, for those of the CPU too."""

    def forward(
        self, compiled: CompiledLayer, features: Tensor, weights: Tensor, *, differentiate: bool
    ) -> Forward:
        simulation = self._on_device(self._simulation(compiled), features)
        return simulation.forward(features, weights, differentiate)


@cache
def backend(kind: type[NativeNoisy], device: str, preparation: str) -> NativeNoisy:
    return kind(load_snapshot(device), None, preparation)  # type: ignore[arg-type]


def own() -> CircuitLayer:
    circuit = own_circuit.circuit()
    features, weights = ([p for p in circuit.parameters if p.name[0] == x] for x in "xw")
    return CircuitLayer(circuit, features=features, weights=weights)


CASES: dict[str, tuple[Layer, str, str]] = {
    "compact": (LayerSpec(4), "fake_brisbane", "compact"),
    "compact 3": (LayerSpec(3, "amplitude", "strongly_entangling"), "fake_fez", "compact"),
    "compact 2": (LayerSpec(2), "fake_brisbane", "compact"),
    "compact 5": (LayerSpec(5, n_layers=1), "fake_brisbane", "compact"),
    "textbook": (LayerSpec(4), "fake_brisbane", "textbook"),
    "textbook 3": (LayerSpec(3, "amplitude", "strongly_entangling"), "fake_fez", "textbook"),
    "textbook 1": (LayerSpec(1), "fake_fez", "textbook"),
    "angle": (LayerSpec(4, "angle", "strongly_entangling"), "fake_fez", "auto"),
    "own": (own(), "fake_brisbane", "auto"),
}


def rows_of(layer: Layer, n_rows: int = 6) -> Tensor:
    """The second encodes nothing, the third has a vanishing node, the fourth is scarce.

    They are long, for a gradient rounds in proportion to the reciprocal length of a node.
    """
    torch.manual_seed(1)
    rows = torch.randn(n_rows, layer.n_features, dtype=torch.float64)
    rows *= 8 / rows.norm(dim=1, keepdim=True)
    if isinstance(layer, LayerSpec) and layer.encoding == "amplitude":
        rows[1] *= 1e-14
        rows[2, :2] *= 1e-5
        rows[3, 1:] = 0
    return rows


def step(layer: QuantumLayer, features: Tensor, cotangent: Tensor) -> tuple[Tensor, ...]:
    """Outputs, and gradients by features and weights."""
    outputs = layer(features)
    wanted = (features, layer.weight)
    return (outputs.detach(), *torch.autograd.grad(outputs, wanted, cotangent))


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_cpus_engine(case: str, dtype: torch.dtype) -> None:
    spec, *where = CASES[case]
    found = []
    for kind, precision in ((OnDevice, dtype), (NativeNoisy, torch.float64)):
        layer = QuantumLayer(spec, backend(kind, *where), seed=0).to(precision)
        # What is rounded is the same for both.
        features = rows_of(spec).to(dtype).to(precision).requires_grad_()
        cotangent = torch.linspace(-1, 1, 6 * spec.n_outputs).reshape(6, -1).to(precision)
        found.append(step(layer, features, cotangent))
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == dtype
        scale = max(1.0, float(theirs.abs().max()))
        torch.testing.assert_close(ours.double(), theirs, atol=EXACT[dtype] * scale, rtol=0)


@pytest.mark.parametrize("case", [name for name in CASES if name != "compact 5"])
def test_nothing_waits(case: str) -> None:
    spec, *where = CASES[case]
    layer = QuantumLayer(spec, backend(OnDevice, *where), seed=0)
    features, cotangent = rows_of(spec).float().requires_grad_(), torch.ones(6, spec.n_outputs)
    expected = step(layer, features, cotangent)
    with no_synchronisation():
        found = step(layer, features, cotangent)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_averages_that_move_with_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are then computed anew, and where they do not move are the same."""
    monkeypatch.setattr(ReadoutSimulation, "average_moves", True)
    fresh = OnDevice(backend(OnDevice, "fake_brisbane", "compact").device, None, "compact")
    spec, features, cotangent = LayerSpec(3), rows_of(LayerSpec(3)), torch.ones(6, 3)
    features.requires_grad_()
    layer = QuantumLayer(spec, fresh, seed=0).double()
    moving = step(layer, features, cotangent.double())
    with no_synchronisation():
        step(layer, features, cotangent.double())
    layer.to_backend(backend(NativeNoisy, "fake_brisbane", "compact"))
    torch.testing.assert_close(
        moving, step(layer, features, cotangent.double()), atol=EXACT[torch.float64], rtol=0
    )


@pytest.mark.parametrize("case", ["compact", "textbook"])
def test_rows_that_encode_nothing(case: str) -> None:
    spec, *where = CASES[case]
    layer = QuantumLayer(spec, backend(OnDevice, *where), seed=0)
    features = torch.randn(4, 16)
    features[1], features[2] = 0, 1e-30
    features.requires_grad_()
    outputs, of_features, of_weights = step(layer, features, torch.ones(4, 4))
    assert not outputs[1:3].any()
    assert not of_features[1:3].any()
    others = features.detach()[[0, 3]].requires_grad_()
    torch.testing.assert_close(step(layer, others, torch.ones(2, 4))[2], of_weights)


@pytest.mark.parametrize("case", ["compact", "textbook", "angle", "own"])
@pytest.mark.parametrize("entry", [float("nan"), float("inf")])
def test_rows_that_are_not_finite_have_no_outputs(case: str, entry: float) -> None:
    spec, *where = CASES[case]
    layer = QuantumLayer(spec, backend(OnDevice, *where), seed=0)
    features = torch.randn(3, spec.n_features)
    expected = layer(features)
    features[0, 1] = entry
    outputs = layer(features)
    assert outputs[0].isnan().all()
    assert torch.equal(outputs[1:], expected[1:])
    with torch.no_grad():
        layer.weight[0] = entry
    assert layer(features).isnan().all()


@pytest.mark.parametrize("case", ["compact", "angle", "own"])
def test_no_rows(case: str) -> None:
    spec, *where = CASES[case]
    layer = QuantumLayer(spec, backend(OnDevice, *where), seed=0)
    features = torch.empty(0, spec.n_features, requires_grad=True)
    outputs, *gradients = step(layer, features, torch.empty(0, spec.n_outputs))
    assert outputs.shape == (0, spec.n_outputs)
    assert [each.shape for each in gradients] == [features.shape, layer.weight.shape]
    assert not gradients[1].any()


def test_further_derivatives_are_refused_and_transforms_work() -> None:
    layer = QuantumLayer(LayerSpec(2), backend(OnDevice, "fake_brisbane", "compact"), seed=0)
    features = torch.randn(3, 4, requires_grad=True)
    outputs = layer(features)
    (gradient,) = torch.autograd.grad(outputs.sum(), features, create_graph=True)
    with pytest.raises(OptionError, match="no second derivatives"):
        gradient.sum().backward()
    of_rows = torch.func.vmap(torch.func.jacrev(layer))(features.detach())
    torch.testing.assert_close(of_rows.sum(dim=1), gradient)


def test_the_weights_move_at_once_and_one_layer_is_kept() -> None:
    spec = LayerSpec(2)
    there = backend(OnDevice, "fake_brisbane", "compact")
    layer = QuantumLayer(spec, there, seed=0)
    features = torch.randn(3, 4)
    before, kept = layer(features), len(there._on_devices)
    with torch.no_grad():
        layer.weight += 0.1
    assert (layer(features) - before).abs().max() > 1e-3
    assert len(there._on_devices) == kept
    copied = pickle.loads(pickle.dumps(layer))
    assert torch.equal(copied(features), layer(features))
