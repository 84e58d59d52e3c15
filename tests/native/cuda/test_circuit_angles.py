"""The angles of circuits by the fused kernels: every expression, and what is not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector

from experiments.bench.circuits import circuit_layer
from qbackend import CircuitLayer, QuantumLayer, errors

from .agreement import Fused, check
from .emulator import Emulator, needs_compiler

pytestmark = needs_compiler


EXPRESSIONS: dict[str, Callable[[Any, Any], Any]] = {
    "square": lambda x, w: x**2 + w**2,
    "power of a feature": lambda x, w: w**x,
    "power of a weight": lambda x, w: x**w,
    "power of itself": lambda x, w: x**x * w,
    "reciprocal": lambda x, w: w / x,
    "sine and cosine": lambda x, w: x.sin() * w.cos(),
    "tangent": lambda x, w: x.tan() + w.tan(),
    "arcs": lambda x, w: x.arcsin() * w.arccos() + (x * w).arctan(),
    "other arcs": lambda x, w: w.arcsin() + x.arccos() - (x + w).arctan(),
    "exponential": lambda x, w: (x - w).exp() + w.exp(),
    "logarithm": lambda x, w: x.log() * w.log(),
    "absolute": lambda x, w: (x - w).abs() + (w - 2).abs(),
    "sign": lambda x, w: (x - 2).sign() * x + w.sign() * w,
    "many turns": lambda x, w: 1e4 * x + 1e4 * w,
}


def layer_of(name: str) -> CircuitLayer:
    """A wire that is turned by that expression of a feature and a weight."""
    x, w = Parameter("x"), Parameter("w")
    circuit = QuantumCircuit(1)
    circuit.rx(EXPRESSIONS[name](x, w), 0)
    circuit.ry(w, 0)
    return CircuitLayer(circuit, features=[x], weights=[w], observables=["Z", "Y"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_angles(name: str, dtype: torch.dtype) -> None:
    check(layer_of(name), [[0.25], [0.5], [0.75]], dtype, weights=[0.625])


def test_where_nothing_is_asked_a_pole_is_no_answer() -> None:
    """Derivatives of roots and powers at 0, of which the outputs depend on some only."""
    x, w = ParameterVector("x", 2), ParameterVector("w", 1)
    circuit = QuantumCircuit(2)
    circuit.rx(x[0] ** 2 + x[0].abs(), 0)
    circuit.ry(x[1] ** 0.5, 1)
    circuit.ry(w[0] ** 3 + x[0] ** 3, 0)
    spec = CircuitLayer(circuit, features=x, weights=w, observables=["IZ"])
    layer = QuantumLayer(spec, Fused(Emulator()), seed=0)
    with torch.no_grad():
        layer.weight.zero_()
    features = torch.zeros(2, 2, requires_grad=True)
    layer(features).sum().backward()
    assert features.grad is not None
    assert not features.grad.any()
    assert not layer.weight.grad.any()


def told() -> tuple[QuantumLayer, torch.Tensor]:
    x, w = ParameterVector("x", 2), ParameterVector("w", 2)
    circuit = QuantumCircuit(2)
    circuit.ry(1 / x[0] + w[0], 0)
    circuit.ry(1 / w[1], 1)
    spec = CircuitLayer(circuit, features=x, weights=w)
    return QuantumLayer(spec, Fused(Emulator()), seed=0), torch.rand(40, 2) + 0.5


@pytest.mark.parametrize(
    ("column", "entry", "words"),
    [
        (0, float("nan"), "features row 33 of an earlier call has an entry"),
        # The circuit does not even use it.
        (1, float("inf"), "features row 33 of an earlier call has an entry"),
        (0, 0.0, "features row 33 of an earlier call made an angle"),
    ],
)
def test_a_row_that_is_not_finite_is_told_by_the_next_call(
    column: int, entry: float, words: str
) -> None:
    layer, features = told()
    features[33, column] = entry
    outputs = layer(features)
    assert outputs[33, 0].isnan()
    assert not outputs[:33].isnan().any()
    assert not outputs[34:].isnan().any()
    with pytest.raises(errors.InputError, match=words):
        layer(features[:2])
    layer(features[:2])


@pytest.mark.parametrize(
    ("weight", "entry", "words"),
    [
        (0, float("nan"), "weight 0 of an earlier call has an entry"),
        (1, float("nan"), "weight 1 of an earlier call has an entry"),
        (1, 0.0, "the weights of an earlier call made an angle"),
    ],
)
def test_weights_that_are_not_finite_are_told(weight: int, entry: float, words: str) -> None:
    layer, features = told()
    with torch.no_grad():
        layer.weight[weight] = entry
    assert layer(features).isnan().any(dim=1).all()
    with pytest.raises(errors.InputError, match=words):
        layer(features)


def test_no_rows() -> None:
    spec = circuit_layer("qcnn")
    layer = QuantumLayer(spec, Fused(Emulator()), seed=0)
    features = torch.empty(0, spec.n_features, requires_grad=True)
    outputs = layer(features)
    outputs.sum().backward()
    assert outputs.shape == (0, 1)
    assert layer.weight.grad is not None
    assert not layer.weight.grad.any()
