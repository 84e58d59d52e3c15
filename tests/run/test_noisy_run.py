"""`qhc run` under a device's noise: what is trained where, compared, corrected and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.assembly.backends import is_ideal, target_backend, training_backend
from experiments.assembly.construct import trained_model
from experiments.assembly.feed import correction_split, evaluation_split, load_images
from experiments.config.recipe import load_config
from experiments.data.batches import BatchSource
from experiments.evaluation.evaluate import evaluate
from experiments.records.checkpoint import load_model_info
from experiments.records.folder import RunFolder
from experiments.records.lines import EvaluationRecord
from qbackend import get_backend
from qbackend.devices.affine_map import AffineMap
from qbackend.devices.noise_spec import NoiseSpec, load_noise

from ..support.command_line import Qhc, assert_refused, last_line

AER, NATIVE = "aer:fake_manila", "native:fake_manila"
# A twentieth of the images is trained on, so that an epoch is a batch or two.
SMALL = ("--epochs", "1", "--limit", "40", "--set", "data.validation=0.9")


def evaluations(folder: str) -> list[EvaluationRecord]:
    return RunFolder.open(Path(folder)).evaluations()


def test_a_noisy_run_compares_corrects_and_keeps_its_noise(qhc: Qhc) -> None:
    code, out, err = qhc("run", "--backend", AER, "--calibrate", "30", *SMALL, "--out", "a")
    assert code == 0, err
    note = f"trained on aer, exactly: a step on {AER} takes too long; native:fake_manila trains"
    assert any(each.startswith(note) for each in RunFolder.open(Path("a")).state.notes)
    last, ideal, noisy, corrected = evaluations("a")
    assert [each.backend for each in (last, ideal, noisy, corrected)] == ["aer", "aer", AER, AER]
    assert ideal.compiled is None
    assert noisy.compiled.device == "fake_manila"
    assert noisy.compiled.calibration == "snapshot"
    assert noisy.compiled.calibrated_at.startswith("2024-05-27")
    for words in ("fake_manila, calibration from the shipped snapshot of 2024-05-27", "calibrated"):
        assert words in out
    gates = noisy.compiled.two_qubit_gates
    assert f"{gates} two-qubit gates, compact preparation" in out

    # The correction is the recorded map on the noisy outputs, for the images of the evaluation.
    config = RunFolder.open(Path("a")).config()
    data = load_images(config, Path("data"), torch.device("cpu"))
    model, info = trained_model(
        Path("a/checkpoint.safetensors"), backend=get_backend(NATIVE), seed=0
    )
    split = evaluation_split(data.test, 40, 0)
    images = BatchSource(split, 64, device="cpu", mean=info.mean, std=info.std).epoch()
    outputs = evaluate(model, images, data.classes, 0.0).outputs
    assert outputs is not None
    found = AffineMap.from_dict(corrected.calibration.maps[0].to_dict())
    assert corrected.calibration.images == 30
    kept = np.load("a/evaluation.npz")["outputs"]
    np.testing.assert_allclose(kept, found.apply(outputs.numpy()), atol=1e-6)

    # What was kept of the noise gives the same answers again.
    saved = load_noise(Path("a/noise.json"))
    assert saved.noise == NoiseSpec()
    code, out, err = qhc(
        "run", "--checkpoint", "a", "--backend", "aer:a/noise.json", "--limit", "40",
        "--out", "b", "--json",
    )  # fmt: skip
    assert code == 0, err
    summary = last_line(out)
    assert summary["calibration"] == "file"
    assert summary["accuracy"] == noisy.accuracy
    assert summary["ideal_accuracy"] == ideal.accuracy
    again = evaluations("b")[-1]
    assert again.loss == pytest.approx(noisy.loss, abs=1e-6)


def test_a_backend_with_derivatives_trains_under_the_noise(qhc: Qhc) -> None:
    strong = ("--set", "noise.two_qubit=20")
    assert qhc("run", "--backend", NATIVE, *strong, *SMALL, "--out", "noisy")[0] == 0
    assert qhc("run", "--backend", "native", *SMALL, "--out", "ideal")[0] == 0
    assert [each.backend for each in evaluations("noisy")] == [NATIVE, "aer", NATIVE]
    assert not any("trained on" in note for note in RunFolder.open(Path("noisy")).state.notes)
    assert evaluations("noisy")[-1].compiled.noise["two_qubit"] == 20
    files = [Path(name, "checkpoint.safetensors").read_bytes() for name in ("noisy", "ideal")]
    assert files[0] != files[1]
    # The strength belongs to that run: another evaluation of its model does not inherit it.
    assert load_model_info(Path("noisy/checkpoint.safetensors")).config["noise"]
    code, out, err = qhc("run", "--checkpoint", "noisy", "--limit", "40", "--out", "c", "--json")
    assert code == 0, err
    assert last_line(out)["noise"]["two_qubit"] == 1


def test_sampled_shots_train(qhc: Qhc) -> None:
    code, _, err = qhc("run", "--shots", "16", *SMALL, "--out", "sampled")
    assert code == 0, err
    assert [each.shots for each in evaluations("sampled")] == [16, 16]


@pytest.mark.parametrize(
    ("settings", "trains_on", "ideal"),
    [
        (("run.backend='aer'",), "aer", True),
        (("run.backend='aer'", "run.shots=8"), "aer", True),
        (("run.backend='native'",), "native", True),
        ((f"run.backend='{AER}'",), "aer", False),
        ((f"run.backend='{AER}'", "run.shots=8"), "aer", False),
        ((f"run.backend='{NATIVE}'",), NATIVE, False),
    ],
)
def test_what_trains_follows_from_what_the_backend_can_do(
    settings: tuple[str, ...], trains_on: str, ideal: bool
) -> None:
    config = load_config("digits", settings)
    target = target_backend(config)
    assert training_backend(config, target).name == trains_on
    assert is_ideal(target) == ideal


def test_calibration_images_are_drawn_by_the_seed() -> None:
    config = load_config("digits")
    train = load_images(config, Path("data"), torch.device("cpu")).train
    one, same, other = (correction_split(train, 50, seed) for seed in (0, 0, 1))
    assert one.indices.tolist() == same.indices.tolist() != other.indices.tolist()
    assert len(set(one.indices.tolist())) == 50
    assert set(one.indices.tolist()) <= set(train.indices.tolist())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--backend", "aer:fake_manilla"), "did you mean 'fake_manila'"),
        (("--backend", AER, "--set", "noise.readout=-1"), "noise.readout"),
        (("--backend", AER, "--set", "noise.read_out=1"), "did you mean 'readout'"),
        (("--backend", AER, "--preparation", "dense"), "run.preparation"),
        (("--backend", AER, "--calibrate", "1"), "run.calibrate"),
        (("--calibrate", "30"), "'aer' has no noise to calibrate"),
        (("--set", "noise.readout=1"), "'aer' has no noise"),
        (
            ("--backend", "native", "--preparation", "compact"),
            "'native' has no noise and no preparation",
        ),
        (("--backend", "aer:none.json"), "cannot read noise file none.json"),
        (
            ("--backend", AER, "--set", "layer.n_wires=6"),
            "6 wires, but 'aer:fake_manila' takes at most 5",
        ),
    ],
)
def test_mistakes_leave_with_2_before_anything_is_made(
    qhc: Qhc, arguments: tuple[str, ...], words: str
) -> None:
    assert_refused(qhc, words, "run", *SMALL, *arguments)
