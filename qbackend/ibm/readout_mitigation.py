"""Expectation values of Pauli sums from measured bits, with and without readout mitigation.

Each basis has a circuit of its own, behind which every Pauli string is a product of signs. Strings
of one basis come from the same shots: there the sum that an observable is varies as a whole.

Two circuits calibrate: all measured qubits 0, and all of them 1. They give each qubit's
probability e0 to be read as 1 where it is 0, and e1 to be read as 0 where it is 1, on the
assumption that qubits are misread independently.

"tensored" puts, for each qubit, the inverse of its 2x2 calibration matrix in place of Z: the
estimate is unbiased, and its standard error grows by 1 / (1 - e0 - e1) for each qubit
(Bravyi et al., https://arxiv.org/abs/2006.14044). "m3" inverts the matrix of the outcomes that
were seen, its columns normalised among them (Nation et al., https://arxiv.org/abs/2108.12518, by
the package `mthree`); with every outcome seen the two agree.

Letters: N rows, M observables, Q measured qubits, q of them in one basis, S shots, K strings,
D different outcomes, R randomisations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, OptionError
from ..layers.inputs import Array
from ..layers.readout import Term
from ..seam.uncertainty import between_randomisations, standard_error

Bits = NDArray[np.uint8]
String = tuple[int, ...]
"""The positions of the bits whose signs it multiplies, in ascending order."""
Samples = Callable[[Bits], Array]
"""What every shot of a row adds to each string's value, (S, K), from its bits (S, q)."""


@dataclass(frozen=True)
class Measured:
    """What the circuit of one basis gave.

    Attributes:
        bits: (N, S, q).
        places: of its q qubits among the Q that are calibrated.
        terms: of each of M observables what is read here, by positions among the bits.
    """

    bits: Bits
    places: Sequence[int]
    terms: Sequence[Sequence[Term]]

    @property
    def strings(self) -> list[String]:
        """All that the observables consist of here, in ascending order."""
        return sorted({string for terms in self.terms for _, string in terms})

    def counted(self, strings: Sequence[String], *, less: int | None = None) -> Array:
        """How much of each of K strings is in each observable, (M, K).

        With `less`, of terms at that bit alone, and each without it.
        """
        counts = np.zeros((len(self.terms), len(strings)))
        for row, terms in zip(counts, self.terms, strict=True):
            for coefficient, string in terms:
                if less is None:
                    row[strings.index(string)] += coefficient
                elif less in string:
                    row[strings.index(_without(string, less))] += coefficient
        return counts


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

    def at(self, places: Sequence[int]) -> Readout:
        """Of the qubits at these places alone."""
        kept = list(places)
        return Readout(self.zero_as_one[kept], self.one_as_zero[kept], self.errors[:, kept])

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


def unmitigated(measured: Sequence[Measured], randomisations: int = 1) -> tuple[Array, Array]:
    """Values (N, M) and standard errors (N, M) from all bases, of so many randomisations."""
    found = [_unmitigated(each, randomisations) for each in measured]
    values, errors = (np.array(each) for each in zip(*found, strict=True))
    return values.sum(axis=0), np.sqrt((errors**2).sum(axis=0))


def mitigated(
    method: str, measured: Sequence[Measured], zeros: Bits, ones: Bits, randomisations: int = 1
) -> tuple[Array, Array]:
    """Values (N, M) and standard errors (N, M) from all bases, corrected by "m3" or "tensored".

    The standard errors contain the calibration's own, to first order; all bases share it.

    Args:
        method: its name.
        measured: in each basis.
        zeros: (S, Q), of the circuit that leaves all qubits 0.
        ones: (S, Q), of the circuit that sets all qubits 1.
        randomisations: equal parts of the shots, one after the other, that twirling made.

    Raises:
        OptionError: "m3" without the package `mthree`.
        BackendError: a qubit that cannot be corrected.
    """
    readout = Readout.of(zeros, ones, randomisations)
    correct = {"m3": _m3, "tensored": _tensored}[method]
    bases = [_Corrected(each, readout.at(each.places), correct) for each in measured]
    shape = len(measured[0].bits), len(measured[0].terms)
    values, variance = np.zeros(shape), np.zeros(shape)
    for row in range(len(values)):
        slopes = np.zeros((2, zeros.shape[1], shape[1]))
        for basis in bases:
            found = basis.estimate(row, randomisations)
            values[row] += found.values
            variance[row] += found.errors**2
            slopes[:, list(basis.measured.places)] += found.slopes
        of_rates = (slopes / readout.contrast[:, None] * readout.errors[:, :, None]) ** 2
        for of_qubit in of_rates.sum(axis=0):
            variance[row] += of_qubit
    return values, np.sqrt(variance)


def check_installed(method: str) -> None:
    """Raise `OptionError` where the method needs a package that is not installed."""
    if method == "m3" and find_spec("mthree") is None:
        raise OptionError(
            "readout mitigation m3 needs the package mthree: pip install 'qhc[mitigation]', or "
            "take --set machine.readout_mitigation=tensored"
        )


