"""Random circuits whose angles mix features and weights."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterExpression, ParameterVector
from qiskit.quantum_info import SparsePauliOp

from qbackend import CircuitLayer

ONE = {"rx": 1, "ry": 1, "rz": 1, "p": 1, "h": 0, "s": 0, "t": 0, "sx": 0, "u": 3, "id": 0}
TWO = {
    "cx": 0, "cz": 0, "swap": 0, "iswap": 0, "ch": 0, "rxx": 1, "ryy": 1, "rzz": 1, "rzx": 1,
    "cp": 1, "crx": 1, "cry": 1, "crz": 1,
}  # fmt: skip
"""Gates, and how many angles they take."""


@st.composite
def layers(draw: st.DrawFn) -> tuple[CircuitLayer, int]:
    """Random circuits whose angles mix features and weights, and a seed for numbers."""
    n_qubits = draw(st.integers(1, 4))
    x, w = ParameterVector("x", 3), ParameterVector("w", 3)

    def angle() -> ParameterExpression | float:
        i, j = draw(st.integers(0, 2)), draw(st.integers(0, 2))
        forms = (
            x[i],
            w[i],
            2 * x[i] - 0.5,
            w[i] * x[j] + w[j],
            x[i] * x[j],
            x[i].sin() * w[j],
            (x[i] * x[i] + 1.5).log(),
            0.7,
            np.pi / 2,
            w[i].cos(),
            x[i] / (2 + w[j] ** 2),
        )
        return forms[draw(st.integers(0, len(forms) - 1))]

    circuit = QuantumCircuit(n_qubits)
    known = ONE if n_qubits == 1 else ONE | TWO
    for _ in range(draw(st.integers(1, 14))):
        qubits = draw(st.permutations(range(n_qubits)))
        name = draw(st.sampled_from(sorted(known)))
        angles = [angle() for _ in range(known[name])]
        getattr(circuit, name)(*angles, *qubits[: 2 if name in TWO else 1])
    label = st.text("IXYZ", min_size=n_qubits, max_size=n_qubits)
    labels = draw(st.lists(label, min_size=1, max_size=4))
    mixed = SparsePauliOp(labels, np.array([1.0, -0.5, 0.25, 2.0])[: len(labels)])
    observables = [mixed, SparsePauliOp(labels[0])]
    layer = CircuitLayer(circuit, features=x, weights=w, observables=observables)
    return layer, draw(st.integers(0, 1000))
