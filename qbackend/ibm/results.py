"""What the results of Runtime's primitives mean, of either generation, and how they are kept.

Letters: N rows, M observables, Q measured qubits, S shots.
"""

from __future__ import annotations

import json
import math
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.primitives import BitArray, PrimitiveResult, PubResult
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder

from ..errors import BackendError, OptionError, TransientError
from ..layers.inputs import Array
from ..machines.service import Call
from ..seam.requests import CompiledLayer
from ..seam.uncertainty import reach_of, reported
from .cost import randomisations, shots_asked, shots_performed
from .readout_mitigation import Bits, mitigated, unmitigated

REGISTER = "c"
"""Classical register of the measured qubits."""

ROUNDING = 1e-6
"""Of a mean of signs that was worked out in single precision."""

LEAST_CONTRAST = 0.5
"""1 - e0 - e1 of a qubit that readout mitigation still corrects: read wrongly in a quarter of the
shots. Devices report at most a few per cent."""


def measured_qubits(compiled: CompiledLayer) -> list[int]:
    """The qubits that observables ask for, in ascending order; one where they ask for none."""
    return sorted(frozenset().union(*observed_qubits(compiled))) or [0]


def observed_qubits(compiled: CompiledLayer) -> list[frozenset[int]]:
    """The qubits whose Z each of the M observables multiplies.

    Raises:
        OptionError: an observable that is no product of Z alone, which counts do not give.
    """
    observed = []
    for observable in compiled.observables:
        terms = observable.to_sparse_list()
        letters, qubits, coefficient = terms[0]
        if len(terms) != 1 or set(letters) - {"Z"} or coefficient != 1:
            raise OptionError(
                f"the observable {observable.to_list()} is no product of Z, which is all that "
                "the Sampler's counts give: use --set machine.primitive=estimator"
            )
        observed.append(frozenset(qubits))
    return observed


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


def decode(raw: bytes, call: Call) -> tuple[Array, Array]:
    """Values (N, M) and their standard errors (N, M) from a result that `encode_result` wrote.

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
    largest = _largest(call)
    is_value = np.isfinite(values) & (np.abs(values) <= largest)
    _check("values", values, is_value, f"-{largest:.3g} to {largest:.3g}")
    _check("standard errors", stderr, np.isfinite(stderr) & (stderr >= 0), "0 or more")
    return values, stderr


def _read(result: Any, call: Call) -> tuple[Array, Array]:
    n_pubs = 3 if call.options.calibrates else 1
    if not isinstance(result, PrimitiveResult) or len(result) != n_pubs:
        raise BackendError(f"the result does not consist of {n_pubs} PUBs")
    if call.options.primitive == "estimator":
        return _estimated(result[0].data, call)
    return _counted([pub.data for pub in result], call)


def _check(name: str, array: Array, is_right: NDArray[np.bool_], rule: str) -> None:
    """Raise `BackendError` for what breaks the rule; a NaN breaks all."""
    if not is_right.all():
        row, column = np.argwhere(~is_right)[0]
        raise BackendError(
            f"the result has {name} that are not {rule}, first {array[row, column]:g} in row {row}"
        )


def _largest(call: Call) -> float:
    """The largest size of a value by what is done to a mean of signs, which is at most 1.

    The service's readout mitigation divides it by each qubit's contrast, of at least
    `LEAST_CONTRAST`; what is corrected here was judged by its own calibration. A line through noise
    factors is a weighted mean of those through two of them, of which one at a and b reaches
    (a + b) / |a - b| at 0.
    """
    largest, options = 1.0 + ROUNDING, call.options
    if options.calibrates:
        return math.inf
    if options.readout_mitigation != "none":
        n_qubits = max(len(each) for each in observed_qubits(call.compiled))
        largest /= LEAST_CONTRAST**n_qubits
    if options.zne:
        largest *= max((a + b) / abs(a - b) for a, b in combinations(set(options.zne), 2))
    return largest


def _estimated(data: Any, call: Call) -> tuple[Array, Array]:
    shape = (len(call.compiled.observables), len(call.parameters))
    shots = shots_performed(call.shots, call.options)
    reach = np.array([reach_of(observable) for observable in call.compiled.observables])
    if call.options.zne and hasattr(data, "evs_noise_factors"):
        factors = call.options.zne
        values = _array(data, "evs_noise_factors", (*shape, len(factors)))
        errors = _errors(data, ("stds_noise_factors", "ensemble_stds_noise_factors"), values.shape)
        stderr = reported(errors, shots, reach[:, None, None])
        weights = _weights_at_zero(np.array(factors))
        return (values @ weights).T, np.sqrt(stderr**2 @ weights**2).T
    errors = _errors(data, ("stds", "ensemble_standard_error"), shape)
    return _array(data, "evs", shape).T.copy(), reported(errors, shots, reach[:, None]).T


def _errors(data: Any, names: tuple[str, str], shape: tuple[int, ...]) -> Array:
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
    qubits = measured_qubits(call.compiled)
    position = {qubit: index for index, qubit in enumerate(qubits)}
    observed = [sorted(position[q] for q in each) for each in observed_qubits(call.compiled)]
    shots = shots_asked(call.shots, call.options)
    rows = _bits(data[0], (len(call.parameters),), len(qubits), shots)
    calibrating = [_bits(each, (), len(qubits), shots) for each in data[1:]]
    parts = randomisations(call.shots, call.options)
    if any(bits.shape[-2] % parts for bits in (rows, *calibrating)):
        parts = 1  # the service did not divide the shots as it says
    if not call.options.calibrates:
        return unmitigated(rows, observed, parts)
    zeros, ones = calibrating
    return mitigated(call.options.readout_mitigation, rows, zeros, ones, observed, parts)


def _bits(data: Any, shape: tuple[int, ...], n_bits: int, shots: int) -> Bits:
    """The measured bits of one PUB, (..., S, Q)."""
    array = getattr(data, REGISTER, None)
    if not isinstance(array, BitArray):
        raise BackendError("the result has no measured bits")
    if array.num_bits != n_bits or array.shape != shape or array.num_shots < shots:
        raise BackendError(
            f"the result has {array.num_bits} bits, {array.shape} rows and {array.num_shots} "
            f"shots, not {n_bits}, {shape} and {shots}"
        )
    packed = array.array[..., ::-1]
    return np.unpackbits(packed, axis=-1, count=n_bits, bitorder="little")
