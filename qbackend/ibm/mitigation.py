"""Expectation values of Z strings from measured bits, with and without readout mitigation.

Two circuits calibrate: all measured qubits 0, and all of them 1. They give each qubit's
probability e0 to be read as 1 where it is 0, and e1 to be read as 0 where it is 1, on the
assumption that qubits are misread independently.

"tensored" puts, for each qubit, the inverse of its 2x2 calibration matrix in place of Z: the
estimate is unbiased, and its standard error grows by 1 / (1 - e0 - e1) for each qubit
(Bravyi et al., https://arxiv.org/abs/2006.14044). "m3" inverts the matrix of the outcomes that
were seen, its columns normalised among them (Nation et al., https://arxiv.org/abs/2108.12518, by
the package `mthree`); with every outcome seen the two agree.

Letters: N rows, M observables, Q measured qubits, S shots, K different outcomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from ..base import Array
from ..errors import BackendError, OptionError

Bits = NDArray[np.uint8]
Observed = Sequence[Sequence[int]]
"""For each observable the measured qubits that it multiplies, by their position."""


@dataclass(frozen=True)
class Readout:
    """How each of Q qubits is misread: rates (Q,) of 0 read as 1 and of 1 read as 0."""

    zero_as_one: Array
    one_as_zero: Array
    shots: int

    @classmethod
    def of(cls, zeros: Bits, ones: Bits) -> Readout:
        """From the bits (S, Q) of the two circuits.

        Raises:
            BackendError: a qubit is misread as often as not, within five standard errors.
        """
        e0, e1 = zeros.mean(axis=0), 1.0 - ones.mean(axis=0)
        readout = cls(e0, e1, len(zeros))
        uncertain = np.sqrt((e0 * (1 - e0) + e1 * (1 - e1)) / len(zeros))
        if (readout.contrast <= 5 * uncertain).any():
            position = int(np.argmin(readout.contrast))
            raise BackendError(
                f"readout mitigation fails: measured qubit {position} is read wrongly in "
                f"{e0[position]:.0%} and {e1[position]:.0%} of the calibration's shots; run it "
                "with --set machine.readout_mitigation=none, or on another machine"
            )
        return readout

    @property
    def contrast(self) -> Array:
        """1 - e0 - e1, (Q,)."""
        return 1.0 - self.zero_as_one - self.one_as_zero

    def functions(self, bits: Bits) -> Array:
        """What stands for each qubit's Z, from bits (..., Q): its mean is that of Z."""
        signs = 1.0 - 2.0 * bits
        return (signs - (self.one_as_zero - self.zero_as_one)) / self.contrast

    def matrices(self) -> list[Array]:
        """Each qubit's calibration matrix; columns are prepared, rows are read."""
        return [
            np.array([[1 - e0, e1], [e0, 1 - e1]])
            for e0, e1 in zip(self.zero_as_one, self.one_as_zero, strict=True)
        ]


def unmitigated(bits: Bits, observed: Observed) -> tuple[Array, Array]:
    """Values (N, M) and standard errors (N, M) from bits (N, S, Q)."""
    parities = [np.bitwise_xor.reduce(bits[..., list(each)], axis=-1) for each in observed]
    values = np.stack([1.0 - 2.0 * parity.mean(axis=1) for parity in parities], axis=1)
    return values, np.sqrt(np.maximum(1.0 - values**2, 0.0) / bits.shape[1])


def mitigated(
    method: str, bits: Bits, zeros: Bits, ones: Bits, observed: Observed
) -> tuple[Array, Array]:
    """Values (N, M) and standard errors (N, M), corrected by "m3" or "tensored".

    The standard errors contain the calibration's own, to first order.

    Args:
        method: its name.
        bits: (N, S, Q).
        zeros: (S, Q), of the circuit that leaves all qubits 0.
        ones: (S, Q), of the circuit that sets all qubits 1.
        observed: the qubits of each observable.

    Raises:
        OptionError: "m3" without the package `mthree`.
        BackendError: a qubit that cannot be corrected.
    """
    readout = Readout.of(zeros, ones)
    correct = {"m3": _m3, "tensored": _tensored}[method]
    # A value's derivative needs those of the observables with one qubit less.
    wanted = sorted({frozenset(each) for each in _with_reductions(observed)}, key=sorted)
    position = {qubits: index for index, qubits in enumerate(wanted)}
    estimates = correct(bits, readout, [sorted(qubits) for qubits in wanted])
    columns = [position[frozenset(each)] for each in observed]
    values = estimates.values[:, columns]
    variance = estimates.variance[:, columns]
    for index, each in enumerate(observed):
        for qubit in each:
            without = estimates.values[:, position[frozenset(each) - {qubit}]]
            variance[:, index] += _of_calibration(readout, qubit, values[:, index], without)
    return values, np.sqrt(variance)


