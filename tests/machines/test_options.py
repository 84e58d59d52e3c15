"""Options of an execution: stated once, and those that a primitive cannot honour are errors."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from experiments.commands.run import run
from experiments.config.section import table_types
from experiments.config.sections import Config
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
        ({"max_execution_time": 0}, "at least 1, got 0"),
        ({"rep_delay": -1e-6}, "rep_delay must be at least 0, got -1e-06"),
        ({"rep_delay": float("inf")}, "rep_delay must be at least 0, got inf"),
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
        rep_delay=0.0,
    )
    assert not options.calibrates


def test_section_flags_and_identity_follow_from_the_one_statement() -> None:
    names = [each.name for each in fields(ExecutionOptions)]
    assert list(table_types(type(Config.model_fields["machine"].default))) == names
    helps = {each.name: getattr(each, "help", None) for each in run.params}
    told = {each.name: each.metadata["words"] for each in fields(ExecutionOptions)}
    assert {name for name, words in told.items() if words} == set(helps) & set(names)
    assert all(
        helps[name].startswith(told[name].removesuffix("{}]")) for name in helps if name in told
    )
    assert helps["mode"].endswith("[default: auto]")
    assert helps["max_qpu_seconds"].endswith("[default: 60]")
    assert [name for name in names if not told[name]] == ["poll"]
    waiting = {"mode", "prefer", "max_execution_time", "max_qpu_seconds", "deadline", "poll"}
    # A compiled layer has its copies, or stands alone.
    waiting |= {"copies", "border", "fidelity_within"}
    used = ExecutionOptions(rep_delay=1e-4, fractional_gates=True)
    assert set(used.physical()) == set(names) - waiting


def test_what_a_later_option_is_not_used_for_is_known_as_before() -> None:
    """Ledgers of before have requests by these values: other ones would be paid for again."""
    assert ExecutionOptions().physical() == {
        "primitive": "sampler",
        "generation": "server",
        "precision": None,
        "dynamical_decoupling": None,
        "gate_twirling": False,
        "measurement_twirling": False,
        "readout_mitigation": "none",
        "zne": (),
    }
    assert ExecutionOptions(rep_delay=0.0).physical()["rep_delay"] == 0.0
