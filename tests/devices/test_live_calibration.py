"""Calibrations read from the service: a machine on the loopback, and every way to miss it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from qbackend import LayerSpec, QuantumLayer
from qbackend.ibm import calibrations
from qbackend.registry import find_device

from ..loopback import Fault, Hang, LoopbackServer, Machine, Status
from ..loopback.client import served


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    calibrations.load_live.cache_clear()
    yield
    calibrations.load_live.cache_clear()


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with served([Machine.load("ibm_fez", device="fez", n_qubits=6)]) as running:
        yield running


def test_without_an_account_nobody_is_asked() -> None:
    device, _ = find_device("ibm_fez")
    assert (device.source, device.target.num_qubits) == ("snapshot", 156)


def test_an_account_gives_the_calibration_of_today(server: LoopbackServer) -> None:
    device, _ = find_device("ibm_fez")
    assert (device.source, device.target.num_qubits) == ("live", 6)
    assert device.calibrated_at is not None
    asked = len(server.requests)
    assert find_device("ibm_fez")[0] is device
    assert len(server.requests) == asked
    assert not server.jobs


def test_a_layer_runs_under_it(server: LoopbackServer) -> None:
    layer = QuantumLayer(LayerSpec(2), "native:ibm_fez", seed=0)
    assert layer.neural_network.compiled.record["device"] == "ibm_fez"
    assert layer.neural_network.compiled.properties.source == "live"


def test_a_snapshot_is_never_asked_for(server: LoopbackServer) -> None:
    assert find_device("fake_fez")[0].source == "snapshot"
    assert not server.requests


def test_a_machine_that_the_account_has_not(
    server: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="qbackend"):
        device, _ = find_device("ibm_brisbane")
    assert device.source == "snapshot"
    assert "ibm_brisbane could not be read" in caplog.text
    assert server.environment["QISKIT_IBM_TOKEN"] not in caplog.text


def test_a_refused_token(server: LoopbackServer, caplog: pytest.LogCaptureFixture) -> None:
    server.faults.add(Fault("POST", "/identity/token", Status(400), count=None))
    with caplog.at_level(logging.WARNING, logger="qbackend"):
        device, _ = find_device("ibm_fez")
    assert device.source == "snapshot"
    assert "could not be read" in caplog.text
    assert server.environment["QISKIT_IBM_TOKEN"] not in caplog.text


def test_a_service_that_answers_later_is_waited_for(
    server: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.add(Fault("GET", "/backends/{name}/properties", Status(503)))
    with caplog.at_level(logging.WARNING, logger="qbackend"):
        device, _ = find_device("ibm_fez")
    assert device.source == "live"
    assert "trying again in 1 s" in caplog.text


def test_a_server_that_hangs(
    server: LoopbackServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrations, "LIVE_SECONDS", 0.2)
    server.faults.add(Fault("*", "*", Hang(60.0), count=None))
    with caplog.at_level(logging.WARNING, logger="qbackend"):
        device, _ = find_device("ibm_fez")
    assert device.source == "snapshot"
    assert "not answered within" in caplog.text
