"""`qhc run` with copies of the layer side by side: which one answered what, and how well."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from experiments.evaluation.copies import CopyAnswers
from experiments.records.folder import RunFolder
from experiments.report.write import write_report
from experiments.run.results import summary
from qbackend.devices.noise_spec import load_noise
from tests.report.pages import Page
from tests.support.command_line import Qhc, last_line

from ..commands import N_IMAGES, SHOTS, sent

DEVICE, N_COPIES = "fake_torino", 5
COPIES = ("--copies", str(N_COPIES))


def far_off(folder: RunFolder, copy: int) -> None:
    """The run's last record, as if a copy had answered by chance."""
    record = folder.validation_record
    assert record is not None
    copies = list(record.copies)
    copies[copy] = copies[copy].model_copy(update={"noise_rmse": 0.5, "is_far_off": True})
    folder.append(record.model_copy(update={"copies": tuple(copies)}))


@pytest.mark.slow
def test_a_run_says_which_copy_answered_which_image(qhc: Qhc, trained: Path) -> None:
    code, out, err = qhc(*sent(trained, *COPIES, "--out", "a", backend=DEVICE))
    assert code == 0, err
    folder = RunFolder.open(Path("a"))
    ideal, noise, machine = folder.evaluations()
    assert machine.compiled is not None
    assert (len(machine.compiled.copies), machine.compiled.border) == (N_COPIES, 1)
    assert ideal.compiled is None
    assert noise.compiled is not None
    assert noise.compiled.copies == ()
    fidelities = [copy.fidelity for copy in machine.compiled.copies]
    low, high = min(fidelities), max(fidelities)
    words = f"{N_COPIES} side by side, border 1, reported fidelity {low:.2f} to {high:.2f}"
    assert f"copies: {words}" in out
    assert "far off" not in out

    with np.load("a/validation.npz") as arrays:
        kept = dict(arrays)
    copies = kept["machine_copies"]
    assert sorted(set(copies.tolist())) == list(range(N_COPIES))
    # Shots alone part the machine's outputs from the simulated noise of each copy's qubits.
    apart = np.abs(kept["machine_outputs"] - kept["machine_own_noise"])
    assert apart.max() < 5 / np.sqrt(SHOTS)
    qubits = {q for copy in machine.compiled.copies for q in copy.physical_qubits}
    assert noise.compiled is not None
    alone = set(noise.compiled.physical_qubits)
    assert set(load_noise(folder.noise).properties.physical_qubits) == qubits | alone

    with open("a/validation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    of_machine = [row["copy"] for row in rows if row["stage"] == "machine"]
    assert of_machine == [str(copy) for copy in copies]
    assert {row["copy"] for row in rows if row["stage"] != "machine"} == {""}

    record = folder.validation_record
    assert record is not None
    assert sum(copy.n_images for copy in record.copies) == N_IMAGES
    assert record.far_off == []
    answers = CopyAnswers.of(kept)
    assert answers is not None
    assert tuple(answers.scores(N_COPIES)) == record.copies
    line = summary(folder)
    assert (line["copies"], line["far_off"]) == (N_COPIES, [])

    page = Page(write_report([folder.path]))
    assert "copies" in page.sections
    heading = next(row for row in page.rows if row[:1] == ["Copy"])
    table = page.rows[page.rows.index(heading) + 1 :][:N_COPIES]
    first, of_first = machine.compiled.copies[0], record.copies[0]
    assert of_first.accuracy is not None
    place = ", ".join(map(str, first.place))
    assert table[0][:6] == [
        "0",
        # In a cell they are not parted.
        place.replace(" ", "\xa0"),
        f"{first.gate_fidelity:.3f}",
        f"{first.readout_fidelity:.3f}",
        str(of_first.n_images),
        f"{100 * of_first.accuracy:.1f}",
    ]
    assert table[0][7:] == [
        f"{value:.4f}" for value in (of_first.ideal_rmse, of_first.noise_rmse, of_first.shot_rmse)
    ]
    (alt,) = [each for each in page.pictures if "couplings" in each]
    assert f"copy 0 on {place}: {table[0][7]}" in alt
    assert "None of them is far off." in alt
    assert words in page.text

    folder.append(record.model_copy(update={"copies": ()}))
    assert "copies" not in Page(write_report([folder.path])).sections
    folder.append(record)
    far_off(folder, 3)
    assert summary(folder)["far_off"] == [3]
    page = Page(write_report([folder.path]))
    place = ", ".join(map(str, machine.compiled.copies[3].place))
    assert f"Far off: copy 3 (qubits {place}): its outputs are 0.5000 from" in page.text
    assert [row[-1] for row in page.rows if len(row) == 11] == ["", "", "", "", "far off", ""]
    assert any("Far off: copy 3." in each for each in page.pictures)


@pytest.mark.slow
def test_a_run_that_is_resumed_and_corrected_knows_its_copies(qhc: Qhc, trained: Path) -> None:
    command = sent(trained, *COPIES, "--calibrate", "8", "--no-wait", "--out", "a", backend=DEVICE)
    code, _, err = qhc(*command)
    assert code == 0, err
    code, out, err = qhc("resume", "a", "--json")
    assert code == 0, err
    assert (last_line(out)["copies"], last_line(out)["far_off"]) == (N_COPIES, [])
    with np.load("a/validation.npz") as arrays:
        kept = dict(arrays)
    assert (kept["corrected_copies"] == kept["machine_copies"]).all()
    assert kept["machine_own_noise"].shape == kept["machine_outputs"].shape
    with open("a/validation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["copy"] != "" for row in rows if row["stage"] in ("machine", "corrected")} == {True}


@pytest.mark.slow
def test_one_copy_is_as_before(qhc: Qhc, trained: Path) -> None:
    code, out, err = qhc(*sent(trained, "--copies", "1", "--out", "a", backend=DEVICE))
    assert code == 0, err
    assert "copies" not in out
    folder = RunFolder.open(Path("a"))
    record = folder.validation_record
    assert record is not None
    assert "copies" not in record.to_dict()
    assert not {"copies", "far_off"} & summary(folder).keys()
    assert "copy" not in Path("a/validation.csv").read_text().splitlines()[0].split(",")
    with np.load("a/validation.npz") as arrays:
        assert not [name for name in arrays if "copies" in name]
    page = Page(write_report([folder.path]))
    assert "copies" not in page.sections
