"""Expectation values from sampled bits, in the bases that the observables need.

Letters: N rows, S shots.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.quantum_info import PauliList

Sample = Callable[[QuantumCircuit, NDArray[np.float64], int], NDArray[np.bool_]]
"""Bits (N, S, C) of a circuit with C classical bits, for rows (N, P) and S shots."""


def measurement_bases(pub: EstimatorPub) -> list[PauliList]:
    """The Paulis of all observables, in groups that one measurement serves.

    Raises:
        ValueError: an observable is not a sum of Paulis.
    """
    labels = {label for observable in pub.observables.ravel().tolist() for label in observable}
    if foreign := [label for label in sorted(labels) if not set(label) <= set("IXYZ")]:
        raise ValueError(f"observable {foreign[0]} is not a sum of Paulis")
    paulis = sorted(label for label in labels if set(label) != {"I"})
    return PauliList(paulis).group_qubit_wise_commuting() if paulis else []


def expectations(
    pub: EstimatorPub, shots: int, sample: Sample
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and standard errors, in the PUB's shape."""
    n_rows = pub.parameter_values.size
    rows = pub.parameter_values.as_array(pub.circuit.parameters)
    rows = rows.reshape(n_rows, pub.circuit.num_parameters)
    observables = pub.observables.ravel().tolist()
    identity = "I" * pub.circuit.num_qubits
    values = np.array([[o.get(identity, 0.0)] * n_rows for o in observables], dtype=float)
    variances = np.zeros_like(values)
    for group in measurement_bases(pub):
        circuit, support = _measured(pub.circuit, group)
        signs = 1.0 - 2.0 * sample(circuit, rows, shots)
        for index, observable in enumerate(observables):
            signal = _signal(observable, group, signs, support)
            values[index] += signal.mean(axis=1)
            variances[index] += signal.var(axis=1) / shots
    which, row = np.broadcast_arrays(
        np.arange(len(observables)).reshape(pub.observables.shape),
        np.arange(n_rows).reshape(pub.parameter_values.shape),
    )
    return values[which, row], np.sqrt(variances[which, row])


def _measured(circuit: QuantumCircuit, group: PauliList) -> tuple[QuantumCircuit, list[int]]:
    """The circuit measured in the group's basis, and the qubits behind its classical bits."""
    x, z = group.x.any(axis=0), group.z.any(axis=0)
    y = (group.x & group.z).any(axis=0)
    support = [int(qubit) for qubit in np.flatnonzero(x | z)]
    measured = QuantumCircuit(circuit.num_qubits, len(support))
    measured.compose(circuit, inplace=True)
    for bit, qubit in enumerate(support):
        if y[qubit]:
            measured.sdg(qubit)
        if x[qubit]:
            measured.h(qubit)
        measured.measure(qubit, bit)
    return measured, support


def _signal(
    observable: dict[str, float],
    group: PauliList,
    signs: NDArray[np.floating],
    support: list[int],
) -> NDArray[np.float64]:
    """The group's share of the observable in each shot, (N, S)."""
    total = np.zeros(signs.shape[:2])
    for pauli in group:
        if coefficient := observable.get(pauli.to_label()):
            own = [support.index(int(qubit)) for qubit in np.flatnonzero(pauli.x | pauli.z)]
            total += np.real(coefficient) * signs[:, :, own].prod(axis=2)
    return total
