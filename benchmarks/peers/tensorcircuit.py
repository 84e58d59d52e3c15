"""TensorCircuit-NG on JAX, vectorised over the batch and compiled by `jax.jit`.

https://tensorcircuit-ng.readthedocs.io
"""

from __future__ import annotations

from typing import Any

from experiments.bench.contest import Contestant, Step
from experiments.bench.jax import jax_array, jax_step
from qbackend.layers.ansatze import Rotations
from qbackend.layers.spec import LayerSpec


def _prepare(spec: LayerSpec, dtype: str) -> Step:
    import jax
    import tensorcircuit as tc

    backend = tc.set_backend("jax")
    tc.set_dtype("complex128" if dtype == "float64" else "complex64")

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
    "tensorcircuit-jax", _prepare, jax_array, needs=("tensorcircuit-ng", "jax"), torch=False
)
