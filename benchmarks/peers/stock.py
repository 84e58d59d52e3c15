"""EstimatorQNN behind TorchConnector on Aer's estimator, as qiskit-machine-learning ships them.

It differentiates a circuit by the parameter-shift rule, one execution per observable and shift, so
amplitudes come from the textbook tree of multiplexed RY gates, whose angles torch computes from
the features. https://qiskit-community.github.io/qiskit-machine-learning/
"""

from __future__ import annotations

from typing import Any

import torch
from qiskit import QuantumCircuit, transpile

from experiments.bench.contest import Contestant, Step, torch_step
from qbackend.circuits.logical import compile_layer
from qbackend.layers.circuit_layer import CircuitLayer
from qbackend.layers.encodings import gray_transform
from qbackend.layers.spec import LayerSpec


def _connector(
    circuit: QuantumCircuit, observables: Any, features: Any, weights: Any, estimator: Any
) -> Any:
    from qiskit_machine_learning.connectors import TorchConnector
    from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
    from qiskit_machine_learning.neural_networks import EstimatorQNN

    network = EstimatorQNN(
        circuit=circuit,
        observables=observables,
        input_params=features,
        weight_params=weights,
        estimator=estimator,
        gradient=ParamShiftEstimatorGradient(estimator),
        input_gradients=True,
        default_precision=0.0,
    )
    return TorchConnector(network)


def _of_circuit(layer: CircuitLayer, estimator: Any) -> Step:
    # Aer takes controlled phases for angle 0 where it binds them: constants and rotations it gets.
    lowered = transpile(layer.circuit, basis_gates=["rx", "ry", "rz", "cx"], optimization_level=0)
    connector = _connector(
        lowered, list(layer.observables), layer.features, layer.weights, estimator
    )
    return torch_step(connector, connector.weight)


def _by_aer(layer: CircuitLayer, dtype: str) -> Step:
    from qiskit_aer.primitives import EstimatorV2

    return _of_circuit(layer, EstimatorV2())


def _by_statevectors(layer: CircuitLayer, dtype: str) -> Step:
    from qiskit.primitives import StatevectorEstimator

    return _of_circuit(layer, StatevectorEstimator())


def _prepare(spec: LayerSpec, dtype: str) -> Step:
    from qiskit_aer.primitives import EstimatorV2

    compiled = compile_layer(spec)
    n_angles = spec.encoding_rule.n_angles(spec.n_wires)
    features, weights = compiled.parameters[:n_angles], compiled.parameters[n_angles:]
    estimator = EstimatorV2()
    connector = _connector(compiled.circuit, compiled.observables, features, weights, estimator)
    connector = connector.to(getattr(torch, dtype))
    if spec.encoding == "angle":
        return torch_step(connector, connector.weight)
    return torch_step(lambda features: connector(amplitude_angles(features)), connector.weight)


def amplitude_angles(features: torch.Tensor) -> torch.Tensor:
    """Differentiable angles of the preparing circuit, (B, F) -> (B, F - 1).

    The formula of `qbackend.encodings.AmplitudeEncoding.angles`.
    """
    levels = []
    while features.shape[1] > 1:
        left, right = features[:, 0::2], features[:, 1::2]
        turns = 2 * torch.atan2(right, left)
        transform = torch.from_numpy(gray_transform(turns.shape[1])).to(turns.dtype)
        levels.append(turns @ transform.T / turns.shape[1])
        features = torch.hypot(left, right)
    return torch.cat(levels[::-1], dim=1)


# The connector gives float32. A row takes a fifth of a second on 4 wires, and the time grows with
# rows, gates and outputs.
STOCK = Contestant(
    "estimator-qnn-aer",
    _prepare,
    needs=("qiskit-machine-learning", "qiskit-aer"),
    dtypes=("float32",),
    max_wires=6,
    max_features=2**10,
)
# Circuits that Qiskit's users bring, a row at a time.
STOCK_CIRCUITS = tuple(
    Contestant(
        name,
        prepare,
        needs=("qiskit-machine-learning", "qiskit-aer"),
        dtypes=("float32",),
        max_wires=max_wires,
        takes=(CircuitLayer,),
        circuit_rows=1,
    )
    for name, prepare, max_wires in (
        ("stock-aer", _by_aer, 10),
        ("stock-statevector", _by_statevectors, 6),
    )
)
