"""Results that cannot be what was asked for are refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from qiskit.primitives import PrimitiveResult
from qiskit_ibm_runtime import RuntimeDecoder

from qbackend import errors
from qbackend.ibm.results import decode, encode_result
from qbackend.machines.options import ExecutionOptions
from tests.machines.fakes import estimated, executed

from .calls import call, layer

WIDEST = max(len(qubits) for ((_, qubits),) in layer().readouts[0].terms)
"""Qubits of the observable that has most of them."""


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1.001, -3.7])
def test_what_no_expectation_value_can_be_is_refused(wrong: float) -> None:
    asked = call(ExecutionOptions("estimator"), n_rows=2)
    array = np.zeros((2, 2))
    array[1, 1] = wrong
    with pytest.raises(errors.BackendError, match=rf"not -1 to 1, first {wrong:g} in row 1"):
        decode(estimated(array), asked)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.1])
def test_what_no_standard_error_can_be_is_refused(wrong: float) -> None:
    asked = call(ExecutionOptions("estimator"), n_rows=2)
    errors_ = np.full((2, 2), 0.1)
    errors_[0, 1] = wrong
    with pytest.raises(errors.BackendError, match=rf"not 0 or more.* {wrong:g}"):
        decode(estimated(np.zeros((2, 2)), errors_), asked)


@pytest.mark.parametrize(
    ("options", "largest"),
    [
        ({}, 1.0),
        ({"readout_mitigation": "trex"}, 2.0**WIDEST),
        ({"zne": (1, 3)}, 2.0),
        ({"zne": (1, 3, 5)}, 4.0),
        ({"zne": (1, 3, 5), "readout_mitigation": "trex"}, 4 * 2.0**WIDEST),
    ],
)
def test_mitigation_may_exceed_one_by_what_it_multiplies(
    options: dict[str, Any], largest: float
) -> None:
    """Lines through (1, 1) and (3, -1), and through (3, 1) and (5, -1), reach 2 and 4 at 0."""
    asked = call(ExecutionOptions("estimator", **options), n_rows=2)
    values, _ = decode(estimated(np.full((2, 2), largest)), asked)
    assert (values == largest).all()
    with pytest.raises(errors.BackendError, match=f"not -{largest:g} to {largest:g}"):
        decode(estimated(np.full((2, 2), -1.01 * largest)), asked)


@pytest.mark.parametrize("value", ["garbage", None, 1j, True])
def test_what_is_no_number_is_refused(value: Any) -> None:
    asked = call(ExecutionOptions("estimator"), n_rows=2)
    with pytest.raises(errors.BackendError, match=r"the result's evs are|does not decode"):
        decode(estimated(np.full((2, 2), value)), asked)


@pytest.mark.parametrize("n_pubs", [0, 2, 4])
@pytest.mark.parametrize("mitigation", ["none", "tensored"])
def test_another_number_of_pubs_is_refused(n_pubs: int, mitigation: Any) -> None:
    asked = call(ExecutionOptions(readout_mitigation=mitigation), n_rows=2)
    (whole, *_) = json.loads(executed(asked), cls=RuntimeDecoder)
    raw = encode_result(PrimitiveResult([whole] * n_pubs))
    with pytest.raises(errors.BackendError, match="does not consist of"):
        decode(raw, asked)
