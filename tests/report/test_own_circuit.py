"""The report of a run with a circuit of the user's own: it is drawn, whatever its size."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import real_amplitudes, zz_feature_map

from experiments.records.compiled_circuit import load_compiled, save_compiled
from experiments.records.folder import RunFolder
from experiments.records.lines import Compiled
from experiments.report.pictures.circuit import LINE, beginning, opened
from experiments.report.reading import read_run
from experiments.report.run import figures
from experiments.report.write import write_report
from qbackend import CircuitLayer
from qbackend.circuits.device_form import compile_for_target
from qbackend.devices.snapshots import load_snapshot
from qbackend.errors import RunFolderError
from tests.support.own_circuit import FEATURES, QASM, circuit
from tests.support.runs import synthetic_evaluation, synthetic_run

from .pages import Page, drawn

DEVICE = "fake_manila"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a device."""
    home = tmp_path_factory.mktemp("own")
    (home / "my.qasm").write_text(QASM)
    settings = (
        f"layer.circuit={home / 'my.qasm'}",
        FEATURES,
        'layer.observables=["ZZI", "0.5*ZII - IIZ"]',
    )
    path = synthetic_run(home / "run", backend=f"aer:{DEVICE}", n_images=60, settings=settings)
    compiled = compile_for_target(
        CircuitLayer(circuit(), features="x", weights="w"),
        load_snapshot(DEVICE).target,
        device=DEVICE,
    )
    folder = RunFolder.open(path)
    digits = tuple("0123456789")
    evaluation = synthetic_evaluation(digits, 60, 8.0, np.random.default_rng(0), bridge=True)
    record = {**compiled.record, "n_wires": 3}
    folder.append(
        evaluation.record(
            backend=f"aer:{DEVICE}",
            split="test",
            checkpoint="best",
            compiled=Compiled.from_dict(record),
        )
    )
    save_compiled(folder.compiled, compiled)
    write_report([path])
    return path


def test_the_page_says_and_draws_the_circuit(run: Path) -> None:
    page = Page(run / "report.html")
    assert {"circuit", "device-circuit"} <= drawn(run)
    assert ["Circuit", "my, 3 qubits"] in page.rows
    assert ["Features", "2: x0, x1"] in page.rows
    assert ["Weights", "3: w0, w1, w2"] in page.rows
    assert ["Outputs", "2: ZZI, 0.5 ZII - IIZ"] in page.rows
    assert "Circuit my on 3 qubits." in page.pictures
    # What a circuit is written as belongs to the records.
    assert "OPENQASM" not in page.text
    assert "None" not in page.text


def test_no_picture_is_wider_than_the_page(run: Path) -> None:
    widths = [int(image["width"]) for image in Page(run / "report.html").all("svg")]
    assert max(widths) < 1220


def test_the_devices_circuit_is_on_its_qubits(run: Path) -> None:
    found = load_compiled(run / "compiled.qpy")
    (record,) = [each for each in read_run(run).evaluations if each.compiled is not None]
    assert record.compiled is not None
    named = [register.name for register in found.qregs]
    assert named == [f"qubit {number}" for number in record.compiled.physical_qubits]
    assert found.num_nonlocal_gates() == record.compiled.two_qubit_gates


def test_a_damaged_circuit_is_named(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "compiled.qpy"
    path.write_bytes((run / "compiled.qpy").read_bytes()[:100])
    with pytest.raises(RunFolderError, match=re.escape(f"{path} is damaged")):
        load_compiled(path)


@pytest.mark.parametrize("n_qubits", [4, 8, 12])
def test_a_large_circuit_is_cut_and_folded(n_qubits: int) -> None:
    features = zz_feature_map(n_qubits, reps=8)
    whole = features.compose(real_amplitudes(n_qubits, reps=9))
    begun, words = beginning(whole)
    assert words == f" The first {len(begun.data):,} of {len(whole.data):,} gates are drawn."
    assert 20 < len(begun.data) < len(whole.data)
    for qubit in whole.qubits:
        of_drawn, of_all = ([i for i in c.data if qubit in i.qubits] for c in (begun, whole))
        assert of_drawn == of_all[: len(of_drawn)]
    width, height = figures.circuit(begun, fold=LINE).get_size_inches()
    assert width < 13
    # Folded, and on the page no higher than two screens.
    assert n_qubits < height < 24


def test_a_small_circuit_is_drawn_whole() -> None:
    begun, words = beginning(circuit())
    assert words == ""
    assert [item.operation.name for item in begun.data] == ["h", "ry", "rz", "cx", "ry", "crx"]


def test_boxes_are_opened() -> None:
    inner = QuantumCircuit(1, name="inner")
    inner.h(0)
    outer = QuantumCircuit(2, name="outer")
    outer.append(inner.to_gate(), [1])
    outer.cx(0, 1)
    whole = QuantumCircuit(2)
    whole.append(outer.to_instruction(), [0, 1])
    assert dict(opened(whole).count_ops()) == {"h": 1, "cx": 1}
    assert opened(circuit()).count_ops() == circuit().count_ops()
