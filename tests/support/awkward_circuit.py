"""A circuit as somebody might bring it, with all that makes one awkward."""

from __future__ import annotations

from math import pi

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from qbackend import CircuitLayer


def own_circuit() -> CircuitLayer:
    """Two wires, two features, four weights, three outputs that do not commute.

    It has a product of features, a weight that is used twice, controlled rotations, and constant
    gates that are no Clifford gates.
    """
    x, w = ParameterVector("x", 2), ParameterVector("w", 4)
    circuit = QuantumCircuit(2, name="own")
    circuit.h([0, 1])
    circuit.rz(2 * x[0], 0)
    circuit.p((pi - x[0]) * (pi - x[1]), 1)
    circuit.cx(0, 1)
    circuit.crx(w[0], 0, 1)
    circuit.t(1)
    circuit.rxx(w[1] + x[1], 0, 1)
    circuit.ry(w[2], 0)
    circuit.rz(w[3], 1)
    circuit.ry(w[2] / 2, 1)
    return CircuitLayer(circuit, features=x, weights=w, observables=["XI", "ZZ", "IY"])
