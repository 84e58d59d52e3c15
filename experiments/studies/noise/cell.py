"""One cell of the noise ablation: a trained model's evaluation images under one setting.

A model is trained once and its front end sees every image once: what leaves the front end is kept
beside the model, and a cell only runs the quantum layer and the head.

Letters: N images, F features, M outputs.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models import HybridCNN
from qbackend import LayerSpec, get_backend
from qbackend.circuits.device_form import Preparation, compile_for_target, drop_idle_qubits
from qbackend.devices.correction import fit_affine_map
from qbackend.devices.noise import NoisyLayer, add_noise
from qbackend.devices.properties import DeviceProperties, read_properties
from qbackend.layers.inputs import Array
from qbackend.registry import find_device
from qbackend.seam.device import Device
from qbackend.seam.requests import CompiledLayer, Request
from qbackend.seam.uncertainty import paired_share_interval, share_interval

from ...assembly.backends import ideal_backend
from ...assembly.construct import quantum_layers, trained_model
from ...assembly.fabric import launch
from ...assembly.feed import calibration_split, evaluation_split, limit_note, load_images
from ...data.batches import batches
from ...data.splits import Split
from ...evaluation.correct import observe
from ...records.files import write_atomically
from ...records.folder import Record, RunFolder
from .axes import Setting


@dataclass(frozen=True)
class Images:
    """What leaves a trained model's front end.

    Attributes:
        labels: (N,).
        features: (N, F) of the evaluation images.
        outputs: (N, M) of the quantum layer without noise.
        calibration_features: of training images.
        calibration_outputs: of the same.
    """

    labels: NDArray[np.integer]
    features: Array
    outputs: Array
    calibration_features: Array
    calibration_outputs: Array


@dataclass(frozen=True)
class Cell:
    """What a cell is computed from.

    Attributes:
        images: file of the model's `Images`, in the model's run folder.
        reference: the same of the model that was trained without noise under the same seed.
        setting: the noise.
        seed: of the shots.
    """

    images: Path
    reference: Path
    setting: Setting
    seed: int


def keep_images(
    folder: Path,
    file: Path,
    *,
    data_root: Path,
    limit: int | None,
    n_calibration: int,
    say: Callable[[str], None],
) -> None:
    """Write the `Images` of the trained model in a run folder, unless the file is there.

    `say` is told of numbers of images that the data does not have.

    Raises:
        CheckpointError: the model's checkpoint is damaged.
        RecordError: the file could not be written.
    """
    if file.exists():
        return
    run = RunFolder.open(folder)
    config = run.config()
    device = launch(config.fabric).device
    data = load_images(config, data_root, device)
    for note in (
        *limit_note("--limit", limit, data.test, "test"),
        *limit_note("--calibrate", n_calibration, data.train, "training"),
    ):
        say(f"note: {note}")
    model, info = trained_model(run.checkpoint, backend=ideal_backend(), seed=0)
    model.to(device)

    def passed(split: Split) -> tuple[Array, Array]:
        images = batches(
            split, config.train.batch_size, device=device, mean=info.mean, std=info.std
        )
        passage = observe(model, images)[0]
        return passage.features.double().cpu().numpy(), passage.outputs.double().cpu().numpy()

    evaluated = evaluation_split(data.test, limit, config.run.seed)
    features, outputs = passed(evaluated)
    fitted = passed(calibration_split(data.train, n_calibration, config.run.seed))
    content = io.BytesIO()
    np.savez(
        content,
        labels=evaluated.labels.cpu().numpy(),
        features=features,
        outputs=outputs,
        calibration_features=fitted[0],
        calibration_outputs=fitted[1],
    )
    write_atomically(file, content.getvalue())


def compute_cell(cell: Cell) -> Record:
    """How the model answers under the setting, beside what it is worth without noise.

    Accuracy lost is that of the ideally trained model without noise, less the cell's, on the same
    images; its interval is Newcombe's for paired proportions.
    """
    start = time.perf_counter()
    model, images, setting = _model(cell.images.parent), _images(cell.images), cell.setting
    quantum = quantum_layers(model)[0]
    layer = _noisy_layer(setting, quantum.spec)
    weights = quantum.weight.detach().double().numpy()
    outputs = _outputs(layer, images.features, weights, setting, cell.seed)
    if setting.training == "calibrated":
        # Shots of their own: those of the evaluation must not be known to the fit.
        fitted = images.calibration_features
        noisy = _outputs(layer, fitted, weights, setting, cell.seed + 2**31)
        outputs = fit_affine_map(noisy, images.calibration_outputs).apply(outputs)
    right = _right(model.head, outputs, images.labels)
    reference = _images(cell.reference)
    ideal = _right(_model(cell.reference.parent).head, reference.outputs, reference.labels)
    return {
        **scores(right, ideal),
        "rmse": float(np.sqrt(np.mean((outputs - images.outputs) ** 2))),
        "two_qubit_gates": layer.record["two_qubit_gates"],
        "two_qubit_depth": layer.record["two_qubit_depth"],
        "gate_fidelity": layer.record["gate_fidelity"],
        "calibrated_at": layer.record["calibrated_at"],
        "seconds": round(time.perf_counter() - start, 3),
    }


def ideal_outcome(file: Path) -> Record:
    """The outcome of a model without noise, in the terms of a cell's."""
    images = _images(file)
    right = _right(_model(file.parent).head, images.outputs, images.labels)
    return {
        **scores(right, right),
        # Nothing is lost to itself, and that for certain.
        "lost_low": None,
        "lost_high": None,
        "rmse": 0.0,
        "two_qubit_gates": 0,
        "two_qubit_depth": 0,
        "gate_fidelity": 1.0,
        "calibrated_at": None,
        "seconds": 0.0,
    }


