"""A net of circuits of several widths under a device's noise: its record, its words, its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.records.folder import RunFolder
from experiments.records.lines import EvaluationRecord
from experiments.report.write import write_report
from models import QuantumPointwiseConv2d, to_backend
from qbackend.devices.noise_spec import load_noise
from tests.support.command_line import Qhc

TRAIN = (
    "--recipe", "qpc-fashionmnist", "--dataset", "digits", "--epochs", "1", "--train-limit", "200",
)  # fmt: skip


@pytest.mark.slow
def test_every_kind_of_circuit_is_told_and_the_noise_serves_all(qhc: Qhc, tmp_path: Path) -> None:
    def evaluate(backend: str, out: str) -> tuple[EvaluationRecord, str]:
        options = ("--checkpoint", "net", "--backend", backend, "--limit", "5", "--out", out)
        code, said, err = qhc("run", *options)
        assert code == 0, err
        return RunFolder.open(tmp_path / out).evaluations()[-1], said

    code, _, err = qhc("run", *TRAIN, "--backend", "native", "--limit", "5", "--out", "net")
    assert code == 0, err
    record, said = evaluate("native:fake_manila", "noisy")
    (narrower,) = record.narrower
    circuits = [(kind.n_circuits, kind.n_wires) for kind in (record.compiled, narrower)]
    # 32 outputs of 16 channels, 4 a circuit; 64 of 32, 5 a circuit.
    assert circuits == [(13, 5), (8, 4)]
    for kind, (count, wires) in zip((record.compiled, narrower), circuits, strict=True):
        assert len(kind.physical_qubits) == wires
        assert f"compiled, {count} circuits of {wires} wires: {kind.two_qubit_gates} two" in said
    assert len(load_noise(tmp_path / "noisy" / "noise.json").properties.qubits) == 5
    again, _ = evaluate("native:noisy/noise.json", "again")
    assert again.compiled.two_qubit_gates == record.compiled.two_qubit_gates
    assert "13 circuits of 5 wires" in write_report([tmp_path / "again"]).read_text()


@pytest.mark.parametrize("backend", ["aer:fake_manila", "native:fake_manila"])
def test_circuits_of_one_kind_are_compiled_once(backend: str) -> None:
    layers = to_backend(QuantumPointwiseConv2d(4, 6, 1), backend).kernels
    compiled = {id(layer.neural_network.compiled) for layer in layers}
    assert (len(layers), len(compiled)) == (3, 1)
