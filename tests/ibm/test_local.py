"""Fake devices: what they are not asked for, what they give, and how long their jobs live."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qbackend import LayerSpec, errors
from qbackend.aer.noisy import AerNoisy
from qbackend.circuits.device_form import compile_for_target
from qbackend.devices.noise_spec import NoiseSpec
from qbackend.devices.snapshots import load_snapshot
from qbackend.ibm.local import LocalService, check_local
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.service import Call
from qbackend.seam.jobs import JobStatus
from qbackend.seam.requests import Request
from tests.support.cases import features, weights

from .local_calls import FAKE, SHOTS, SPEC, call, executed, layer


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"dynamical_decoupling": "XX"}, "dynamical_decoupling"),
        ({"gate_twirling": True}, "gate_twirling"),
        ({"measurement_twirling": True}, "measurement_twirling"),
        ({"primitive": "estimator", "zne": (1, 3, 5)}, "zne"),
        ({"primitive": "estimator", "readout_mitigation": "trex"}, "readout_mitigation=trex"),
    ],
)
def test_a_fake_device_has_what_the_client_does(options: dict[str, Any], name: str) -> None:
    with pytest.raises(errors.OptionError, match=f"has no {name} with .*machine.generation=client"):
        check_local(ExecutionOptions(**options))
    check_local(ExecutionOptions(generation="client", **options))


@pytest.mark.parametrize("generation", ["server", "client"])
def test_a_fake_device_has_no_time_between_shots(generation: Any) -> None:
    with pytest.raises(errors.OptionError, match=r"no rep_delay.*leave --rep-delay out"):
        check_local(ExecutionOptions(generation=generation, rep_delay=0.0))


def test_a_fake_device_does_not_twirl_calibrating_gates_alone() -> None:
    options = {"generation": "client", "gate_twirling": True, "readout_mitigation": "m3"}
    with pytest.raises(errors.OptionError, match=r"machine\.measurement_twirling=true"):
        check_local(ExecutionOptions(**options))
    check_local(ExecutionOptions(**options, measurement_twirling=True))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"primitive": "estimator", "precision": 0.1},
        {"readout_mitigation": "m3"},
        {"max_execution_time": 60, "mode": "session"},
    ],
)
def test_a_fake_device_takes_what_is_done_here(options: dict[str, Any]) -> None:
    check_local(ExecutionOptions(**options))


def noisy(asked: Call, noise: NoiseSpec) -> np.ndarray:
    """What the fake device gives without shot noise, (N, M)."""
    aer = AerNoisy(load_snapshot(FAKE), noise)
    return aer.evaluate(Request(aer.compile(SPEC), asked.parameters)).values


@pytest.mark.parametrize(
    "options",
    [
        ExecutionOptions(),
        ExecutionOptions(generation="client"),
        ExecutionOptions("estimator"),
        ExecutionOptions("estimator", precision=1 / 32),
        ExecutionOptions("estimator", "client"),
        ExecutionOptions(readout_mitigation="tensored"),
        ExecutionOptions("estimator", "client", readout_mitigation="trex"),
    ],
)
def test_a_fake_device_gives_its_noisy_values(options: ExecutionOptions) -> None:
    asked = call(options)
    values, stderr = executed(asked)
    readout = 1.0 if options.readout_mitigation == "none" else 0.0
    expected = noisy(asked, NoiseSpec(readout=readout))
    assert (stderr > 0).all()
    assert (np.abs(values - expected) <= 5 * stderr).all()


@pytest.mark.parametrize(
    "options",
    [
        ExecutionOptions(generation="client", gate_twirling=True),
        ExecutionOptions(
            generation="client",
            dynamical_decoupling="XX",
            gate_twirling=True,
            measurement_twirling=True,
            readout_mitigation="tensored",
        ),
        ExecutionOptions("estimator", "client", zne=(1, 3), dynamical_decoupling="XY4"),
    ],
)
def test_a_fake_device_does_what_changes_the_circuit(options: ExecutionOptions) -> None:
    asked = call(options)
    values, stderr = executed(asked)
    # However the gates' noise is turned, it moves a value by at most twice the probability of an
    # error, which is 1 + 1/2 times the infidelity of a qubit's gates, and grows with the factors.
    infidelity = 1 - layer().record["gate_fidelity"]
    bound = 2 * 1.5 * infidelity * max(options.zne, default=1.0)
    expected = noisy(asked, NoiseSpec(readout=0.0 if options.calibrates else 1.0))
    assert (np.abs(values - expected) <= bound + 5 * stderr).all()
    # A line through noise factors 1 and 3 weighs shots by sqrt(10) / 2, a correction by less.
    assert (stderr < 2 / np.sqrt(SHOTS)).all()


def test_seed_zero_is_a_seed_like_any_other() -> None:
    first, again, other, unseeded = (executed(call(seed=seed))[0] for seed in (0, 0, 1, None))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first != unseeded).any()


def test_a_local_job_lives_its_life() -> None:
    service = LocalService()
    job = service.start(FAKE, call(), "mine", None)
    assert list(service.find("mine")) == [job]
    assert not service.find("other")
    while not service.state(job).status.is_final:
        pass
    assert service.state(job).status is JobStatus.DONE
    assert service.fetch(job) == service.fetch(job)
    service.cancel(job)
    assert service.state(job).status is JobStatus.DONE
    assert service.usage(job) == 0
    with pytest.raises(errors.BackendError, match="another process"):
        LocalService().state(job)


def test_an_unknown_fake_device_is_an_error() -> None:
    with pytest.raises(errors.MachineError, match="did you mean 'fake_brisbane'"):
        LocalService().device("fake_brisbne")


@pytest.mark.parametrize("generation", ["server", "client"])
@pytest.mark.parametrize("primitive", ["sampler", "estimator"])
def test_a_fake_device_has_errors_where_its_shots_agree(primitive: Any, generation: Any) -> None:
    """Of angles that leave every qubit 0, few shots are misread."""
    spec = LayerSpec(3, "angle")
    compiled = compile_for_target(spec, LocalService().device(FAKE).target, device=FAKE)
    options = ExecutionOptions(primitive, generation)
    asked = Call(compiled, np.zeros((20, len(compiled.parameters))), 4, 0, options)
    values, stderr = executed(asked)
    assert (values == 1).any()
    assert (stderr > 0).all()


def test_an_observable_without_qubits_is_certain() -> None:
    spec = LayerSpec(2, observables=("II", "ZI"))
    compiled = compile_for_target(spec, LocalService().device(FAKE).target, device=FAKE)
    asked = replace(
        call(), compiled=compiled, parameters=compiled.rows(features(spec, 2, 0), weights(spec, 0))
    )
    values, stderr = executed(asked)
    assert (values[:, 0] == 1).all()
    assert (stderr[:, 0] == 0).all()
    assert (stderr[:, 1] > 0).any()
