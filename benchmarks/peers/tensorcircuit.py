"""TensorCircuit-NG on JAX, vectorised over the batch and compiled by `jax.jit`.

https://tensorcircuit-ng.readthedocs.io
"""

from __future__ import annotations

from functools import partial
from typing import Any

from experiments.bench.contest import Contestant, Step
from experiments.bench.gates import angles, gates, observables
from experiments.bench.jax import jax_array, jax_step
from qbackend.layers.ansatze import Rotations
from qbackend.layers.circuit_layer import CircuitLayer
from qbackend.layers.program import Layer
from qbackend.layers.spec import LayerSpec

_NAMES = {"cx": "cnot", "p": "phase"}


def _circuit_row(layer: Layer, features: Any, weights: Any) -> Any:
    import tensorcircuit as tc

    circuit = tc.Circuit(layer.n_wires)
    for name, wires, values in gates(layer, angles(layer, features, weights)):
        theta = {"theta": values[0]} if values else {}
        if name == "rzx":
            # Not among its gates: RZZ with the basis of the second qubit changed.
            circuit.h(wires[1])
            circuit.rzz(*wires, **theta)
            circuit.h(wires[1])
        else:
            getattr(circuit, _NAMES.get(name, name))(*wires, **theta)
    outputs = []
    for terms in observables(layer):
        value = 0.0
        for factor, word in terms:
            places = {
                letter.lower(): [wire for wire, each in word.items() if each == letter]
                for letter in "XYZ"
            }
            value += factor * (tc.backend.real(circuit.expectation_ps(**places)) if word else 1.0)
        outputs.append(value)
    return tc.backend.stack(outputs)


def _prepare(spec: Layer, dtype: str) -> Step:
    import jax
    import tensorcircuit as tc

    backend = tc.set_backend("jax")
    tc.set_dtype("complex128" if dtype == "float64" else "complex64")
    if not isinstance(spec, LayerSpec):
        return jax_step(jax.vmap(partial(_circuit_row, spec), in_axes=(0, None)), dtype)

    def row(features: Any, weights: Any) -> Any:
        if spec.encoding == "amplitude":
            circuit = tc.Circuit(spec.n_wires, inputs=features / jax.numpy.linalg.norm(features))
        else:
            circuit = tc.Circuit(spec.n_wires)
            for wire in range(spec.n_wires):
                circuit.ry(wire, theta=features[wire])
        for operation in spec.operations:
            if isinstance(operation, Rotations):
                for wire, index in enumerate(operation.weights):
                    getattr(circuit, f"r{operation.axis}")(wire, theta=weights[index])
            else:
                for control, target in operation.pairs:
                    circuit.cnot(control, target)
        values = [backend.real(circuit.expectation_ps(z=[wire])) for wire in range(spec.n_wires)]
        return backend.stack(values)

    return jax_step(jax.vmap(row, in_axes=(0, None)), dtype)


TENSORCIRCUIT = Contestant(
    "tensorcircuit-jax",
    _prepare,
    jax_array,
    needs=("tensorcircuit-ng", "jax"),
    torch=False,
    takes=(LayerSpec, CircuitLayer),
)
