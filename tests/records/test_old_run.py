"""A run folder as it was before `state.json`, and what a record keeps when it is written again."""

from __future__ import annotations

import json
from pathlib import Path

from experiments.config.recipe import load_config
from experiments.records.folder import RunFolder
from experiments.records.lines import EvaluationRecord
from qbackend.validation.records.state import Provenance

OLD_CONFIG = """
recipe = "digits"
[run]
backend = "fake_manila"
encoder = "compact"
limit = 12
command = "qhc run --checkpoint runs/a"
data_root = "~/data"
notes = ["1 of 10 classes has no image"]
checkpoint = "runs/a/checkpoint.safetensors"
checkpoint_sha256 = "7dc690d4"
started = "2026-11-27T04:25:03+00:00"
status = "waiting"
parameters = 12242
quantum_parameters = 8
tag = "qhc-run-55de"
requests = 3
approved = true
[machine]
max_qpu_seconds = 60.0
[data]
name = "digits"
[model]
name = "hybrid-digits"
[train]
epochs = 3
lr = 0.01
[versions]
qhc = "0.1.0"
[computer]
processor = "AMD EPYC"
cores = 2
memory_mib = 24105
system = "Linux x86_64"
accelerator = "cpu x86_64"
"""

OLD_EVALUATION = (
    '{"kind": "evaluation", "backend": "aer:fake_manila", "shots": null, "split": "test", '
    '"checkpoint": "runs/a", "n_images": 2, "loss": 0.86, "accuracy": 0.5, '
    '"accuracy_interval": [0.1, 0.9], "precision": 0.9, "recall": 0.8, "f1": 0.8, "per_class": '
    '[{"class": "0", "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}], '
    '"confusion": [[1, 0], [1, 0]], "seconds": 0.1, "jobs": 0, "qpu_seconds": 0, '
    '"stage": "noise", "compiled": {"qubits": 4, "gates": 117, "depth": 62, "two_qubit_gates": '
    '11, "two_qubit_depth": 9, "physical_qubits": [1, 2, 3, 4], "duration": 3.9e-06, '
    '"gate_fidelity": 0.88, "readout_fidelity": 0.85, "seed": 0, "device": "fake_manila", '
    '"encoder": "compact", "final_cliffords_moved": true, "calibration": "snapshot", '
    '"calibrated_at": "2024-05-27T15:27:23-03:00", "noise": {"idle": 0.0}, "n_circuits": 1, '
    '"n_wires": 4}, "narrower": []}\n'
)


def test_a_run_of_old_is_read_and_goes_on_with_a_state_of_its_own(tmp_path: Path) -> None:
    """Its state was in `config.toml`, and a compiled layer had an "encoder"."""
    (tmp_path / "config.toml").write_text(OLD_CONFIG)
    (tmp_path / "metrics.jsonl").write_text(OLD_EVALUATION)
    folder = RunFolder.open(tmp_path)
    assert folder.config().run.limit == 12
    assert folder.provenance == Provenance(
        command="qhc run --checkpoint runs/a",
        data_root="~/data",
        checkpoint="runs/a/checkpoint.safetensors",
        checkpoint_sha256="7dc690d4",
    )
    state = folder.state
    assert (state.status, state.notes) == ("waiting", ("1 of 10 classes has no image",))
    assert (state.parameters, state.quantum_parameters) == (12242, 8)
    assert (state.tag, state.requests, state.approved) == ("qhc-run-55de", 3, True)
    assert state.computer is not None
    assert state.computer.memory_mib == 24105
    (found,) = folder.evaluations()
    assert found.compiled is not None
    assert (found.compiled.preparation, found.compiled.n_circuits) == ("compact", 1)
    assert found.stage == "noise"
    before = folder.config_file.read_bytes()
    folder.note(status="finished")
    assert folder.state == state.model_copy(update={"status": "finished"})
    assert folder.config_file.read_bytes() == before


def test_a_record_is_written_with_the_keys_that_it_had(tmp_path: Path) -> None:
    """In their order, whatever is not known of a compiled layer included."""
    values = json.loads(OLD_EVALUATION.replace('"encoder"', '"preparation"'))
    values["compiled"]["of_their_own"] = {"copies": 3}
    del values["compiled"]["calibration"]
    values["compiled"]["calibrated_at"] = None
    folder = RunFolder.create(tmp_path / "run", load_config("digits"))
    folder.append(EvaluationRecord.from_dict(values))
    written = json.loads(folder.metrics.read_text())
    assert written == values
    assert list(written) == list(values)
    known = [key for key in values["compiled"] if key != "of_their_own"]
    assert list(written["compiled"]) == [*known, "of_their_own"]
