"""The evaluation of a run's model: ideally, on the run's backend, and corrected; recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from models import to_backend
from qbackend.calibration import AffineMap
from qbackend.noise import NoisyLayer
from qbackend.noise_spec import SavedNoise, save_noise

from .backends import LOCAL_BACKEND, ideal_backend, is_ideal, target_backend
from .calibrate import calibrated, fit_maps, observe
from .config import Config
from .construct import quantum_layers
from .data import ImageData, Split, batches
from .evaluate import evaluate
from .feed import Batches, calibration_split, evaluation_split
from .files import write_atomically
from .record import Record, RunFolder


def assess_on_target(
    model: nn.Module, config: Config, data: ImageData, folder: RunFolder, *, checkpoint: str
) -> None:
    """Evaluate on the config's backend; where that is a device, without noise before.

    With [run] calibrate, the device's answers are then corrected and evaluated once more.
    """
    target, seed = target_backend(config), config.run.seed
    if is_ideal(target) or not quantum_layers(model):
        to_backend(model, target, seed=seed)
        assess(model, config, data, folder, ideal=False, checkpoint=checkpoint)
        return
    to_backend(model, ideal_backend(), seed=seed)
    assess(model, config, data, folder, ideal=True, checkpoint=checkpoint)
    n_images = config.run.calibrate
    passages = []
    if n_images is not None:
        split = calibration_split(data.train, n_images, seed)
        passages = observe(model, _in_order(split, model, config, data))
    to_backend(model, target, seed=seed)
    _save_noise(model, folder.noise)
    assess(model, config, data, folder, ideal=False, checkpoint=checkpoint)
    if n_images is not None:
        maps = fit_maps(model, passages)
        with calibrated(model, maps):
            assess(model, config, data, folder, ideal=False, checkpoint=checkpoint, maps=maps)


def assess(
    model: nn.Module,
    config: Config,
    data: ImageData,
    folder: RunFolder,
    *,
    ideal: bool,
    checkpoint: str,
    maps: Sequence[AffineMap] = (),
) -> None:
    """Evaluate on the test images of the config and record it.

    Args:
        model: on the backend that is to answer.
        config: of the run.
        data: its images.
        folder: where the record goes.
        ideal: whether that is the backend without noise in place of the config's.
        checkpoint: whose weights the model has.
        maps: that correct its quantum layers.
    """
    split = evaluation_split(data.test, config.run.limit, config.run.seed)
    layers = quantum_layers(model)
    for layer in layers:
        layer.reseed(config.run.seed)
    images = _in_order(split, model, config, data)
    evaluation = evaluate(model, images, data.classes, config.train.label_smoothing)
    write_atomically(folder.evaluation, evaluation.arrays(split, data.classes))
    more: Record = {}
    compiled = layers[0].neural_network.compiled.record if layers else {}
    if "device" in compiled:
        more["compiled"] = compiled
    if maps:
        more["calibration"] = {
            "images": config.run.calibrate,
            "maps": [found.to_dict() for found in maps],
        }
    folder.append(
        evaluation.record(
            backend=LOCAL_BACKEND if ideal else config.run.backend,
            shots=None if ideal else config.run.shots,
            split="test",
            checkpoint=checkpoint,
            **more,
        )
    )


def _in_order(split: Split, model: nn.Module, config: Config, data: ImageData) -> Batches:
    """Images as they are, on the model's device."""
    size, device = config.train.batch_size, next(model.parameters()).device
    return batches(split, size, device=device, mean=data.mean, std=data.std)


def _save_noise(model: nn.Module, path: Path) -> None:
    """Keep the simulated noise of the model's quantum layers; all of them have the same circuit."""

    compiled = quantum_layers(model)[0].neural_network.compiled
    if isinstance(compiled, NoisyLayer):
        save_noise(path, SavedNoise(compiled.noise, compiled.properties))
