"""How well each copy of a layer on a machine answers, and which one is far off.

Letters: N images, F features, M outputs, C copies, W weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from qbackend.circuits.device_form import drop_idle_qubits
from qbackend.devices.noise import add_noise, noise_of
from qbackend.devices.noise_spec import SavedNoise, load_noise, save_noise
from qbackend.devices.properties import read_properties
from qbackend.layers.inputs import Array
from qbackend.registry import simulate_device
from qbackend.seam.backend import QuantumBackend
from qbackend.seam.device import Device
from qbackend.seam.requests import CompiledLayer, Request, angles_of
from qbackend.seam.uncertainty import share_interval

from ..records.comparisons import CopyScores
from ..records.folder import RunFolder
from .evaluate import Evaluation, bridge_layer
from .meter import ImageCopies

STANDARD_ERRORS = 5
"""By which a copy that is far off is above the others: of normal deviates 1 in 3.5 million is."""
FEWEST = 3
"""Copies: of two that differ nobody knows which one is right."""
OF_DEVIATIONS = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""


def save_noise_of_copies(model: nn.Module, machine: QuantumBackend, folder: RunFolder) -> None:
    """Keep the noise of all copies of a model's layer, where the machine has some.

    Args:
        model: on the simulator of the machine's noise.
        machine: that it goes to.
        folder: where the noise file is.
    """
    layer, device = bridge_layer(model), machine.reported_device()
    simulated = None if layer is None else noise_of(layer.neural_network.compiled)
    if layer is None or device is None or simulated is None:
        return
    compiled = machine.compile(layer.spec)
    if compiled.copies:
        save_noise(folder.noise, noise_of_copies(compiled, device, simulated))


def noise_of_copies(compiled: CompiledLayer, device: Device, simulated: SavedNoise) -> SavedNoise:
    """The noise on the qubits of all copies of a layer, and on those where it was simulated."""
    qubits = {qubit for each in compiled.copies for qubit in _qubits(each)}
    properties = read_properties(
        device.target,
        device=device.name,
        source=device.source,
        calibrated_at=device.calibrated_at,
        qubits=sorted(qubits.union(simulated.properties.physical_qubits)),
    )
    return SavedNoise(simulated.noise, properties)


def explained(
    model: nn.Module, evaluation: Evaluation, found: ImageCopies, folder: RunFolder
) -> dict[str, NDArray]:
    """What shots and reported errors explain of a machine's outputs, for `validation.npz`.

    Args:
        model: on the machine.
        evaluation: what it answered.
        found: by which copies.
        folder: where the noise file is.
    """
    arrays: dict[str, NDArray] = {"machine_stderr": found.stderr}
    layer, features = bridge_layer(model), evaluation.features
    if layer is None or features is None or not folder.noise.exists():
        return arrays
    own_noise = under_own_noise(
        layer.neural_network.compiled,
        features.double().cpu().numpy(),
        angles_of(layer.weight),
        found.copies,
        load_noise(folder.noise),
    )
    return arrays if own_noise is None else {**arrays, "machine_own_noise": own_noise}


def under_own_noise(
    compiled: CompiledLayer,
    features: Array,
    weights: Array,
    copies: NDArray[np.int_],
    saved: SavedNoise,
) -> Array | None:
    """Outputs (N, M) under the simulated noise of the copy that answers each image.

    Args:
        compiled: the layer with its copies.
        features: (N, F).
        weights: (W,), radians.
        copies: (N,), which one answers; 0 is given for an image that none does.
        saved: the noise on the qubits of all copies; None comes back for one that lacks some.
    """
    properties = saved.properties
    known = set(properties.physical_qubits)
    if not all(known.issuperset(_qubits(copy)) for copy in compiled.copies):
        return None
    backend = simulate_device(
        Device(properties.device, properties.target(), "file", properties.calibrated_at)
    )
    values = np.zeros((len(copies), compiled.spec.n_outputs))
    for index, copy in enumerate(compiled.copies):
        mine = copies == index
        if not mine.any():
            continue
        small = drop_idle_qubits(copy)
        own = properties.among(small.record["physical_qubits"])
        noisy = add_noise(small, own, saved.noise)
        values[mine] = backend.evaluate(Request(noisy, noisy.rows(features[mine], weights))).values
    return values


def copy_scores(arrays: Mapping[str, NDArray], folder: RunFolder) -> tuple[CopyScores, ...]:
    """Of every copy on the machine, from the arrays of `validation.npz`; none of a layer alone."""
    answers = CopyAnswers.of(arrays)
    if answers is None:
        return ()
    compiled = [each.compiled for each in folder.evaluations() if each.stage == "machine"]
    return tuple(answers.scores(max(len(each.copies) for each in compiled if each is not None)))


@dataclass(frozen=True)
class CopyAnswers:
    """What the copies of a layer answered to N images.

    Attributes:
        copies: (N,), which one it was, below 0 for an image that was never sent.
        is_right: (N,), whether its class is the image's.
        outputs: (N, M).
        stderr: (N, M), by the shots alone.
        ideal: outputs without noise, (N, M).
        own_noise: under the simulated noise of the copy's qubits, (N, M); None if not known.
    """

    copies: NDArray[np.int_]
    is_right: NDArray[np.bool_]
    outputs: Array
    stderr: Array
    ideal: Array
    own_noise: Array | None

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray]) -> CopyAnswers | None:
        """Those in the arrays of `validation.npz`; None where no copies are on record."""
        if "machine_copies" not in arrays or "ideal_outputs" not in arrays:
            return None
        return cls(
            copies=arrays["machine_copies"],
            is_right=arrays["machine_logits"].argmax(axis=1) == arrays["labels"],
            outputs=arrays["machine_outputs"].astype(np.float64),
            stderr=arrays["machine_stderr"],
            ideal=arrays["ideal_outputs"].astype(np.float64),
            own_noise=arrays.get("machine_own_noise"),
        )

    def scores(self, n_copies: int) -> list[CopyScores]:
        """Of C copies, in their order."""
        found = [self._scores(copy) for copy in range(n_copies)]
        judged = {i: each.unexplained for i, each in enumerate(found) if each.unexplained}
        far = far_off(list(judged.values()), [found[copy].n_images for copy in judged])
        for copy, is_far_off in zip(judged, far, strict=True):
            found[copy] = found[copy].model_copy(update={"is_far_off": bool(is_far_off)})
        return found

    def _scores(self, copy: int) -> CopyScores:
        mine = self.copies == copy
        n_images, n_right = int(mine.sum()), int(self.is_right[mine].sum())
        if n_images == 0:
            return CopyScores(n_images=0)
        more = {} if self.own_noise is None else {"noise_rmse": self.outputs - self.own_noise}
        differences = {"ideal_rmse": self.outputs - self.ideal, "shot_rmse": self.stderr, **more}
        rmse: dict[str, Any] = {
            key: float(np.sqrt(np.mean(each[mine] ** 2))) for key, each in differences.items()
        }
        return CopyScores(
            n_images=n_images,
            accuracy=n_right / n_images,
            accuracy_interval=share_interval(n_right, n_images),
            **rmse,
        )


def far_off(unexplained: ArrayLike, n_images: ArrayLike) -> NDArray[np.bool_]:
    """Which of C copies deviate from what shots and reported errors explain as the others do not.

    A copy's outputs are compared with the simulated noise of its own qubits, by their reported
    errors, and the mean square of what is left with the one that the shots alone give: their ratio
    is 1 where both together explain everything. No device is known as well as that, so copies are
    compared with each other. One is far off where the logarithm of its ratio is more than
    `STANDARD_ERRORS` above the median of all. The standard error has two parts:

    - how the copies differ: from the median absolute deviation of all, which does not move with
      the few that are far off (Rousseeuw and Croux, https://doi.org/10.1080/01621459.1993.10476408);
    - how few images there are: the square root of 2 / n, for the mean of n squares of normal
      deviates. The outputs of one image have their shots in common and count as one.

    Args:
        unexplained: (C,), the ratios.
        n_images: (C,) that each answered, one at least.
    """
    logarithms, counts = np.log(np.asarray(unexplained, float)), np.asarray(n_images)
    if len(counts) < FEWEST:
        return np.zeros(len(counts), bool)
    above = logarithms - np.median(logarithms)
    spread = OF_DEVIATIONS * np.median(np.abs(above))
    far: NDArray[np.bool_] = above > STANDARD_ERRORS * np.hypot(spread, np.sqrt(2 / counts))
    return far


def _qubits(copy: CompiledLayer) -> list[int]:
    return drop_idle_qubits(copy).record["physical_qubits"]
