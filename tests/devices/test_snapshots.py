"""Snapshots are found by either name, dated, and suggested when misspelt."""

from __future__ import annotations

import pytest

from qbackend.devices.snapshots import list_snapshots, load_snapshot
from qbackend.errors import UnknownNameError
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