def check_installed(method: str) -> None:
    """Raise `OptionError` where the method needs a package that is not installed."""
    if method == "m3" and find_spec("mthree") is None:
        raise OptionError(
            "readout mitigation m3 needs the package mthree: pip install 'qhc[mitigation]', or "
            "take --set machine.readout_mitigation=tensored"
        )


@dataclass(frozen=True)
class _Estimates:
    """Values (N, M) and the variance (N, M) that comes from a finite number of shots."""

    values: Array
    variance: Array


def _tensored(bits: Bits, readout: Readout, observed: Observed) -> _Estimates:
    values = np.empty((len(bits), len(observed)))
    variance = np.empty_like(values)
    for row, of_row in enumerate(bits):
        functions = readout.functions(of_row)
        for index, each in enumerate(observed):
            samples = functions[:, list(each)].prod(axis=1)
            values[row, index] = samples.mean()
            variance[row, index] = samples.var() / len(samples)
    return _Estimates(values, variance)


def _m3(bits: Bits, readout: Readout, observed: Observed) -> _Estimates:
    check_installed("m3")
    # A compiled library, which only this method needs.
    from mthree import M3Mitigation

    n_qubits = bits.shape[2]
    mitigator = M3Mitigation()
    mitigator.cals_from_matrices(readout.matrices())

    @cache
    def contributions(outcomes: tuple[int, ...]) -> Array:
        """What each outcome of these adds to the values, (K, M): the inverse, at the signs."""
        names = [format(outcome, f"0{n_qubits}b") for outcome in outcomes]
        matrix, ordered = mitigator.reduced_cal_matrix(dict.fromkeys(names, 1), range(n_qubits))
        place = {name: index for index, name in enumerate(ordered)}
        seen = np.array([[int(letter) for letter in name[::-1]] for name in ordered])
        signs = np.stack([_signs(seen, each) for each in observed], axis=1)
        return np.linalg.solve(np.asarray(matrix).T, signs)[[place[name] for name in names]]

    values = np.empty((len(bits), len(observed)))
    variance = np.empty_like(values)
    # An outcome is a number whose bit q is that of qubit q.
    numbers = bits @ (1 << np.arange(n_qubits))
    for row, of_row in enumerate(numbers):
        outcomes, counts = np.unique(of_row, return_counts=True)
        weights = contributions(tuple(outcomes.tolist()))
        frequencies = counts / len(of_row)
        values[row] = frequencies @ weights
        variance[row] = np.maximum(frequencies @ weights**2 - values[row] ** 2, 0) / len(of_row)
    return _Estimates(values, variance)


def _signs(outcomes: NDArray[np.int_], qubits: Sequence[int]) -> Array:
    return 1.0 - 2.0 * (outcomes[:, list(qubits)].sum(axis=1) & 1)


def _of_calibration(readout: Readout, qubit: int, value: Array, without: Array) -> Array:
    """Variance (N,) of a value from the shots that calibrated one of its qubits.

    `without` is the value of the same observable less that qubit.
    """
    variance = np.zeros_like(value)
    for rate, slope in (
        (readout.zero_as_one[qubit], value + without),
        (readout.one_as_zero[qubit], value - without),
    ):
        variance += (slope / readout.contrast[qubit]) ** 2 * rate * (1 - rate) / readout.shots
    return variance


def _with_reductions(observed: Observed) -> Iterable[frozenset[int]]:
    for each in observed:
        yield frozenset(each)
        for qubit in each:
            yield frozenset(each) - {qubit}
