"""A circuit of somebody's own, as they would bring it."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

QASM = """// two features, three weights
OPENQASM 3.0;
include "stdgates.inc";
input float[64] x0;
input float[64] x1;
input float[64] w0;
input float[64] w1;
input float[64] w2;
gate mix(t) a, b { cx a, b; ry(t) b; }
qubit[3] q;
h q[0];
ry(2 * x0) q[1];
rz(x1 + w0) q[0];
mix(w1) q[0], q[1];
crx(w2) q[1], q[2];
"""
FEATURES = 'layer.features=["x"]'


def circuit() -> QuantumCircuit:
    """The same of Qiskit's, with vectors."""
    x, w = ParameterVector("x", 2), ParameterVector("w", 3)
    found = QuantumCircuit(3)
    found.h(0)
    found.ry(2 * x[0], 1)
    found.rz(x[1] + w[0], 0)
    found.cx(0, 1)
    found.ry(w[1], 1)
    found.crx(w[2], 1, 2)
    return found
