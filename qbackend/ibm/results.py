"""What the results of Runtime's primitives mean, of either generation, and how they are kept.

Copies side by side are read one by one, each with its own readout and calibration.

Letters: N rows, M observables, R readouts, q measured qubits, S shots, C copies.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder

from ..errors import BackendError, TransientError
from ..layers.inputs import Array
from ..layers.readout import Readout
from ..machines.options import CORRECTED_HERE
from ..machines.service import Call
from ..seam.requests import CompiledLayer
from ..seam.uncertainty import reach_of, reported
from .cost import CALIBRATION_CIRCUITS, randomisations, shots_asked, shots_performed
from .readout_mitigation import Bits, Measured, mitigated, unmitigated

REGISTER = "c"
"""Classical register of the measured qubits, and the beginning of each copy's."""

ROUNDING = 1e-6
"""Of a mean of signs that was worked out in single precision."""

ESTIMATED = (
    "evs",
    "stds",
    "ensemble_standard_error",
    "evs_noise_factors",
    "stds_noise_factors",
    "ensemble_stds_noise_factors",
)
"""What of an Estimator's data is read, each with the observables first."""

LEAST_CONTRAST = 0.5
"""1 - e0 - e1 of a qubit that readout mitigation still corrects: read wrongly in a quarter of the
shots. Devices report at most a few per cent."""


def measured_qubits(compiled: CompiledLayer) -> list[int]:
    """The qubits that observables ask for, in ascending order; one where they ask for none."""
    return compiled.observed or [0]


def measured_in(readout: Readout) -> list[int]:
    """The qubits that one readout's circuit measures; one where it is asked for none."""
    return readout.qubits or [0]


def registers(n_copies: int) -> list[str]:
    """Names of the registers that copies are measured into."""
    return [REGISTER] if n_copies == 1 else [f"{REGISTER}{index}" for index in range(n_copies)]


def encode_result(result: Any) -> bytes:
    """A primitive's result as text.

    Raises:
        TransientError: not a result but what is left of one; it is worth fetching again.
    """
    if not isinstance(result, PrimitiveResult):
        raise TransientError(
            f"the service sent something that is not a result ({type(result).__name__})"
        )
    try:
        text = json.dumps(result, cls=RuntimeEncoder)
    except TypeError:
        # The client's generation adds metadata that nothing can write; the data are complete.
        bare = PrimitiveResult([PubResult(pub.data) for pub in result])
        text = json.dumps(bare, cls=RuntimeEncoder)
    return text.encode()


def joined(results: Sequence[Any]) -> PrimitiveResult[Any]:
    """One result of copies that were executed each by itself."""
    names = registers(len(results))
    pubs = []
    for parts in zip(*results, strict=True):
        data = [part.data for part in parts]
        if hasattr(data[0], REGISTER):
            own = {name: getattr(each, REGISTER) for name, each in zip(names, data, strict=True)}
        else:
            own = {
                name: np.concatenate([np.asarray(getattr(each, name)) for each in data])
                for name in ESTIMATED
                if hasattr(data[0], name)
            }
        pubs.append(PubResult(DataBin(**own, shape=_shape(own)), parts[0].metadata))
    return PrimitiveResult(pubs, results[0].metadata)


def _shape(data: dict[str, Any]) -> tuple[int, ...]:
    """Of a PUB's rows, and observables."""
    first = data["evs"] if "evs" in data else next(iter(data.values()))
    shape: tuple[int, ...] = first.shape
    return shape


def decode(raw: bytes, call: Call) -> tuple[Array, Array]:
    """Values (N, C M) and their standard errors from a result that `encode_result` wrote.

    Raises:
        BackendError: other PUBs, rows or shots than asked for, or numbers that no expectation
            value and no standard error can be.
    """
    try:
        values, stderr = _read(json.loads(raw, cls=RuntimeDecoder), call)
    except BackendError:
        raise
    except Exception as error:  # the decoder builds whatever the text names
        raise BackendError(f"the result does not decode: {type(error).__name__}") from None
    largest = np.concatenate([_largest(each) for each in call.of_copies()])
    is_value = np.isfinite(values) & (np.abs(values) <= largest)
    _check("values", values, is_value, [f"-{most:.3g} to {most:.3g}" for most in largest])
    is_error = np.isfinite(stderr) & (stderr >= 0)
    _check("standard errors", stderr, is_error, ["0 or more"] * len(largest))
    return values, stderr


