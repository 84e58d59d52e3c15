"""Forward and backward of a layer under a device's noise, beside Aer and the fastest peers.

    python benchmarks/noisy_layer.py --out noisy.json

`native:DEVICE` and `aer:DEVICE` (by the parameter-shift rule) get features and compute angles and
chain rule themselves. The peers get the compiled circuit and its rows of parameters: each gate and
the channel behind it is one Kraus channel for them, RZ a gate, and jax.jit compiles forward and
backward together. `native, from angles` does exactly that job. All of them agree before anything is
timed; weights move between the calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from qiskit.circuit import ParameterExpression
from qiskit.quantum_info import Kraus, Operator, SuperOp

from experiments.bench.contest import N_WEIGHT_VECTORS, Step, torch_step
from experiments.bench.jax import jax_array, jax_step
from experiments.bench.timing import FULL, Effort, conditions, installed, interleave
from qbackend import LayerSpec, QuantumLayer, get_backend
from qbackend.devices.noise import NoisyLayer, assignment_matrices, channel_after
from qbackend.native.pauli.cpu import CpuProgram
from qbackend.native.pauli.layer import LayerSimulation

Array = NDArray[np.floating]

AGREEMENT = 1e-4
"""Of values in float32 that went through some hundred gates."""


@dataclass(frozen=True)
class Gate:
    """One step of a compiled circuit: RZ by slopes · parameters + offset, or Kraus operators."""

    qubits: tuple[int, ...]
    slopes: Array
    offset: float
    kraus: tuple[NDArray[np.complexfloating], ...]


def gates_of(layer: NoisyLayer) -> list[Gate]:
    """The circuit gate by gate; a gate's first qubit is the last factor of its Kraus operators."""
    column = {parameter: index for index, parameter in enumerate(layer.parameters)}
    gates = []
    for item in layer.circuit.data:
        qubits = tuple(layer.circuit.find_bit(qubit).index for qubit in item.qubits)
        slopes, offset, kraus = np.zeros(len(column)), 0.0, ()
        if item.operation.name == "rz":
            angle = item.operation.params[0]
            if isinstance(angle, ParameterExpression):
                for parameter in angle.parameters:
                    slopes[column[parameter]] = float(angle.gradient(parameter))
                angle = angle.bind(dict.fromkeys(angle.parameters, 0.0))
            offset = float(angle)
        else:
            channel = channel_after(layer.model, item.operation, qubits)
            gate = SuperOp(Operator(item.operation))
            noisy = gate if channel is None else gate.compose(SuperOp(channel))
            kraus = tuple(Kraus(noisy).data)
        gates.append(Gate(qubits, slopes, offset, kraus))
    return gates


def outcomes(layer: NoisyLayer) -> Array:
    """What the observables are worth in each basis state, as read, (M, 2^Q); qubit 0 last."""
    readout = np.eye(1)
    for matrix in assignment_matrices(layer.model, layer.circuit.num_qubits):
        readout = np.kron(matrix, readout)
    eigenvalues = [np.diag(observable.to_matrix()).real for observable in layer.observables]
    return np.array(eigenvalues) @ readout.T


def pennylane_step(layer: NoisyLayer) -> Step:
    """`default.mixed`, vectorised over the rows."""
    import jax
    import pennylane as qml

    gates, worth, n_qubits = gates_of(layer), outcomes(layer), layer.circuit.num_qubits

    @qml.qnode(qml.device("default.mixed", wires=n_qubits), interface="jax")
    def circuit(row: Any) -> Any:
        for gate in gates:
            if gate.kraus:
                qml.QubitChannel(gate.kraus, wires=gate.qubits[::-1])
            else:
                qml.RZ(gate.slopes @ row + gate.offset, wires=gate.qubits[0])
        return qml.probs(wires=range(n_qubits)[::-1])

    def forward(angles: Any, weights: Any) -> Any:
        rows = jax.vmap(lambda row: jax.numpy.concatenate([row, weights]))(angles)
        return jax.vmap(circuit)(rows) @ worth.T

    return jax_step(forward, "float32")


def tensorcircuit_step(layer: NoisyLayer) -> Step:
    """TensorCircuit-NG's density matrix, vectorised over the rows."""
    import jax
    import tensorcircuit as tc

    backend = tc.set_backend("jax")
    tc.set_dtype("complex64")
    gates, worth, n_qubits = gates_of(layer), outcomes(layer), layer.circuit.num_qubits

    def circuit(angles: Any, weights: Any) -> Any:
        row = jax.numpy.concatenate([angles, weights])
        density = tc.DMCircuit(n_qubits)
        for gate in gates:
            places = [n_qubits - 1 - qubit for qubit in gate.qubits[::-1]]
            if gate.kraus:
                operators = [tc.gates.Gate(_tensor(matrix)) for matrix in gate.kraus]
                density.general_kraus(operators, *places)
            else:
                density.rz(places[0], theta=gate.slopes @ row + gate.offset)
        return worth @ backend.real(jax.numpy.diagonal(density.densitymatrix()))

    return jax_step(jax.vmap(circuit, in_axes=(0, None)), "float32")


