"""Snapshots are found by either name, dated, and suggested when misspelt."""

from __future__ import annotations

import pytest

from qbackend.devices.snapshots import list_snapshots, load_snapshot
from qbackend.errors import OptionError, UnknownNameError
from qbackend.seam.device import RepDelay


def test_list() -> None:
    names = list_snapshots()
    assert list(names) == sorted(set(names))
    assert {"fake_brisbane", "fake_torino", "fake_fez", "fake_nighthawk"} <= set(names)
    assert all(name.startswith("fake_") for name in names)


def test_either_name_loads_the_same_calibration() -> None:
    ibm, fake = load_snapshot("ibm_torino"), load_snapshot("fake_torino")
    assert (ibm.name, fake.name) == ("ibm_torino", "fake_torino")
    assert ibm.source == "snapshot"
    assert ibm.calibrated_at == fake.calibrated_at
    assert ibm.calibrated_at is not None
    assert ibm.target.num_qubits == 133
    assert ibm.target["cz"][0, 1].error == fake.target["cz"][0, 1].error
    assert ibm.remark == ""


def test_fractional_gates_are_reported_like_those_they_stand_in_for() -> None:
    plain, device = load_snapshot("fake_fez"), load_snapshot("fake_fez", fractional_gates=True)
    assert not {"rx", "rzz"} & set(plain.target.operation_names)
    assert dict(device.target["rx"]) == dict(plain.target["sx"])
    assert dict(device.target["rzz"]) == dict(plain.target["cz"])
    assert device.remark == "errors of RX and RZZ are those of SX and CZ"
    reported = load_snapshot("fake_fractional", fractional_gates=True)
    assert reported.target is load_snapshot("fake_fractional").target


@pytest.mark.parametrize("name", ["fake_brisbane", "fake_miami", "fake_manila"])
def test_other_processors_have_no_fractional_gates(name: str) -> None:
    with pytest.raises(OptionError, match=f"'{name}' has no fractional gates, which IBM's Heron"):
        load_snapshot(name, fractional_gates=True)


@pytest.mark.usefixtures("remarks_anew")
def test_remark() -> None:
    assert "not intended to represent typical" in load_snapshot("fake_nighthawk").remark


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("ibm_brisbain", "ibm_brisbane"),
        ("fake_tornio", "fake_torino"),
        ("brisbane", "fake_brisbane"),
    ],
)
def test_unknown_name(name: str, suggestion: str) -> None:
    with pytest.raises(UnknownNameError, match=f"'{name}'.*did you mean '{suggestion}'"):
        load_snapshot(name)


def test_the_time_between_shots_is_told_in_seconds() -> None:
    assert load_snapshot("fake_fez").rep_delay == RepDelay(0.00025, 0.0, 0.0005)
    # A device of old that has it fixed, and does not say to what.
    assert load_snapshot("fake_cambridge").rep_delay is None
