"""What a cell of the noise ablation finds: a trained model's images under one setting, a csv row.

It starts from what the model's front end gave (`front_end`): a cell only runs the quantum layer and
the head. Letters: N images, F features, M outputs.
"""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models import HybridCNN
from qbackend import get_backend
from qbackend.circuits.device_form import compile_for_target, drop_idle_qubits
from qbackend.devices.affine_map import fit_affine_map
from qbackend.devices.noise import NoisyLayer, add_noise
from qbackend.devices.noise_spec import NoiseSpec
from qbackend.devices.properties import DeviceProperties, read_properties
from qbackend.layers.inputs import Array
from qbackend.layers.program import Layer
from qbackend.registry import find_device
from qbackend.seam.device import Device
from qbackend.seam.requests import CompiledLayer, Request
from qbackend.seam.uncertainty import paired_share_interval, share_interval

from ...assembly.backends import ideal_backend
from ...assembly.construct import quantum_layers, trained_model
from ...records.folder import Record, RunFolder
from .axes import ALL, NoiseSetting, Preparation
from .front_end import FrontEnd


def noisy_outcome(kept: Path, reference: Path, setting: NoiseSetting, seed: int) -> Record:
    """How a model answers under a setting, beside what it is worth without noise.

    Accuracy lost is that of the ideally trained model without noise, less the cell's, on the same
    images; its interval is Newcombe's for paired proportions.

    Args:
        kept: file of the model's `FrontEnd`, in the model's run folder.
        reference: the same of the model that was trained without noise under the same seed.
        setting: the noise.
        seed: of the shots.
    """
    start = time.perf_counter()
    model, images = _model(kept.parent), _front_end(kept)
    quantum = quantum_layers(model)[0]
    layer = _noisy_layer(setting, quantum.spec)
    weights = quantum.weight.detach().double().numpy()
    outputs = _outputs(layer, images.features, weights, setting, seed)
    if setting.training == "calibrated":
        # Shots of their own: those of the evaluation must not be known to the fit.
        fitted = images.calibration_features
        noisy = _outputs(layer, fitted, weights, setting, seed + 2**31)
        outputs = fit_affine_map(noisy, images.calibration_outputs).apply(outputs)
    right = _right(model.head, outputs, images.labels)
    ideal_model, ideal_images = _model(reference.parent), _front_end(reference)
    ideal = _right(ideal_model.head, ideal_images.outputs, ideal_images.labels)
    return {
        **scores(right, ideal),
        "rmse": float(np.sqrt(np.mean((outputs - images.outputs) ** 2))),
        "two_qubit_gates": layer.record["two_qubit_gates"],
        "two_qubit_depth": layer.record["two_qubit_depth"],
        "gate_fidelity": layer.record["gate_fidelity"],
        "calibrated_at": layer.record["calibrated_at"],
        "seconds": round(time.perf_counter() - start, 3),
    }


def ideal_outcome(kept: Path) -> Record:
    """The outcome of a model without noise, in the terms of a cell's."""
    images = _front_end(kept)
    right = _right(_model(kept.parent).head, images.outputs, images.labels)
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
    layer: NoisyLayer, features: Array, weights: Array, setting: NoiseSetting, seed: int
) -> Array:
    """Expectation values (N, M) under the noise; features that encode nothing give zero."""
    kind = "native" if setting.shots is None else "aer"
    backend = get_backend(f"{kind}:{setting.device}", shots=setting.shots)
    live = layer.inputs.live(features)
    rows = layer.rows(features[live], weights)
    values = np.zeros((len(features), layer.spec.n_outputs))
    request = Request(layer, rows, shots=setting.shots, seed=seed)
    values[live] = backend.evaluate(request).values
    return values


@torch.no_grad()
def _right(head: nn.Module, outputs: Array, labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    logits = head(torch.from_numpy(outputs).float())
    return logits.argmax(dim=1).numpy() == labels


def noise_of(setting: NoiseSetting) -> NoiseSpec:
    """The strength of every part."""
    if setting.part == ALL:
        return NoiseSpec().scaled(setting.strength)
    return NoiseSpec.only(**{setting.part: setting.strength})


def _noisy_layer(setting: NoiseSetting, spec: Layer) -> NoisyLayer:
    compiled, properties = _compiled(setting.device, spec, setting.preparation)
    return add_noise(compiled, properties, noise_of(setting))


@lru_cache(maxsize=64)
def _compiled(
    device: str, spec: Layer, preparation: Preparation
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
def _front_end(kept: Path) -> FrontEnd:
    return FrontEnd.load(kept)


@lru_cache(maxsize=32)
def _model(folder: Path) -> HybridCNN:
    """The trained model in a run folder, in evaluation mode."""
    checkpoint = RunFolder(folder).checkpoint
    model = trained_model(checkpoint, backend=ideal_backend(), seed=0)[0]
    assert isinstance(model, HybridCNN)
    return model.eval()
