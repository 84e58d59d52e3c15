"""Two runs of the same weights on the same images, as a page has them."""

from __future__ import annotations

import numpy as np

from experiments.records.drift import Answered, DriftRecord, MovedError, OutputDrift, Side
from experiments.report.drift.facts import drift_facts
from experiments.report.drift.section import MOST_CHANGED, drift_section

N_IMAGES = 250


def side(run: str, **changes: object) -> Side:
    values: dict[str, object] = {
        "run": run, "backend": "ibm_x", "started": "2026-11-27T10:11:12+00:00", "shots": 1024,
        "device": "ibm_x", "calibrated_at": "2026-11-27T08:09:10+00:00", "qubits": (1, 2),
        "fidelity": 0.9, "accuracy": 0.8, "interval": (0.7, 0.9),
    }  # fmt: skip
    return Side.from_dict({**values, **changes})


def output(name: str, rmse: float) -> OutputDrift:
    return OutputDrift(name=name, rmse=rmse, shot_rmse=0.03, shift=-0.02, n_rows=N_IMAGES)


RECORD = DriftRecord(
    then=side("first"),
    now=side("later", calibrated_at="2026-11-28T08:09:10+00:00", qubits=(2, 3), accuracy=0.7),
    n_images=N_IMAGES,
    answered=Answered(same=130, gained=10, lost=35, difference=-0.1, interval=(-0.15, -0.05)),
    together=output("all outputs", 0.06),
    outputs=(output("output 0", 0.03), output("output 1", 0.08)),
    moved=(
        MovedError(kind="two-qubit", qubits=(2, 3), then=4e-3, now=1.0),
        MovedError(kind="readout", qubits=(2,), then=0.01, now=0.03),
        MovedError(kind="readout", qubits=(1,), then=None, now=0.03),
    ),
    medians=(MovedError(kind="readout", qubits=(), then=0.01, now=0.012),),
)


def arrays() -> dict[str, np.ndarray]:
    """Of 120 images the class has changed."""
    then = np.zeros(N_IMAGES, dtype=int)
    now = then + (np.arange(N_IMAGES) < 120)
    return {
        "indices": 1000 + np.arange(N_IMAGES),
        "labels": then,
        "classes": np.array(["cat", "dog"]),
        "then_predictions": then,
        "now_predictions": now,
        "then_outputs": np.linspace(-0.5, 0.5, 2 * N_IMAGES).reshape(-1, 2),
        "now_outputs": np.linspace(-0.4, 0.4, 2 * N_IMAGES).reshape(-1, 2),
        "changed_places": np.arange(3),
        "changed_images": np.zeros((3, 1, 8, 8), dtype=np.uint8),
    }


def test_the_line_says_the_essentials() -> None:
    facts = drift_facts(RECORD)
    assert facts["repeats"] == "first of 2026-11-27 on ibm_x"
    assert facts["accuracy"] == (
        "80.00 % (70.0 to 90.0) before, 70.00 % (70.0 to 90.0) now: −10.00 points (−15.00 to −5.00)"
    )
    assert facts["same class in both"] == (
        "130 of 250 images; 10 correct only now, 35 correct only before, 75 wrong both times"
    )
    assert facts["largest drift"].startswith("output 1: 0.0800 (RMSE), 2.67 times")
    assert facts["qubits"] == "before 1, 2; now 2, 3"
    assert facts["calibrations"].startswith("2026-11-27 08:09 before, 2026-11-28 08:09 now;")
    assert facts["errors that changed most"] == (
        "two-qubit gate 2–3 4.00e-03 → not calibrated; readout 2 1.00e-02 → 3.00e-02; "
        "readout 1 unknown → 3.00e-02"
    )


def test_a_line_names_the_first_of_many_qubits() -> None:
    many = tuple(range(40))
    found = RECORD.model_copy(update={key: side(key, qubits=many) for key in ("then", "now")})
    words = "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 28 more in both"
    assert drift_facts(found)["qubits"] == words


def test_tables_and_pictures_are_of_the_record() -> None:
    found = drift_section(RECORD, arrays(), prefix="drift-2")
    assert found.title == "later of 2026-11-27 on ibm_x, beside first of 2026-11-27 on ibm_x"
    assert ["Qubits", "1, 2", "2, 3"] in found.sides.rows
    assert not any(row[0] == "Accuracy, corrected" for row in found.sides.rows)
    assert found.outputs is not None
    assert list(found.outputs.rows[1][:4]) == ["output 1", "0.0800", "0.0300", "2.67"]
    assert found.moved is not None
    assert [row[-1] for row in found.moved.rows] == ["–", "3.00", "–", "1.20"]
    assert found.changed is not None
    assert len(found.changed.rows) == MOST_CHANGED
    assert "the last 20 left out" in found.changed.caption
    assert found.changed.rows[0] == ["1,000", "cat", "cat", "dog"]
    names = {"drift-2-outputs", "drift-2-each", "drift-2-moved", "drift-2-changed"}
    assert set(found.pictures) == names


def test_without_the_answers_the_record_is_enough() -> None:
    found = drift_section(RECORD, {})
    assert found.changed is None
    assert set(found.pictures) == {"drift-each", "drift-moved"}