def scores(right: NDArray[np.bool_], ideal: NDArray[np.bool_]) -> Record:
    """Accuracy and accuracy lost, from what was answered rightly (N,), noisily and ideally."""
    n_images, n_right = len(right), int(right.sum())
    low, high = share_interval(n_right, n_images)
    worse, better = int((ideal & ~right).sum()), int((right & ~ideal).sum())
    both, neither = int((ideal & right).sum()), int((~ideal & ~right).sum())
    lost_low, lost_high = paired_share_interval(both, worse, better, neither)
    return {
        "n_images": n_images,
        "n_right": n_right,
        "accuracy": n_right / n_images,
        "accuracy_low": low,
        "accuracy_high": high,
        "ideal_accuracy": float(ideal.mean()),
        "lost": (worse - better) / n_images,
        "lost_low": lost_low,
        "lost_high": lost_high,
    }


def _outputs(
    layer: NoisyLayer, features: Array, weights: Array, setting: Setting, seed: int
) -> Array:
    """Expectation values (N, M) under the noise; features that encode nothing give zero."""
    kind = "native" if setting.shots is None else "aer"
    backend = get_backend(f"{kind}:{setting.device}", shots=setting.shots)
    live = ~layer.spec.encoding_rule.is_zero(features)
    rows = layer.rows(features[live], weights)
    values = np.zeros((len(features), layer.spec.n_outputs))
    request = Request(layer, rows, shots=setting.shots, seed=seed)
    values[live] = backend.evaluate(request).values
    return values


@torch.no_grad()
def _right(head: nn.Module, outputs: Array, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    logits = head(torch.from_numpy(outputs).float())
    return logits.argmax(dim=1).numpy() == labels


def _noisy_layer(setting: Setting, spec: LayerSpec) -> NoisyLayer:
    compiled, properties = _compiled(setting.device, spec, setting.preparation)
    return add_noise(compiled, properties, setting.noise)


@lru_cache(maxsize=64)
def _compiled(
    device: str, spec: LayerSpec, preparation: Preparation
) -> tuple[CompiledLayer, DeviceProperties]:
    found = _device(device)
    compiled = drop_idle_qubits(
        compile_for_target(spec, found.target, device=device, preparation=preparation)
    )
    properties = read_properties(
        found.target,
        device=device,
        source=found.source,
        calibrated_at=found.calibrated_at,
        qubits=compiled.record["physical_qubits"],
    )
    return compiled, properties


@lru_cache(maxsize=16)
def _device(name: str) -> Device:
    return find_device(name)[0]


@lru_cache(maxsize=32)
def _images(file: Path) -> Images:
    with np.load(file, allow_pickle=False) as content:
        return Images(**dict(content))


@lru_cache(maxsize=32)
def _model(folder: Path) -> HybridCNN:
    """The trained model in a run folder, in evaluation mode."""
    checkpoint = RunFolder(folder).checkpoint
    model = trained_model(checkpoint, backend=ideal_backend(), seed=0)[0]
    assert isinstance(model, HybridCNN)
    return model.eval()
