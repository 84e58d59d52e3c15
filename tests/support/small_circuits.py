"""Small circuits of the kinds that people bring, and observables in all bases."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import real_amplitudes, zz_feature_map
from qiskit.quantum_info import SparsePauliOp

from qbackend import CircuitLayer

OBSERVABLES = (
    SparsePauliOp(["III", "ZII", "IZZ", "XIX"], [0.4, 0.5, -0.3, 0.7]),
    SparsePauliOp("IYX"),
    SparsePauliOp(["ZZZ", "XIX"], [1.0, -1.0]),
    SparsePauliOp("III", 0.25),
)
"""Of three qubits: all letters, shared strings, identities within a sum and alone."""


def feature_map_and_ansatz() -> CircuitLayer:
    """A ZZ feature map and RealAmplitudes: P, H, RY and CX."""
    feature_map, ansatz = zz_feature_map(3, reps=1), real_amplitudes(3, reps=1)
    return CircuitLayer(
        feature_map.compose(ansatz),
        features=feature_map.parameters,
        weights=ansatz.parameters,
        observables=OBSERVABLES,
    )


def two_qubit_rotations() -> CircuitLayer:
    """RXX, RYY, RZZ and RZX with shared couplings, and a controlled rotation."""
    x, w, circuit = ParameterVector("x", 2), ParameterVector("w", 4), QuantumCircuit(3)
    circuit.rx(x[0], 0)
    circuit.ry(x[1] * w[3], 1)
    circuit.rxx(w[0], 0, 1)
    circuit.ryy(w[1], 1, 2)
    circuit.rzz(w[0] + x[0], 2, 0)
    circuit.rzx(w[2], 0, 2)
    circuit.crx(w[3], 1, 0)
    circuit.cp(x[1], 2, 1)
    return CircuitLayer(circuit, features=[x], weights=[w], observables=OBSERVABLES)


LAYERS = {"feature map": feature_map_and_ansatz, "two-qubit rotations": two_qubit_rotations}