def _unmitigated(measured: Measured, randomisations: int) -> tuple[Array, Array]:
    strings = measured.strings
    counts = measured.counted(strings)
    reach = np.abs(counts[:, [bool(string) for string in strings]]).sum(axis=1)
    values = np.empty((len(measured.bits), len(counts)))
    errors = np.empty_like(values)
    for row, bits in enumerate(measured.bits):
        odd = _parities(bits, strings)
        means = counts @ (1.0 - 2.0 * _parts(odd.T, randomisations))
        values[row] = means.mean(axis=-1)
        squares = (((1.0 - 2.0 * odd) @ counts.T) ** 2).mean(axis=0)
        variance = np.maximum(squares - values[row] ** 2, 0.0)
        variance = between_randomisations(means, variance, len(bits))
        errors[row] = standard_error(variance, len(bits), reach)
    return values, errors


@dataclass(frozen=True)
class _Estimate:
    """Of one row in one basis.

    Attributes:
        values: (M,).
        errors: (M,), what comes from a finite number of shots.
        slopes: (2, q, M), of the values by the rates of 0 and of 1, times the contrast.
    """

    values: Array
    errors: Array
    slopes: Array


class _Corrected:
    """One basis, its readout corrected.

    Args:
        measured: in the basis.
        readout: of its q qubits.
        correct: makes what every shot adds to the strings.
    """

    def __init__(
        self,
        measured: Measured,
        readout: Readout,
        correct: Callable[[Readout, Sequence[String]], Samples],
    ) -> None:
        self.measured = measured
        # A value's slope needs the strings with one qubit less.
        whole = measured.strings
        strings = sorted({*whole, *(_without(each, bit) for each in whole for bit in each)})
        counts = measured.counted(strings)
        acts = np.array([bool(string) for string in strings])
        # A constant is exact, which mthree's arithmetic is not.
        self._counts, self._constants = counts * acts, counts @ ~acts
        # m3 knows no outcome but those it saw: what the others are worth, the whole inverse says.
        self._reach = np.abs(self._counts) @ [readout.reach(each) for each in strings]
        self._samples = correct(readout, strings)
        slopes = []
        for bit in range(measured.bits.shape[2]):
            own = counts * [bit in string for string in strings]
            less = measured.counted(strings, less=bit)
            slopes.append((own + less, own - less))
        self._slopes = np.moveaxis(np.array(slopes), 0, 1)

    def estimate(self, row: int, randomisations: int) -> _Estimate:
        of_strings = self._samples(self.measured.bits[row])
        n_strings = of_strings.shape[1]
        samples = np.hstack([of_strings, of_strings @ self._counts.T + self._constants])
        reach = np.concatenate([np.zeros(n_strings), self._reach])
        means, errors = _mean(samples, reach, randomisations)
        slopes = self._slopes @ means[:n_strings]
        return _Estimate(means[n_strings:], errors[n_strings:], slopes)


def _tensored(readout: Readout, strings: Sequence[String]) -> Samples:
    def samples(bits: Bits) -> Array:
        functions = readout.functions(bits)
        return np.stack([functions[:, list(each)].prod(axis=1) for each in strings], axis=1)

    return samples


def _m3(readout: Readout, strings: Sequence[String]) -> Samples:
    check_installed("m3")
    # A compiled library, which only this method needs.
    from mthree import M3Mitigation

    n_qubits = len(readout.contrast)
    mitigator = M3Mitigation()
    mitigator.cals_from_matrices(readout.matrices())

    @cache
    def contributions(outcomes: tuple[int, ...]) -> Array:
        """What each outcome of these adds to the values, (D, K): the inverse, at the signs."""
        names = [format(outcome, f"0{n_qubits}b") for outcome in outcomes]
        matrix, ordered = mitigator.reduced_cal_matrix(dict.fromkeys(names, 1), range(n_qubits))
        place = {name: index for index, name in enumerate(ordered)}
        seen = np.array([[int(letter) for letter in name[::-1]] for name in ordered])
        signs = 1.0 - 2.0 * _parities(seen, strings)
        return np.linalg.solve(np.asarray(matrix).T, signs)[[place[name] for name in names]]

    def samples(bits: Bits) -> Array:
        # An outcome is a number whose bit q is that of qubit q.
        outcomes, seen = np.unique(bits @ (1 << np.arange(n_qubits)), return_inverse=True)
        return contributions(tuple(outcomes.tolist()))[seen]

    return samples


def _mean(samples: Array, reach: Array, randomisations: int) -> tuple[Array, Array]:
    """Means (..., K) of samples (..., S, K), and their standard errors."""
    means = _parts(np.moveaxis(samples, -2, -1), randomisations)
    variance = between_randomisations(means, samples.var(axis=-2), samples.shape[-2])
    return means.mean(axis=-1), standard_error(variance, samples.shape[-2], reach)


def _parts(samples: NDArray[Any], randomisations: int) -> Array:
    """The mean of each part (..., R), of samples (..., S)."""
    return samples.reshape(*samples.shape[:-1], randomisations, -1).mean(axis=-1)


def _parities(bits: NDArray[Any], strings: Sequence[String]) -> NDArray[Any]:
    """0 where the signs of a string's bits multiply to 1, else 1: (S, K) from bits (S, q)."""
    masks = [[bit in string for string in strings] for bit in range(bits.shape[1])]
    return bits @ np.array(masks, dtype=bits.dtype) & 1


def _without(string: String, bit: int) -> String:
    return tuple(each for each in string if each != bit)
