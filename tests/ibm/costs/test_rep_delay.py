"""The time between shots: in the estimate, in the size of jobs, and within what a machine takes."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

import pytest

from qbackend import errors
from qbackend.devices.snapshots import load_snapshot
from qbackend.ibm import cost as costs
from qbackend.ibm.vendor import IBM
from qbackend.machines.options import ExecutionOptions
from qbackend.seam.device import RepDelay
from qbackend.seam.requests import CompiledLayer

from .asked import OPEN, layer


def on_machine(device: str) -> CompiledLayer:
    """The layer as a machine with that device's time between shots has it."""
    reported = load_snapshot(device).rep_delay
    assert reported is not None
    record = {**layer().record, "device": device, "rep_delay": asdict(reported)}
    return replace(layer(), record=record)


@pytest.mark.parametrize(
    ("device", "chosen", "each", "words"),
    [
        ("fake_fez", None, 0.00035, "0.00035 s per shot, by IBM's rule of thumb"),
        ("fake_fez", 0.00025, 0.00035, "0.00035 s per shot, by IBM's rule of thumb"),
        ("fake_fez", 0.00005, 0.00015, "with 250 µs between shots, where here it is 50 µs (chosen"),
        ("fake_fez", 0.0, 0.0001, "0.0001 s per shot, by .* here it is 0 µs"),
        ("fake_kingston", 0.002, 0.0021, "2000 µs"),
        ("fake_miami", None, 0.0041, "4000 µs (the machine's default"),
        ("fake_miami", 0.001, 0.0011, "1000 µs (chosen"),
    ],
)
def test_the_time_between_shots_is_in_the_estimate(
    device: str, chosen: float | None, each: float, words: str
) -> None:
    options = ExecutionOptions(rep_delay=chosen)
    cost = IBM.estimate(on_machine(device), 100, 1024, options, plan=OPEN)
    assert cost.qpu_seconds == pytest.approx(2 + each * 102_400)
    assert re.search(words.replace("(", r"\("), cost.basis)
    session = IBM.estimate(on_machine(device), 100, 1024, replace(options, mode="session"))
    assert session.machine_seconds >= cost.qpu_seconds


def test_a_layer_compiled_before_machines_told_it_has_the_rules_time() -> None:
    cost = IBM.estimate(layer(), 1, 1000, ExecutionOptions(rep_delay=0.0), plan=OPEN)
    assert cost.qpu_seconds == pytest.approx(2.1)


def test_jobs_are_as_large_as_the_time_between_shots_lets_them_be() -> None:
    rows = {}
    for delay in (None, 0.0, 0.0005):
        options = ExecutionOptions(max_execution_time=20, rep_delay=delay)
        jobs = IBM.pack(1000, 1024, options, on_machine("fake_fez"))
        each = costs.seconds_per_execution(on_machine("fake_fez"), options)
        longest = costs.job_seconds(1024 * max(map(len, jobs)), each)
        assert 18 < longest <= 20
        rows[delay] = max(map(len, jobs))
    assert rows[0.0] > rows[None] > rows[0.0005]


@pytest.mark.parametrize(
    ("device", "chosen", "words"),
    [
        ("fake_fez", 0.0006, "fake_fez takes a rep_delay from 0 to 0.0005 s, got 0.0006: for exa"),
        ("fake_nighthawk", 0.00001, "from 2e-05 to 0.0005 s, got 1e-05.*--rep-delay 0.00025"),
    ],
)
def test_a_time_between_shots_that_the_machine_does_not_have(
    device: str, chosen: float, words: str
) -> None:
    options = ExecutionOptions(rep_delay=chosen)
    with pytest.raises(errors.OptionError, match=words):
        IBM.pack(10, 1024, options, on_machine(device))
    with pytest.raises(errors.OptionError, match=words):
        IBM.estimate(on_machine(device), 10, 1024, options, plan=OPEN)
    IBM.pack(10, 1024, ExecutionOptions(), on_machine(device))


def test_a_machine_whose_time_between_shots_is_fixed() -> None:
    fixed = {**layer().record, "rep_delay": asdict(RepDelay(0.00025))}
    with pytest.raises(errors.OptionError, match=r"the same 0\.00025 s between all shots"):
        IBM.pack(1, 10, ExecutionOptions(rep_delay=0.0001), replace(layer(), record=fixed))
