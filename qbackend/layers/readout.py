"""Observables: how they are given, and the readouts by which one circuit measures many.

Strings that agree on every qubit where both act are measured together, each qubit in one basis
(Qiskit's `SparsePauliOp.group_commuting(qubit_wise=True)`).

Letters: M observables, R readouts, n qubits of the circuit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SpecError
from .inputs import Array

if TYPE_CHECKING:
    from qiskit.quantum_info import SparsePauliOp

Basis = tuple[tuple[int, str], ...]
"""Qubits in ascending order, each with the letter X, Y or Z of what is measured on it."""
Term = tuple[float, tuple[int, ...]]
"""A coefficient, and the measured qubits whose signs are multiplied, in ascending order."""


ROUNDING = 1e-12
"""Imaginary parts of this share of an observable are what computing it has left."""


@dataclass(frozen=True)
class Readout:
    """One basis in which a circuit is measured.

    Attributes:
        basis: which qubits, and what on each.
        terms: for each of M observables what of it is read here.
    """

    basis: Basis
    terms: tuple[tuple[Term, ...], ...]

    @property
    def qubits(self) -> list[int]:
        """The measured qubits, in ascending order."""
        return [qubit for qubit, _ in self.basis]

    @property
    def turned(self) -> Basis:
        """Those that are not read as they are: in X or in Y."""
        return tuple((qubit, letter) for qubit, letter in self.basis if letter != "Z")

    def on(self, qubits: Mapping[int, int]) -> Readout:
        """The same on other qubits, its observables in their order."""
        return Readout(
            basis=tuple(sorted((qubits[qubit], letter) for qubit, letter in self.basis)),
            terms=tuple(
                tuple((size, tuple(sorted(qubits[each] for each in acts))) for size, acts in terms)
                for terms in self.terms
            ),
        )

    def eigenvalues(self, n_qubits: int) -> Array:
        """What each observable is worth in each basis state of n qubits, (M, 2^n).

        Behind the change of basis; qubit 0 is the least significant bit.
        """
        states = np.arange(2**n_qubits)
        values = np.zeros((len(self.terms), len(states)))
        for row, terms in zip(values, self.terms, strict=True):
            for coefficient, qubits in terms:
                mask = sum(1 << qubit for qubit in qubits)
                row += coefficient * (1.0 - 2.0 * (np.bitwise_count(states & mask) % 2))
        return values


def observables_of(n_qubits: int, given: Any) -> tuple[SparsePauliOp, ...]:
    """M of a circuit's observables, real, from `SparsePauliOp`, `Pauli` or letters; one or several.

    Raises `SpecError` for what is none, with its place in the list.
    """
    # What reads a basis need not wait for Qiskit.
    from qiskit.exceptions import QiskitError
    from qiskit.quantum_info import Pauli, SparsePauliOp

    if isinstance(given, SparsePauliOp | Pauli | str):
        given = [given]
    if not isinstance(given, Iterable):
        raise SpecError(f"observables are a list of SparsePauliOp or strings, got {given!r}")
    found: list[SparsePauliOp] = []
    for index, each in enumerate(given):
        try:
            observable = SparsePauliOp(each)
        except (QiskitError, TypeError, ValueError) as error:
            raise SpecError(
                f"observable {index} is none: a SparsePauliOp, a Pauli or a string of letters "
                f"IXYZ, one per qubit ({error})"
            ) from None
        if observable.num_qubits != n_qubits:
            raise SpecError(
                f"observable {index} acts on {observable.num_qubits} qubits, and the circuit has "
                f"{n_qubits}: one letter per qubit, qubit 0 right-most"
            )
        if observable.coeffs.dtype == object or observable.parameters:
            raise SpecError(f"observable {index} has an open parameter: give its value")
        if not np.isfinite(observable.coeffs).all():
            raise SpecError(f"observable {index} has a coefficient that is not finite")
        size = np.abs(observable.coeffs).sum()
        observable = observable.simplify(atol=0, rtol=0)
        if np.abs(observable.coeffs.imag).max() > ROUNDING * size:
            raise SpecError(
                f"observable {index} has complex coefficients: {observable.to_list()}; expectation "
                "values are real where they are"
            )
        found.append(SparsePauliOp(observable.paulis, observable.coeffs.real))
    if not found:
        raise SpecError("a layer has at least one observable; leave them out for Z on every qubit")
    return tuple(found)


def projectors(n_wires: int) -> tuple[SparsePauliOp, ...]:
    """|j><j| for every basis state j as sums of Z strings."""
    from qiskit.quantum_info import PauliList, SparsePauliOp

    states = np.arange(2**n_wires)
    z = (states[:, None] >> np.arange(n_wires)) & 1 == 1
    strings = PauliList.from_symplectic(z, np.zeros_like(z))
    signs = 1.0 - 2.0 * (np.bitwise_count(states[:, None] & states) % 2)
    return tuple(SparsePauliOp(strings, row / len(states)) for row in signs)


def readouts_of(observables: Sequence[SparsePauliOp]) -> tuple[Readout, ...]:
    """R of them, at least one; what is constant in an observable is read with the first."""
    from qiskit.quantum_info import SparsePauliOp

    n_qubits = observables[0].num_qubits
    x = np.concatenate([each.paulis.x for each in observables])
    z = np.concatenate([each.paulis.z for each in observables])
    letters = np.unique(np.concatenate([x, z], axis=1), axis=0)
    letters = letters[letters.any(axis=1)]
    if letters[:, :n_qubits].any():
        from qiskit.quantum_info import PauliList

        strings = PauliList.from_symplectic(letters[:, n_qubits:], letters[:, :n_qubits])
        groups = SparsePauliOp(strings).group_commuting(qubit_wise=True)
        members = [np.concatenate([g.paulis.x, g.paulis.z], axis=1) for g in groups]
        # Whatever order the groups come in, what needs no change of basis is read first.
        members.sort(key=lambda each: (bool(each[:, :n_qubits].any()), each.tobytes()))
    else:
        members = [letters]
    place = {row.tobytes(): index for index, rows in enumerate(members) for row in rows}
    terms: list[list[list[Term]]] = [[[] for _ in observables] for _ in members]
    for number, observable in enumerate(observables):
        rows = np.concatenate([observable.paulis.x, observable.paulis.z], axis=1)
        acts = observable.paulis.x | observable.paulis.z
        for row, acting, coefficient in zip(rows, acts, observable.coeffs, strict=True):
            qubits = tuple(int(qubit) for qubit in np.flatnonzero(acting))
            index = place.get(row.tobytes(), 0)
            terms[index][number].append((float(coefficient.real), qubits))
    return tuple(
        Readout(_basis(rows, n_qubits), tuple(map(tuple, each)))
        for rows, each in zip(members, terms, strict=True)
    )


def _basis(rows: NDArray[np.bool_], n_qubits: int) -> Basis:
    x, z = (np.any(part, axis=0).tolist() for part in np.split(rows, 2, axis=1))
    names = {(True, False): "X", (True, True): "Y", (False, True): "Z"}
    return tuple(
        (qubit, names[x[qubit], z[qubit]]) for qubit in range(n_qubits) if x[qubit] or z[qubit]
    )
