"""The table of devices."""

from __future__ import annotations

import numpy as np
import pytest

from qbackend import LayerSpec
from qbackend.devices.snapshots import list_snapshots, load_snapshot
from qbackend.devices.table import device_table
from qbackend.errors import UnknownNameError


@pytest.mark.usefixtures("remarks_anew")
def test_lines() -> None:
    names = ["fake_brisbane", "ibm_nighthawk", "fake_armonk", "fake_almaden"]
    brisbane, nighthawk, single, old = device_table(LayerSpec(2), names=names)
    assert [line.name for line in (brisbane, nighthawk, single, old)] == names
    assert (brisbane.n_qubits, nighthawk.n_qubits, single.n_qubits) == (127, 120, 1)
    assert (brisbane.two_qubit_gate, nighthawk.two_qubit_gate) == ("ecr", "cz")
    target = load_snapshot("fake_brisbane").target
    errors = {name: [p.error for p in target[name].values()] for name in ("sx", "ecr", "measure")}
    assert brisbane.one_qubit_error == pytest.approx(np.median(errors["sx"]))
    assert brisbane.readout_error == pytest.approx(np.median(errors["measure"]))
    calibrated = [error for error in errors["ecr"] if error < 1]
    assert len(calibrated) < len(errors["ecr"])
    assert brisbane.two_qubit_error == pytest.approx(np.median(calibrated))
    assert brisbane.calibrated_at is not None
    assert brisbane.calibrated_at.year == 2025
    assert brisbane.cost is not None
    assert brisbane.cost.two_qubit_gates >= 1
    assert 0 < brisbane.cost.fidelity < 1
    assert 0 < brisbane.cost.duration < 1e-4
    assert brisbane.remark == ""
    assert "not intended to represent typical nighthawk error values" in nighthawk.remark
    assert single.two_qubit_gate == "none"
    assert single.two_qubit_error is None
    assert single.cost is None
    assert old.one_qubit_error is not None


@pytest.mark.slow
def test_without_a_layer_every_snapshot_has_a_line() -> None:
    table = device_table()
    assert [line.name for line in table] == list(list_snapshots())
    assert all(line.cost is None for line in table)
    assert all(line.readout_error is not None for line in table)


def test_unknown_devices_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean"):
        device_table(names=["fake_brisbone"])
