"""Circuits as people bring them: feature maps of Qiskit's, a QCNN, data uploaded again and again.

The first names that a benchmark or a test of any circuit asks for; how they are written is how a
user writes them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from math import pi

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import efficient_su2, real_amplitudes, z_feature_map, zz_feature_map
from qiskit.quantum_info import SparsePauliOp

from qbackend import CircuitLayer


def op(n_qubits: int, *terms: tuple[str, list[int], float]) -> SparsePauliOp:
    """A sum of letters on qubits."""
    return SparsePauliOp.from_sparse_list(terms, num_qubits=n_qubits)


def joined(
    feature_map: QuantumCircuit,
    ansatz: QuantumCircuit,
    observables: list[SparsePauliOp] | None = None,
) -> CircuitLayer:
    """The layer that Qiskit's tutorials begin with."""
    return CircuitLayer(
        feature_map.compose(ansatz),
        features=feature_map.parameters,
        weights=ansatz.parameters,
        observables=observables,
    )


def reuploading() -> CircuitLayer:
    """Every gate turns by a feature and two weights."""
    x, w = ParameterVector("x", 2), ParameterVector("w", 12)
    circuit = QuantumCircuit(2)
    for first in (0, 4, 8):
        circuit.ry(w[first] * x[0] + w[first + 1], 0)
        circuit.rz(w[first + 2] * x[1] + w[first + 3], 1)
        circuit.rx(2 * x[1] - w[first], 1)
        circuit.cx(0, 1)
    read = [op(2, ("Z", [0], 0.5), ("X", [1], -0.25)), SparsePauliOp("YX")]
    return CircuitLayer(circuit, features=x, weights=w, observables=read)


def qcnn() -> CircuitLayer:
    """Convolutions and poolings that share their weights; one qubit is read."""
    convolution, pooling = ParameterVector("conv", 3), ParameterVector("pool", 3)
    circuit = z_feature_map(4, reps=1)
    features = list(circuit.parameters)

    def block(one: int, other: int, weights: ParameterVector) -> None:
        circuit.rz(-pi / 2, other)
        circuit.cx(other, one)
        circuit.rz(weights[0], one)
        circuit.ry(weights[1], other)
        circuit.cx(one, other)
        circuit.ry(weights[2], other)

    for one, other in ((0, 1), (2, 3), (1, 2), (3, 0)):
        block(one, other, convolution)
        circuit.cx(other, one)
        circuit.rz(pi / 2, one)
    for one, other in ((0, 2), (1, 3), (2, 3)):
        block(one, other, pooling)
    return CircuitLayer(
        circuit,
        features=features,
        weights=[convolution, pooling],
        observables=[op(4, ("Z", [3], 1.0))],
    )


def cz_brick() -> CircuitLayer:
    """A hardware-efficient ansatz on a ring of five."""
    x, w = ParameterVector("x", 5), ParameterVector("w", 20)
    circuit = QuantumCircuit(5)
    for qubit in range(5):
        circuit.ry(x[qubit], qubit)
    weight = iter(w)
    for start in (0, 1):
        for qubit in range(5):
            circuit.rx(next(weight), qubit)
            circuit.rz(next(weight), qubit)
        for qubit in range(start, 4, 2):
            circuit.cz(qubit, qubit + 1)
        circuit.cz(4, 0)
    return CircuitLayer(circuit, features=x, weights=w)


def ising_rotations() -> CircuitLayer:
    """Two-qubit rotations with shared weights, and an energy whose terms do not commute."""
    x, w = ParameterVector("x", 4), ParameterVector("w", 7)
    circuit = QuantumCircuit(4)
    for qubit in range(4):
        circuit.rx(x[qubit], qubit)
    for step in (0, 1):
        for one, other in ((0, 1), (2, 3), (1, 2)):
            circuit.rxx(w[0], one, other)
            circuit.ryy(w[1], one, other)
            circuit.rzz(w[2 + step], other, one)
        circuit.rzx(w[4 + step], 3, 0)
    circuit.ry(w[6], 2)
    energy = op(
        4,
        ("XX", [0, 1], 0.7),
        ("YY", [1, 2], -0.4),
        ("ZZ", [2, 3], 1.1),
        ("X", [0], 0.3),
        ("Y", [3], 0.2),
        ("Z", [1], -0.6),
    )
    read = [energy, op(4, ("XY", [3, 0], 1.0))]
    return CircuitLayer(circuit, features=x, weights=w, observables=read)


def controlled_rotations() -> CircuitLayer:
    """Gates that Aer takes for angle 0 where it binds their parameters."""
    x, w = ParameterVector("x", 3), ParameterVector("w", 6)
    circuit = QuantumCircuit(3)
    circuit.h([0, 1, 2])
    circuit.crx(x[0], 0, 1)
    circuit.cry(x[1], 2, 0)
    circuit.crz(x[2], 1, 2)
    circuit.ry(w[0], 0)
    circuit.cp(w[1], 0, 2)
    circuit.crx(w[2], 2, 1)
    circuit.cry(w[3], 1, 0)
    circuit.crz(w[4], 0, 1)
    circuit.crx(w[5], 1, 2)
    return CircuitLayer(circuit, features=x, weights=w)


def no_features() -> CircuitLayer:
    """An energy with a constant, by weights alone."""
    ansatz = efficient_su2(2, reps=2)
    energy = SparsePauliOp.from_list(
        [
            ("II", -1.052373),
            ("IZ", 0.397937),
            ("ZI", -0.397937),
            ("ZZ", -0.011280),
            ("XX", 0.180931),
        ]
    )
    return CircuitLayer(ansatz, weights=ansatz.parameters, observables=[energy])


def no_weights() -> CircuitLayer:
    """A feature map, read by the projector on |000> as a sum of strings."""
    circuit = zz_feature_map(3, reps=2, entanglement="linear")
    projector = SparsePauliOp(
        ["".join(names) for names in product("IZ", repeat=3)], np.full(8, 1 / 8)
    )
    return CircuitLayer(
        circuit, features=circuit.parameters, observables=[projector, SparsePauliOp("XXX")]
    )


CIRCUITS: dict[str, Callable[[], CircuitLayer]] = {
    "zz_real_amplitudes_2": lambda: joined(
        zz_feature_map(2), real_amplitudes(2, reps=1), [SparsePauliOp("ZZ")]
    ),
    "zz_real_amplitudes_4": lambda: joined(zz_feature_map(4), real_amplitudes(4, reps=2)),
    "zz_real_amplitudes_8": lambda: joined(
        zz_feature_map(8), real_amplitudes(8, reps=2, entanglement="linear")
    ),
    "z_efficient_su2": lambda: joined(
        z_feature_map(3),
        efficient_su2(3, reps=2, entanglement="circular"),
        [SparsePauliOp(name) for name in ("IIX", "IYI", "ZZI")],
    ),
    "reuploading": reuploading,
    "qcnn": qcnn,
    "cz_brick": cz_brick,
    "ising_rotations": ising_rotations,
    "controlled_rotations": controlled_rotations,
    "no_features": no_features,
    "no_weights": no_weights,
    "ten_qubits": lambda: joined(
        zz_feature_map(10, reps=1, entanglement="linear"),
        efficient_su2(10, reps=2, entanglement="pairwise"),
    ),
}


@cache
def circuit_layer(name: str) -> CircuitLayer:
    """The layer of that name."""
    return CIRCUITS[name]()