def _read(result: Any, call: Call) -> tuple[Array, Array]:
    n_pubs = 1 if call.options.primitive == "estimator" else len(call.compiled.readouts)
    if call.options.calibrates:
        n_pubs += CALIBRATION_CIRCUITS
    if not isinstance(result, PrimitiveResult) or len(result) != n_pubs:
        raise BackendError(f"the result does not consist of {n_pubs} PUBs")
    calls = call.of_copies()
    if call.options.primitive == "estimator":
        read = [
            _estimated(part, each)
            for part, each in zip(_of_copies(result[0].data, len(calls)), calls, strict=True)
        ]
    else:
        read = [
            _counted([getattr(pub.data, name, None) for pub in result], each)
            for name, each in zip(registers(len(calls)), calls, strict=True)
        ]
    values, stderr = (np.concatenate(each, axis=1) for each in zip(*read, strict=True))
    return values, stderr


def _of_copies(data: Any, n_copies: int) -> list[Any]:
    """An Estimator's data as if each copy had been asked for alone."""
    if n_copies == 1:
        return [data]
    found: dict[str, list[Any]] = {}
    for name in ESTIMATED:
        array = np.asarray(getattr(data, name, None))
        if hasattr(data, name):
            if array.ndim == 0 or len(array) % n_copies:
                raise BackendError(f"the result's {name} are of shape {array.shape}")
            found[name] = np.split(array, n_copies)
    parts = [{name: each[index] for name, each in found.items()} for index in range(n_copies)]
    return [SimpleNamespace(**part) for part in parts]


def _check(name: str, array: Array, is_right: NDArray[np.bool_], rules: Sequence[str]) -> None:
    """Raise `BackendError` for what breaks its column's rule; a NaN breaks all."""
    if not is_right.all():
        row, column = np.argwhere(~is_right)[0]
        raise BackendError(
            f"the result has {name} that are not {rules[column]}, first {array[row, column]:g} in "
            f"row {row}"
        )


def _largest(call: Call) -> Array:
    """The largest sizes of values (M,), by what is done to means of signs, which are at most 1.

    The service's readout mitigation divides them by each qubit's contrast, of at least
    `LEAST_CONTRAST`; what is corrected here was judged by its own calibration. A line through noise
    factors is a weighted mean of those through two of them, of which one at a and b reaches
    (a + b) / |a - b| at 0.
    """
    compiled, options = call.compiled, call.options
    sizes = np.array([np.abs(observable.coeffs).sum() for observable in compiled.observables])
    if call.reading in CORRECTED_HERE:
        return np.full(len(sizes), math.inf)
    largest = 1.0 + ROUNDING
    if call.reading != "none":
        strings = (string for each in compiled.readouts for t in each.terms for _, string in t)
        largest /= LEAST_CONTRAST ** max(map(len, strings))
    if options.zne:
        largest *= max((a + b) / abs(a - b) for a, b in combinations(set(options.zne), 2))
    return largest * sizes


def asked(observable: SparsePauliOp) -> SparsePauliOp:
    """What the Estimator is asked for: it takes no observable that is 0, but 1 in its place."""
    if observable.coeffs.any():
        return observable
    return SparsePauliOp("I" * observable.num_qubits)


def _dependence(compiled: CompiledLayer) -> Array:
    """By how much an observable's standard error may exceed what a service says of it, (M,).

    It adds the variances of K strings as if each had shots of its own. Strings of one readout share
    theirs, and their sum's standard error may be as large as the sum of all K.
    """
    terms = [
        [sum(bool(string) for _, string in terms) for terms in each.terms]
        for each in compiled.readouts
    ]
    return np.sqrt(np.maximum(np.max(terms, axis=0), 1))


