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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, OptionError
from ..layers.inputs import Array
from ..seam.uncertainty import between_randomisations, standard_error

Bits = NDArray[np.uint8]
Observed = Sequence[Sequence[int]]
"""For each observable the measured qubits that it multiplies, by their position."""


@dataclass(frozen=True)
class Readout:
    """How each of Q qubits is misread.

    Attributes:
        zero_as_one, one_as_zero: rates (Q,) of 0 read as 1 and of 1 read as 0.
        errors: (2, Q), their standard errors.
    """

    zero_as_one: Array
    one_as_zero: Array
    errors: Array

    @classmethod
    def of(cls, zeros: Bits, ones: Bits, randomisations: int = 1) -> Readout:
        """From the bits (S, Q) of the two circuits.

        Raises:
            BackendError: a qubit is misread as often as not, within five standard errors.
        """
        misread = np.stack([zeros, 1 - ones]).astype(np.float64)
        rates, errors = _mean(misread, np.full(zeros.shape[1], 0.5), randomisations)
        e0, e1 = rates
        readout = cls(e0, e1, errors)
        if (readout.contrast <= 5 * np.hypot(*errors)).any():
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

    def reach(self, qubits: Sequence[int]) -> float:
        """Half the distance from the least to the largest product of these qubits' functions."""
        ends = self.functions(np.array([[0], [1]], dtype=np.uint8))
        products = np.ones(1)
        for qubit in qubits:
            products = np.outer(products, ends[:, qubit]).ravel()
            products = np.array([products.min(), products.max()])
        return float(np.ptp(products)) / 2

    def matrices(self) -> list[Array]:
        """Each qubit's calibration matrix; columns are prepared, rows are read."""
        return [
            np.array([[1 - e0, e1], [e0, 1 - e1]])
            for e0, e1 in zip(self.zero_as_one, self.one_as_zero, strict=True)
        ]


def unmitigated(bits: Bits, observed: Observed, randomisations: int = 1) -> tuple[Array, Array]:
    """Values (N, M) and standard errors (N, M) from bits (N, S, Q) of so many randomisations."""
    parities = [np.bitwise_xor.reduce(bits[..., list(each)], axis=-1) for each in observed]
    parts = np.stack([_parts(parity, randomisations) for parity in parities], axis=1)
    means = 1.0 - 2.0 * parts
    values = means.mean(axis=-1)
    shots = bits.shape[1]
    variance = between_randomisations(means, np.maximum(1.0 - values**2, 0.0), shots)
    return values, standard_error(variance, shots, [float(bool(each)) for each in observed])


def mitigated(
    method: str,
    bits: Bits,
    zeros: Bits,
    ones: Bits,
    observed: Observed,
    randomisations: int = 1,
) -> tuple[Array, Array]:
    """Values (N, M) and standard errors (N, M), corrected by "m3" or "tensored".

    The standard errors contain the calibration's own, to first order.

    Args:
        method: its name.
        bits: (N, S, Q).
        zeros: (S, Q), of the circuit that leaves all qubits 0.
        ones: (S, Q), of the circuit that sets all qubits 1.
        observed: the qubits of each observable.
        randomisations: equal parts of the shots, one after the other, that twirling made.

    Raises:
        OptionError: "m3" without the package `mthree`.
        BackendError: a qubit that cannot be corrected.
    """
    readout = Readout.of(zeros, ones, randomisations)
    correct = {"m3": _m3, "tensored": _tensored}[method]
    # A value's derivative needs those of the observables with one qubit less.
    wanted = sorted({frozenset(each) for each in _with_reductions(observed)}, key=sorted)
    position = {qubits: index for index, qubits in enumerate(wanted)}
    estimates = correct(bits, readout, [sorted(qubits) for qubits in wanted], randomisations)
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


def _tensored(bits: Bits, readout: Readout, observed: Observed, randomisations: int) -> _Estimates:
    def samples(of_row: Bits) -> Array:
        functions = readout.functions(of_row)
        return np.stack([functions[:, list(each)].prod(axis=1) for each in observed], axis=1)

    return _estimates(map(samples, bits), readout, observed, randomisations)


def _m3(bits: Bits, readout: Readout, observed: Observed, randomisations: int) -> _Estimates:
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

    def samples(of_row: NDArray[np.int_]) -> Array:
        outcomes, seen = np.unique(of_row, return_inverse=True)
        return contributions(tuple(outcomes.tolist()))[seen]

    # An outcome is a number whose bit q is that of qubit q.
    numbers = bits @ (1 << np.arange(n_qubits))
    return _estimates(map(samples, numbers), readout, observed, randomisations)


def _estimates(
    rows: Iterable[Array], readout: Readout, observed: Observed, randomisations: int
) -> _Estimates:
    """From what every shot adds to the values, (S, M) in each row."""
    # m3 knows no outcome but those it saw: what the others are worth, the whole inverse says.
    reach = np.array([readout.reach(each) for each in observed])
    found = [_mean(samples, reach, randomisations) for samples in rows]
    values, errors = (np.array(each) for each in zip(*found, strict=True))
    return _Estimates(values, errors**2)


def _mean(samples: Array, reach: Array, randomisations: int) -> tuple[Array, Array]:
    """Means (..., K) of samples (..., S, K), and their standard errors."""
    means = _parts(np.moveaxis(samples, -2, -1), randomisations)
    variance = between_randomisations(means, samples.var(axis=-2), samples.shape[-2])
    return means.mean(axis=-1), standard_error(variance, samples.shape[-2], reach)


def _parts(samples: NDArray[Any], randomisations: int) -> Array:
    """The mean of each part (..., R), of samples (..., S)."""
    return samples.reshape(*samples.shape[:-1], randomisations, -1).mean(axis=-1)


def _signs(outcomes: NDArray[np.int_], qubits: Sequence[int]) -> Array:
    return 1.0 - 2.0 * (outcomes[:, list(qubits)].sum(axis=1) & 1)


def _of_calibration(readout: Readout, qubit: int, value: Array, without: Array) -> Array:
    """Variance (N,) of a value from the shots that calibrated one of its qubits.

    `without` is the value of the same observable less that qubit.
    """
    variance = np.zeros_like(value)
    slopes = value + without, value - without
    for error, slope in zip(readout.errors[:, qubit], slopes, strict=True):
        variance += (slope / readout.contrast[qubit] * error) ** 2
    return variance


def _with_reductions(observed: Observed) -> Iterable[frozenset[int]]:
    for each in observed:
        yield frozenset(each)
        for qubit in each:
            yield frozenset(each) - {qubit}
