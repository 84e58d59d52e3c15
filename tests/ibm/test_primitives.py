"""What is put to Runtime's primitives."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.providers.basic_provider import BasicSimulator

from qbackend.ibm import primitives
from qbackend.ibm.local import LocalService
from qbackend.ibm.primitives import local_seed, pubs, spelled
from qbackend.ibm.results import measured_qubits
from qbackend.machines.options import ExecutionOptions

from .local_calls import FAKE, SHOTS, call, layer


def test_a_call_is_one_pub_with_all_rows_that_measures_the_layers_qubits() -> None:
    ((circuit, values),) = pubs(call())
    assert values.shape == (3, len(layer().parameters))
    assert circuit.count_ops()["measure"] == circuit.num_clbits == 3
    measured = [circuit.find_bit(i.qubits[0]).index for i in circuit if i.name == "measure"]
    assert measured == measured_qubits(layer())
    column = {p: index for index, p in enumerate(layer().parameters)}
    for index, parameter in enumerate(circuit.parameters):
        np.testing.assert_array_equal(values[:, index], call().parameters[:, column[parameter]])


def test_calibrating_circuits_travel_with_the_rows() -> None:
    options = ExecutionOptions(readout_mitigation="tensored")
    (circuit, _), (zeros,), (ones,) = pubs(call(options))
    assert dict(zeros.count_ops()) == {"measure": 3}
    assert dict(ones.count_ops()) == {"x": 3, "measure": 3}
    qubits = [
        [c.find_bit(i.qubits[0]).index for i in c if i.name == "measure"]
        for c in (circuit, zeros, ones)
    ]
    assert qubits[0] == qubits[1] == qubits[2]


def test_the_estimator_is_asked_for_every_observable_in_every_row() -> None:
    ((circuit, observables, values),) = pubs(call(ExecutionOptions(primitive="estimator")))
    assert [len(row) for row in observables] == [1, 1, 1]
    assert values.shape == (3, len(layer().parameters))
    assert not circuit.num_clbits


FULL = {
    "dynamical_decoupling": "XY4",
    "gate_twirling": True,
    "measurement_twirling": True,
    "max_execution_time": 300,
    "rep_delay": 0.0001,
}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"default_shots": SHOTS}),
        (
            FULL,
            {
                "dynamical_decoupling": {"enable": True, "sequence_type": "XY4"},
                "twirling": {"enable_gates": True, "enable_measure": True},
                "max_execution_time": 300,
                "execution": {"rep_delay": 0.0001},
            },
        ),
        (
            {"primitive": "estimator", "readout_mitigation": "trex", **FULL},
            {"resilience_level": 0, "twirling": {"enable_gates": True, "enable_measure": True}},
        ),
        ({"primitive": "estimator", "precision": 0.05}, {"default_precision": 0.05}),
        (
            {"primitive": "estimator", "zne": (1, 3)},
            {
                "resilience": {
                    "measure_mitigation": False,
                    "zne_mitigation": True,
                    "zne": {"noise_factors": (1, 3), "extrapolator": "linear"},
                }
            },
        ),
    ],
)
@pytest.mark.parametrize("generation", ["server", "client"])
def test_options_are_those_of_the_primitive(
    options: dict[str, Any], expected: dict[str, Any], generation: Any
) -> None:
    asked = call(ExecutionOptions(generation=generation, **options))
    chosen = spelled(asked, "tag")
    assert expected.items() <= chosen.items()
    assert chosen["environment"] == {"job_tags": ["tag"]}
    assert "simulator" not in chosen
    assert ("execution" in chosen) is ("rep_delay" in options)
    # The classes forbid unknown names, and check the values.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        kind = primitives._CLASSES[asked.options.primitive, generation]
        made = kind(mode=BasicSimulator(), options=chosen).options
    assert made.environment.job_tags == ["tag"]
    if "rep_delay" in options:
        assert made.execution.rep_delay == options["rep_delay"]


@given(st.integers(0, 2**40))
def test_a_local_seed_is_never_zero(seed: int) -> None:
    assert 1 <= local_seed(seed) <= 2**31


@pytest.mark.parametrize("generation", ["server", "client"])
def test_deprecations_are_silenced_at_the_call_only(generation: Any) -> None:
    service = LocalService()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        service.fetch(service.start(FAKE, call(ExecutionOptions(generation=generation)), "t", None))
        assert not [w for w in caught if "SamplerV2" in str(w.message)]
        warnings.warn("of somebody else", DeprecationWarning, stacklevel=1)
    assert [w for w in caught if "somebody else" in str(w.message)]
