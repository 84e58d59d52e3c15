"""Synthetic run folders, written through the project's own records."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import tomli_w
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional

from experiments.config.recipe import load_config
from experiments.data.splits import Split
from experiments.evaluation.evaluate import Evaluation, Predictions
from experiments.records.folder import RunFolder
from experiments.records.lines import EpochRecord
from experiments.records.scores import Means, TrainingMeans
from qbackend.validation.records.state import Computer, Provenance, Status

DIGITS = tuple(str(digit) for digit in range(10))


def synthetic_run(
    path: Path,
    *,
    recipe: str = "digits",
    arm: str = "quantum",
    backend: str = "aer",
    seed: int = 0,
    classes: Sequence[str] = DIGITS,
    n_images: int = 360,
    epochs: int = 6,
    skill: float = 8.0,
    evaluated: bool = True,
    jobs: int = 0,
    qpu_seconds: float = 0.0,
    status: Status = "finished",
    settings: tuple[str, ...] = (),
    **given: str,
) -> Path:
    """A run as training leaves it, without its training; a larger `skill` answers better.

    What is `given` beside goes into its `Provenance`.
    """
    chosen = (
        f"model.arm={arm}",
        f"run.backend={backend}",
        f"run.seed={seed}",
        f"train.epochs={max(6, epochs)}",
        *settings,
    )
    config = load_config(recipe, chosen)
    command = f"qhc run --recipe {recipe} --seed {seed}"
    provenance = Provenance.from_dict({"command": command, **given})
    folder = RunFolder.create(path, config, provenance)
    quantum = 8 if arm.startswith("quantum") else 0
    computer = Computer(
        processor="Example CPU at 2.0 GHz",
        cores=2,
        memory_mib=8192,
        system="Linux x86_64",
        accelerator="cpu",
    )
    folder.note(parameters=12_345, quantum_parameters=quantum, status=status, computer=computer)
    rng = np.random.default_rng([seed, *arm.encode()])
    for epoch in range(1, epochs + 1):
        folder.append(synthetic_epoch(epoch, rng))
    if evaluated:
        evaluation = synthetic_evaluation(classes, n_images, skill, rng, bridge=arm != "classical")
        images = digit_images(evaluation.predictions.labels, rgb=len(classes) > 10)
        shots = config.run.shots
        evaluation = replace(evaluation, jobs=jobs, qpu_seconds=qpu_seconds, shots=shots)
        folder.evaluation.write_bytes(evaluation.arrays(images, classes, seed=seed))
        folder.append(evaluation.record(backend=backend, split="test", checkpoint="best"))
    return path


def synthetic_epoch(epoch: int, rng: np.random.Generator) -> EpochRecord:
    """The record of an epoch of a training that goes well."""
    error = 0.6 * np.exp(-epoch / 2) + 0.02 * rng.random()
    validation = {"loss": 2 * error + 0.5, "accuracy": 1 - error}
    scores = {name: 1 - error - 0.004 * rng.random() for name in ("precision", "recall", "f1")}
    return EpochRecord(
        epoch=epoch,
        lr=0.002,
        train=TrainingMeans(loss=2.2 * error + 0.55, accuracy=1 - 1.1 * error),
        validation=Means(**validation, **scores),
        seconds=round(0.4 + 0.3 * (epoch == 1) + 0.02 * rng.random(), 4),
        validation_seconds=0.05,
        cpu_seconds=round(0.7 + 0.02 * rng.random(), 4),
        peak_memory_mib=512.5 + epoch,
    )


def synthetic_evaluation(
    classes: Sequence[str], n_images: int, skill: float, rng: np.random.Generator, *, bridge: bool
) -> Evaluation:
    """Answers from noisy features around one centre per class; every class occurs."""
    n_classes = len(classes)
    labels = np.arange(n_images) % n_classes
    centres = rng.normal(size=(n_classes, 16))
    features = np.abs(centres[labels] + 0.5 * rng.normal(size=(n_images, 16)))
    outputs = np.tanh(features @ rng.normal(size=(16, 4)) / 4)
    distances = np.linalg.norm(features[:, None] - np.abs(centres), axis=2)
    logits = torch.from_numpy(-skill * distances / 4)
    truth = torch.from_numpy(labels)
    losses = functional.cross_entropy(logits, truth, reduction="none")
    predictions = Predictions(logits, truth, losses)
    return Evaluation(
        predictions=predictions,
        scores=predictions.scores(classes),
        features=torch.from_numpy(features) if bridge else None,
        outputs=torch.from_numpy(outputs) if bridge else None,
        seconds=0.123,
        jobs=0,
        qpu_seconds=0.0,
    )


def digit_images(labels: Tensor, *, rgb: bool) -> Split:
    """Real 8x8 digits with the labels (modulo 10), in one channel or three."""
    digits = load_digits()
    by_label = [np.flatnonzero(digits.target == label) for label in range(10)]
    chosen = [by_label[label % 10][n % 170] for n, label in enumerate(labels.tolist())]
    images = torch.from_numpy(digits.images[chosen] * 255 / 16).to(torch.uint8)[:, None]
    return Split.whole(images.repeat(1, 3, 1, 1) if rgb else images, labels)


def as_of_old(run: Path) -> None:
    """What happened to a run back in its `config.toml`, where it was before it had a file."""
    folder = RunFolder.open(run)
    content, state = tomllib.loads(folder.config_file.read_text()), folder.state.to_dict()
    if "computer" in state:
        content["computer"] = state.pop("computer")
    content["run"] |= state
    content.pop("quantum_layer", None)
    folder.config_file.write_text(tomli_w.dumps(content))
    folder.state_file.unlink()