def _tensor(matrix: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    return matrix.astype(np.complex64).reshape([2] * (2 * (len(matrix).bit_length() - 1)))


def simulation_step(layer: NoisyLayer) -> Step:
    """Our engine alone, from rows of parameters as the peers."""
    (readout,) = LayerSimulation(layer).readouts
    program = readout.program
    engine = CpuProgram(program, np.float32)
    n_angles = len(layer.parameters) - layer.spec.n_weights

    def step(angles: Array, weights: Array, cotangent: Array) -> tuple[Array, Array, Array]:
        rows = np.concatenate([angles, np.broadcast_to(weights, (len(angles), len(weights)))], 1)
        turns, tail = program.head.angles(rows), program.tail.angles(rows[0])
        forms = engine.forms(tail)
        values = engine.values(forms, turns)
        of_turns, of_forms = engine.gradients(forms, turns, cotangent)
        of_rows = of_turns @ program.head.slopes
        of_weights = engine.pull_forms(tail, of_forms) @ program.tail.slopes
        of_weights[n_angles:] += of_rows[:, n_angles:].sum(axis=0)
        return values, of_rows[:, :n_angles], of_weights[n_angles:]

    return step


def calls_of(
    spec: LayerSpec, device: str, preparation: str, batch: int
) -> dict[str, Callable[[], Any]]:
    """Everybody's step with its inputs; each call takes the next weights."""
    rng = np.random.default_rng(0)
    backend = get_backend(f"native:{device}", preparation=preparation)
    layer = backend.compile(spec)
    features = rng.normal(size=(batch, spec.n_features)).astype(np.float32)
    vectors = rng.uniform(0, 2 * np.pi, (N_WEIGHT_VECTORS, spec.n_weights)).astype(np.float32)
    cotangent = rng.normal(size=(batch, spec.n_outputs)).astype(np.float32)
    angles = layer.rows(features, vectors[0])[:, : -spec.n_weights].astype(np.float32)

    def bind(step: Step, given: Array, array: Callable[[Array], Any]) -> Callable[[], Any]:
        weights = cycle([array(vector) for vector in vectors])
        inputs, factors = array(given), array(cotangent)
        return lambda: step(inputs, next(weights), factors)

    calls = {}
    for name in (f"native:{device}", f"aer:{device}"):
        module = QuantumLayer(spec, get_backend(name, preparation=preparation), seed=0)
        calls[name] = bind(torch_step(module, module.weight), features, torch.from_numpy)
    calls["native, from angles"] = bind(simulation_step(layer), angles, np.asarray)
    if installed("pennylane") and installed("jax"):
        calls["pennylane default.mixed, from angles"] = bind(
            pennylane_step(layer), angles, jax_array
        )
    if installed("tensorcircuit-ng") and installed("jax"):
        calls["tensorcircuit-ng density, from angles"] = bind(
            tensorcircuit_step(layer), angles, jax_array
        )
    return calls


def check(calls: dict[str, Callable[[], Any]]) -> None:
    """Raise `AssertionError` unless all agree: features' gradients among equal inputs only."""
    first, *others = results = {
        name: [np.asarray(x) for x in call()] for name, call in calls.items()
    }
    for name in others:
        np.testing.assert_allclose(results[name][0], results[first][0], atol=AGREEMENT)
        scale = np.abs(results[first][2]).max()
        np.testing.assert_allclose(
            results[name][2] / scale, results[first][2] / scale, atol=AGREEMENT
        )
    alike = [result[1] for name, result in results.items() if "from angles" in name]
    for other in alike[1:]:
        np.testing.assert_allclose(other, alike[0], atol=10 * AGREEMENT)


@click.command(help=__doc__)
@click.option("--device", default="fake_brisbane")
@click.option("--preparation", type=click.Choice(["compact", "textbook"]), default="compact")
@click.option("--batch", default=64)
@click.option("--seconds", default=FULL.seconds, help="For each contestant.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON.")
def main(device: str, preparation: str, batch: int, seconds: float, out: Path | None) -> None:
    """Measure and print."""
    calls = calls_of(LayerSpec(4), device, preparation, batch)
    check(calls)
    timings = interleave(calls, Effort(seconds=seconds, rounds=FULL.rounds))
    ours = timings[f"native:{device}"].median
    for name, timing in timings.items():
        click.echo(f"{name:40s}{1e3 * timing.median:12.3f} ms{timing.median / ours:10.1f}x")
    if out is not None:
        settings = {"device": device, "preparation": preparation, "batch": batch}
        record = {
            **settings,
            "conditions": conditions(["jax", "pennylane", "tensorcircuit-ng", "numba"]),
            "seconds": {name: asdict(timing) for name, timing in timings.items()},
        }
        out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
