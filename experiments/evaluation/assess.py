"""The evaluation of a run's model: ideally, on the run's backend, and corrected; recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from models import to_backend
from qbackend import QuantumLayer
from qbackend.devices.affine_map import AffineMap
from qbackend.devices.noise import noise_of
from qbackend.devices.noise_spec import save_noise
from qbackend.seam.backend import QuantumBackend
from qbackend.validation.records.files import write_atomically

from ..assembly.backends import LOCAL_BACKEND, ideal_backend, is_ideal
from ..assembly.construct import quantum_layers
from ..assembly.feed import correction_split, evaluation_split
from ..assembly.own_checks import own_metrics
from ..config.sections import Config
from ..data.batches import Batches, BatchSource
from ..data.splits import ImageData, Split
from ..records.compiled_circuit import save_compiled
from ..records.device_file import save_device
from ..records.folder import RunFolder
from ..records.lines import Compiled, Correction, FittedMap
from .correct import Observed, corrected, fit_maps, observe
from .evaluate import Evaluation, evaluate


def assess_on_target(
    model: nn.Module,
    config: Config,
    data: ImageData,
    folder: RunFolder,
    target: QuantumBackend,
    *,
    checkpoint: str,
) -> None:
    """Evaluate on the config's simulator; where that is a device's, without noise before.

    With [run] calibrate, the device's answers are then corrected and evaluated once more.
    """
    seed = config.run.seed
    if is_ideal(target) or not quantum_layers(model):
        to_backend(model, target, seed=seed)
        assess(model, config, data, folder, checkpoint=checkpoint)
        return
    to_backend(model, ideal_backend(), seed=seed)
    assess(model, config, data, folder, backend=LOCAL_BACKEND, checkpoint=checkpoint)
    observed = observed_ideally(model, config, data)
    to_backend(model, target, seed=config.run.sampling_seed)
    save_simulated_noise(model, folder)
    save_reported(target, folder)
    assess(model, config, data, folder, checkpoint=checkpoint)
    if observed:
        maps = fit_maps(model, observed)
        with corrected(model, maps):
            assess(model, config, data, folder, checkpoint=checkpoint, maps=maps)


def assess(
    model: nn.Module,
    config: Config,
    data: ImageData,
    folder: RunFolder,
    *,
    checkpoint: str,
    backend: str | None = None,
    maps: Sequence[AffineMap] = (),
    keep: Callable[[Evaluation], None] | None = None,
    **more: Any,
) -> None:
    """Evaluate on the test images of the config and record it.

    Args:
        model: on the backend that is to answer.
        config: of the run.
        data: its images.
        folder: where the record goes.
        checkpoint: whose weights the model has.
        backend: name of the exact one that stands in for the config's, if it does.
        maps: that correct its quantum layers.
        keep: what is done with the evaluation before the record says that it is there.
        more: what else the record says.
    """
    split = evaluation_split(data.test, config.run.limit, config.run.seed)
    layers = quantum_layers(model)
    for layer in layers:
        layer.reseed(config.run.sampling_seed)
    # A record that another package's backend spoilt is told before anything is executed.
    circuits = _compiled_circuits(layers)
    images = in_order(split, model, config, data)
    smoothing, own = config.train.label_smoothing, own_metrics(config)
    evaluation = evaluate(model, images, data.classes, smoothing, own)
    arrays = evaluation.arrays(split, data.classes, seed=config.run.seed)
    write_atomically(folder.evaluation, arrays)
    if keep is not None:
        keep(evaluation)
    if circuits and circuits[0].device is not None:
        more |= {"compiled": circuits[0], "narrower": circuits[1:]}
        if circuits[0].physical_qubits:
            save_compiled(folder.compiled, _widest_first(layers)[0].neural_network.compiled)
    if maps:
        # They are of what the device answered, not of what the maps made of it.
        evaluation = replace(evaluation, output_errors=())
    if maps and config.run.calibrate is not None:
        more["calibration"] = Correction(
            images=min(config.run.calibrate, len(data.train)),
            maps=tuple(FittedMap.from_dict(found.to_dict()) for found in maps),
            of="layers" if len(maps) == len(layers) else "copies",
        )
    name = backend or config.run.backend
    folder.append(evaluation.record(backend=name, split="test", checkpoint=checkpoint, **more))


def observed_ideally(model: nn.Module, config: Config, data: ImageData) -> list[Observed]:
    """What goes through the model's quantum layers for [run] calibrate's images, none without."""
    if config.run.calibrate is None:
        return []
    split = correction_split(data.train, config.run.calibrate, config.run.seed)
    return observe(model, in_order(split, model, config, data))


def in_order(split: Split, model: nn.Module, config: Config, data: ImageData) -> Batches:
    """Images as they are, on the model's device."""
    size, device = config.train.batch_size, next(model.parameters()).device
    return BatchSource(split, size, device=device, mean=data.mean, std=data.std).epoch()


def save_simulated_noise(model: nn.Module, folder: RunFolder) -> None:
    """Keep the noise of the model's widest circuit: its qubits are enough for all others."""
    noise = noise_of(_widest_first(quantum_layers(model))[0].neural_network.compiled)
    if noise is not None:
        save_noise(folder.noise, noise)


def save_reported(backend: QuantumBackend, folder: RunFolder) -> None:
    """Keep what the device of a backend reports of all its qubits, where there is a device."""
    device = backend.reported_device()
    if device is not None:
        save_device(folder.device, device)


def _compiled_circuits(layers: Sequence[QuantumLayer]) -> list[Compiled]:
    """What the record says of every kind of circuit, the widest first, and how many there are."""
    kinds = Counter(layer.spec for layer in _widest_first(layers))
    compiled = {layer.spec: layer.neural_network.compiled.record for layer in layers}
    return [
        Compiled.from_dict({**compiled[spec], "n_circuits": count, "n_wires": spec.n_wires})
        for spec, count in kinds.items()
    ]


def _widest_first(layers: Sequence[QuantumLayer]) -> list[QuantumLayer]:
    return sorted(layers, key=lambda layer: layer.spec.n_wires, reverse=True)
