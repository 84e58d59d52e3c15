"""EstimatorQNN behind TorchConnector on Aer's estimator, as qiskit-machine-learning ships them.

It differentiates a circuit by the parameter-shift rule, one execution per observable and shift, so
amplitudes come from the textbook tree of multiplexed RY gates, whose angles torch computes from
the features. https://qiskit-community.github.io/qiskit-machine-learning/
"""

from __future__ import annotations

import torch

from experiments.bench.contest import Contestant, Step, torch_step
from qbackend.circuits.logical import compile_layer
from qbackend.layers.encodings import gray_transform
from qbackend.layers.spec import LayerSpec


def _prepare(spec: LayerSpec, dtype: str) -> Step:
    from qiskit_aer.primitives import EstimatorV2
    from qiskit_machine_learning.connectors import TorchConnector
    from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
    from qiskit_machine_learning.neural_networks import EstimatorQNN

    compiled = compile_layer(spec)
    n_angles = spec.encoding_rule.n_angles(spec.n_wires)
    estimator = EstimatorV2()
    network = EstimatorQNN(
        circuit=compiled.circuit,
        observables=compiled.observables,
        input_params=compiled.parameters[:n_angles],
        weight_params=compiled.parameters[n_angles:],
        estimator=estimator,
        gradient=ParamShiftEstimatorGradient(estimator),
        input_gradients=True,
        default_precision=0.0,
    )
    connector = TorchConnector(network).to(getattr(torch, dtype))
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
