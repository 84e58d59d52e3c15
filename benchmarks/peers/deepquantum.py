"""DeepQuantum, a simulator written in torch.

https://github.com/TuringQ/deepquantum
"""

from __future__ import annotations

import torch

from experiments.bench.contest import BACKPROP_LIMIT, Contestant, Step, torch_step
from qbackend.layers.ansatze import Rotations
from qbackend.layers.spec import LayerSpec


def _prepare(spec: LayerSpec, dtype: str) -> Step:
    import deepquantum as dq

    circuit = dq.QubitCircuit(spec.n_wires)
    if spec.encoding == "angle":
        for wire in range(spec.n_wires):
            circuit.ry(wire, encode=True)
    rotations: list[tuple[torch.nn.Module, int]] = []
    for operation in spec.operations:
        if isinstance(operation, Rotations):
            for wire, index in enumerate(operation.weights):
                getattr(circuit, f"r{operation.axis}")(wire, inputs=0.0)
                rotations.append((circuit.operators[-1], index))
        else:
            for control, target in operation.pairs:
                circuit.cnot(control, target)
    for wire in range(spec.n_wires):
        circuit.observable(wire)
    circuit.to(getattr(torch, dtype))
    circuit.to(torch.get_default_device())
    weight = torch.zeros(spec.n_weights, dtype=getattr(torch, dtype), requires_grad=True)

    def layer(features: torch.Tensor) -> torch.Tensor:
        angles = weight.unbind()
        for gate, index in rotations:
            gate.theta = angles[index]
        if spec.encoding == "amplitude":
            circuit(state=circuit.amplitude_encoding(features))
        else:
            circuit(features)
        return circuit.expectation()

    return torch_step(layer, weight)


DEEPQUANTUM = Contestant(
    "deepquantum", _prepare, needs=("deepquantum",), max_amplitudes=BACKPROP_LIMIT
)