def _estimated(data: Any, call: Call) -> tuple[Array, Array]:
    shape = (len(call.compiled.observables), len(call.parameters))
    shots = shots_performed(call.shots, call.options)
    is_there = np.array([observable.coeffs.any() for observable in call.compiled.observables])
    dependence = _dependence(call.compiled)
    reach = np.array([reach_of(observable) for observable in call.compiled.observables])
    if call.options.zne and hasattr(data, "evs_noise_factors"):
        factors = call.options.zne
        values = _array(data, "evs_noise_factors", (*shape, len(factors))) * is_there[:, None, None]
        names: tuple[str, ...] = ("stds_noise_factors", "ensemble_stds_noise_factors")
        if randomisations(call.shots, call.options) == 1 and hasattr(data, names[1]):
            # Without twirling the client's Estimator gives the deviation of one shot as the first.
            names = names[1:]
        errors = _errors(data, names, values.shape)
        errors = errors * dependence[:, None, None]
        stderr = reported(errors, shots, reach[:, None, None])
        weights = _weights_at_zero(np.array(factors))
        return (values @ weights).T, np.sqrt(stderr**2 @ weights**2).T
    errors = _errors(data, ("stds", "ensemble_standard_error"), shape) * dependence[:, None]
    values = _array(data, "evs", shape) * is_there[:, None]
    return values.T.copy(), reported(errors, shots, reach[:, None]).T


def _errors(data: Any, names: tuple[str, ...], shape: tuple[int, ...]) -> Array:
    """Standard errors from the spread between randomisations, and as if shots were independent.

    The larger counts: few randomisations may agree by chance. Without twirling the two are equal,
    and local mode gives the first alone.
    """
    given = [_array(data, name, shape) for name in names if hasattr(data, name)]
    given = given or [_array(data, names[0], shape)]
    if (smallest := np.minimum.reduce(given).min(initial=0.0)) < 0:
        raise BackendError(f"the result has standard errors that are not 0 or more: {smallest:g}")
    return np.maximum.reduce(given)


def _array(data: Any, name: str, shape: tuple[int, ...]) -> Array:
    array = np.asarray(getattr(data, name, None))
    if array.shape != shape or array.dtype.kind not in "fiu":
        raise BackendError(
            f"the result's {name} are {array.dtype} of shape {array.shape}, not numbers of {shape}"
        )
    return array.astype(np.float64)


def _weights_at_zero(factors: Array) -> Array:
    """What each noise factor's value contributes to the least-squares line at factor 0.

    The primitives' own fits estimate their error from how far three values are off a line, and
    may find none.
    """
    centred = factors - factors.mean()
    return 1 / len(factors) - factors.mean() * centred / (centred @ centred)


def _counted(data: list[Any], call: Call) -> tuple[Array, Array]:
    compiled, shots = call.compiled, shots_asked(call.shots, call.options)
    qubits = measured_qubits(compiled)
    measured = []
    for readout, given in zip(compiled.readouts, data, strict=False):
        own = measured_in(readout)
        terms = [
            [(coefficient, tuple(map(own.index, string))) for coefficient, string in each]
            for each in readout.terms
        ]
        bits = _bits(given, (len(call.parameters),), len(own), shots)
        measured.append(Measured(bits, [qubits.index(qubit) for qubit in own], terms))
    calibrating = [_bits(each, (), len(qubits), shots) for each in data[len(measured) :]]
    parts = randomisations(call.shots, call.options)
    if any(bits.shape[-2] % parts for bits in (*(each.bits for each in measured), *calibrating)):
        parts = 1  # the service did not divide the shots as it says
    if call.reading == "none":
        return unmitigated(measured, parts)
    zeros, ones = calibrating
    return mitigated(call.reading, measured, zeros, ones, parts)


def _bits(array: Any, shape: tuple[int, ...], n_bits: int, shots: int) -> Bits:
    """The measured bits of one PUB, (..., S, Q)."""
    if not isinstance(array, BitArray):
        raise BackendError("the result has no measured bits")
    if array.num_bits != n_bits or array.shape != shape or array.num_shots < shots:
        raise BackendError(
            f"the result has {array.num_bits} bits, {array.shape} rows and {array.num_shots} "
            f"shots, not {n_bits}, {shape} and {shots}"
        )
    packed = array.array[..., ::-1]
    return np.unpackbits(packed, axis=-1, count=n_bits, bitorder="little")
