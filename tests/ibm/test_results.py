"""What the results of Runtime's primitives mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult
from qiskit_ibm_runtime.decoders.executor_sampler.utils import flatten_twirling_axes

from qbackend import errors
from qbackend.ibm.cost import randomisations, shots_performed
from qbackend.ibm.results import decode, encode_result
from qbackend.machines.options import ExecutionOptions
from qbackend.seam.uncertainty import standard_error
from tests.machines.fakes import estimated

from .local_calls import SHOTS, call


@pytest.mark.parametrize("garbage", ["<html>", None, {}, PubResult(DataBin())])
def test_what_is_not_a_result_is_fetched_again(garbage: object) -> None:
    with pytest.raises(errors.TransientError, match="not a result"):
        encode_result(garbage)


def counted(rows: int = 3, bits: int = 3, shots: int = SHOTS, register: str = "c") -> PubResult:
    array = BitArray(np.zeros((rows, shots, 1), dtype=np.uint8), bits)
    return PubResult(DataBin(**{register: array}, shape=(rows,)))


@pytest.mark.parametrize(
    "damaged",
    [
        [],
        [counted(), counted()],
        [counted(rows=2)],
        [counted(bits=2)],
        [counted(shots=SHOTS - 1)],
        [counted(register="meas")],
    ],
)
def test_a_result_of_another_shape_is_an_error(damaged: list[PubResult]) -> None:
    with pytest.raises(errors.BackendError, match="the result"):
        decode(encode_result(PrimitiveResult(damaged)), call())
    decode(encode_result(PrimitiveResult([counted()])), call())


def test_estimated_values_are_turned_to_rows_and_checked() -> None:
    asked = call(ExecutionOptions(primitive="estimator"), rows=2)
    array = np.linspace(-1, 1, 6).reshape(3, 2)
    values, stderr = decode(estimated(array), asked)
    np.testing.assert_array_equal(values, array.T)
    np.testing.assert_allclose(stderr, np.sqrt(0.1**2 + 8 / (SHOTS + 2) / (SHOTS + 3)), rtol=1e-12)
    with pytest.raises(errors.BackendError, match="shape"):
        decode(estimated(array.T), asked)


def test_text_that_is_no_result_is_an_error() -> None:
    for raw in (b"", b"{}", b'{"a"', b"<html>"):
        with pytest.raises(errors.BackendError):
            decode(raw, call())


@pytest.mark.parametrize(("twirled", "error"), [(True, 0.1), (False, 0.05)])
def test_values_are_extrapolated_by_a_line(twirled: bool, error: float) -> None:
    """What is said of randomisations counts where there are some."""
    options = ExecutionOptions("estimator", zne=(1, 3, 5), gate_twirling=twirled)
    asked = call(options, rows=2)
    performed = shots_performed(SHOTS, options)
    at_zero, slope = np.random.default_rng(0).normal(size=(2, 3, 2))
    factors = np.array([1.0, 3.0, 5.0])
    data = DataBin(
        evs=np.zeros((3, 2)),
        stds=np.full((3, 2), np.inf),
        evs_noise_factors=at_zero[..., None] + slope[..., None] * factors,
        stds_noise_factors=np.full((3, 2, 3), 0.1),
        ensemble_stds_noise_factors=np.full((3, 2, 3), 0.05),
        shape=(3, 2),
    )
    values, stderr = decode(encode_result(PrimitiveResult([PubResult(data)])), asked)
    np.testing.assert_allclose(values, at_zero.T, atol=1e-12)
    # At distance 3 from the mean of three points with a spread of 8.
    each = np.sqrt(error**2 + 8 / (performed + 2) / (performed + 3))
    np.testing.assert_allclose(stderr, each * np.sqrt(1 / 3 + 9 / 8), rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"zne": (1, 3, 5)}])
@pytest.mark.parametrize("twirled", [False, True])
def test_an_estimate_whose_shots_all_agree_has_an_error(
    options: dict[str, Any], twirled: bool
) -> None:
    """Whatever the primitive reports; that of the randomisations counts where it is larger."""
    asked = call(ExecutionOptions("estimator", gate_twirling=twirled, **options), rows=2)
    shape = (3, 2, *([3] if options else []))
    spread = np.full(shape, 0.2 if twirled else 0.0)
    names = ("stds_noise_factors", "ensemble_stds_noise_factors", "evs_noise_factors")
    if not options:
        names = ("stds", "ensemble_standard_error", "evs")
    given = zip(names, (spread, np.zeros(shape), np.ones(shape)), strict=True)
    base = {"evs": np.ones((3, 2)), "stds": np.zeros((3, 2))}
    data = DataBin(**{**base, **dict(given)}, shape=(3, 2))
    _, stderr = decode(encode_result(PrimitiveResult([PubResult(data)])), asked)
    assert (stderr > (0.2 if twirled else 0.0)).all()


def test_what_twirling_divides_is_where_the_client_puts_it() -> None:
    """A randomisation's shots stand together in the Sampler's result."""
    options = ExecutionOptions(generation="client", measurement_twirling=True)
    asked = call(options)
    parts = randomisations(SHOTS, options)
    drawn = np.random.default_rng(0).random((parts, 3, 3)) < 0.5
    bits = np.broadcast_to(drawn[..., None, :], (parts, 3, 64, 3))
    item = {"c": np.array(bits)}
    flatten_twirling_axes(item, (3,))
    array = BitArray.from_bool_array(item["c"], order="little")
    data = PubResult(DataBin(c=array, shape=(3,)))
    values, stderr = decode(encode_result(PrimitiveResult([data])), asked)
    # Its shots all alike, a randomisation's mean is ±1, and only as many are independent.
    variance = 64 * (1 - values**2) * parts / (parts - 1)
    np.testing.assert_allclose(stderr, standard_error(variance, 64 * parts), rtol=1e-9)
