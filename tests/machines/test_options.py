"""Options that a primitive cannot honour are errors, by name."""

from __future__ import annotations

from typing import Any

import pytest

from qbackend import errors
from qbackend.machines.options import ExecutionOptions


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"primitive": "samplr"}, r"unknown primitive 'samplr': did you mean 'sampler'\?"),
        ({"generation": "both"}, "unknown generation 'both'"),
        ({"mode": "jobs"}, r"unknown mode 'jobs': did you mean 'job'\?"),
        ({"dynamical_decoupling": "XY8"}, "unknown dynamical_decoupling 'XY8'"),
        ({"readout_mitigation": "m4"}, "unknown readout_mitigation 'm4'"),
        ({"precision": 0.1}, "Sampler takes shots"),
        ({"zne": (1, 3)}, "Sampler has no zne"),
        ({"readout_mitigation": "trex"}, "sampler has no readout mitigation 'trex'"),
        ({"primitive": "estimator", "readout_mitigation": "m3"}, "estimator has no .* 'm3'"),
        ({"primitive": "estimator", "readout_mitigation": "tensored"}, "it has none, trex"),
        ({"primitive": "estimator", "precision": 0.0}, "precision must be a number above 0"),
        ({"primitive": "estimator", "precision": float("nan")}, "precision must be"),
        ({"primitive": "estimator", "zne": (1,)}, "at least two different noise factors"),
        ({"primitive": "estimator", "zne": (0.5, 3)}, "at least 1"),
        ({"max_execution_time": 0}, "1 to 10800 seconds, got 0"),
        ({"max_execution_time": 10801}, "got 10801"),
        ({"max_qpu_seconds": -1.0}, "max_qpu_seconds must be"),
        ({"deadline": 0.0}, "deadline must be"),
        ({"poll": (30.0, 5.0)}, "poll must be"),
    ],
)
def test_what_does_not_go_together_is_an_error(options: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.OptionError, match=words):
        ExecutionOptions(**options)


@pytest.mark.parametrize("primitive", ["sampler", "estimator"])
@pytest.mark.parametrize("generation", ["server", "client"])
def test_what_both_primitives_have(primitive: Any, generation: Any) -> None:
    options = ExecutionOptions(
        primitive,
        generation,
        dynamical_decoupling="XY4",
        gate_twirling=True,
        measurement_twirling=True,
        max_execution_time=10800,
    )
    assert not options.calibrates
