"""PennyLane as its users run it: by backpropagation in torch and in JAX, and by the adjoint method.

https://docs.pennylane.ai/en/stable/introduction/interfaces.html
"""

from __future__ import annotations

from typing import Any

import torch

from qbackend.layers.circuit_layer import CircuitLayer
from qbackend.layers.program import Layer
from qbackend.layers.spec import LayerSpec

from .contest import BACKPROP_LIMIT, Contestant, Step, torch_step
from .gates import Term, angles, gates, observables
from .jax import jax_array, jax_step


def _qnode(spec: LayerSpec, device: str, interface: str, method: str) -> Any:
    """The layer by PennyLane's own templates: a QNode of `inputs` (B, F) and `weights` (W,)."""
    import pennylane as qml

    wires = range(spec.n_wires)

    @qml.qnode(qml.device(device, wires=spec.n_wires), interface=interface, diff_method=method)
    def circuit(inputs: Any, weights: Any) -> Any:
        if spec.encoding == "amplitude":
            qml.AmplitudeEmbedding(inputs, wires=wires, normalize=True)
        else:
            qml.AngleEmbedding(inputs, wires=wires, rotation="Y")
        if spec.ansatz == "strongly_entangling":
            weights = weights.reshape(spec.n_layers, spec.n_wires, 3)
            qml.StronglyEntanglingLayers(weights, wires=wires)
        else:
            qml.BasicEntanglerLayers(weights.reshape(spec.n_layers, spec.n_wires), wires=wires)
        return [qml.expval(qml.Z(wire)) for wire in wires]

    return circuit


def _torch_layer(spec: LayerSpec, dtype: torch.dtype, device: str, method: str) -> Any:
    import pennylane as qml

    node = _qnode(spec, device, "torch", method)
    return qml.qnn.TorchLayer(node, {"weights": (spec.n_weights,)}).to(dtype)


def _backprop(spec: LayerSpec, dtype: str) -> Step:
    layer = _torch_layer(spec, getattr(torch, dtype), "default.qubit", "backprop")
    return torch_step(layer, layer.weights)


def _adjoint(spec: LayerSpec, dtype: str) -> Step:
    # In float32 the angles of the state preparation would lose half of their digits.
    layer = _torch_layer(spec, torch.float64, "lightning.qubit", "adjoint")
    return torch_step(lambda features: layer(features.double()).float(), layer.weights)


_NAMES = {
    "h": "Hadamard", "x": "X", "y": "Y", "z": "Z", "s": "S", "t": "T", "sx": "SX", "cx": "CNOT",
    "cy": "CY", "cz": "CZ", "swap": "SWAP", "iswap": "ISWAP", "rx": "RX", "ry": "RY", "rz": "RZ",
    "p": "PhaseShift", "rxx": "IsingXX", "ryy": "IsingYY", "rzz": "IsingZZ",
}  # fmt: skip


def _circuit_node(layer: Layer) -> Any:
    import pennylane as qml

    @qml.qnode(qml.device("default.qubit", wires=layer.n_wires), interface="jax")
    def circuit(features: Any, weights: Any) -> Any:
        for name, wires, values in gates(layer, angles(layer, features, weights)):
            if name == "rzx":
                qml.PauliRot(values[0], "ZX", wires=wires)
            else:
                getattr(qml, _NAMES[name])(*values, wires=wires)
        return [qml.expval(_sum(terms)) for terms in observables(layer)]

    def _sum(terms: list[Term]) -> Any:
        words = [
            qml.prod(*(getattr(qml, letter)(wire) for wire, letter in word.items()))
            if word
            else qml.Identity(0)
            for _, word in terms
        ]
        return qml.dot([value for value, _ in terms], words)

    return circuit


def _jax(spec: Layer, dtype: str) -> Step:
    import jax

    if not isinstance(spec, LayerSpec):
        row = _circuit_node(spec)
        layer = jax.vmap(lambda x, w: jax.numpy.stack(row(x, w)), in_axes=(0, None))
        return jax_step(layer, dtype)
    node = _qnode(spec, "default.qubit", "jax", "backprop")
    return jax_step(
        lambda features, weights: jax.numpy.stack(node(features, weights), axis=-1), dtype
    )


PENNYLANE = (
    Contestant(
        "pennylane-jax",
        _jax,
        jax_array,
        needs=("pennylane", "jax"),
        torch=False,
        takes=(LayerSpec, CircuitLayer),
    ),
    Contestant("pennylane-torch", _backprop, needs=("pennylane",), max_amplitudes=BACKPROP_LIMIT),
    # Its values are float32 behind torch, whatever it is given; it runs the rows one by one, and
    # prepares amplitudes by a circuit of as many rotations.
    Contestant(
        "pennylane-lightning",
        _adjoint,
        needs=("pennylane", "pennylane-lightning"),
        dtypes=("float32",),
        max_features=2**11,
    ),
)
"""Default.qubit compiled by `jax.jit`, the TorchLayer of the published networks, Lightning."""
