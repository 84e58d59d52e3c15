"""What a model answers, and how well.

Letters: N images, F features before the bridge, M outputs behind it, C channels, H, W pixels.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models import HybridCNN
from models.exchange import quantum_pointwise
from qbackend import QuantumLayer

from ..assembly.construct import quantum_layers
from ..assembly.own_checks import Measure
from ..data.batches import Batches
from ..data.own import viewable
from ..data.splits import Split
from ..records.lines import EvaluationRecord
from ..records.scores import Scores
from .answers import drawn
from .meter import ImageCopies, Meter, image_copies, metered, output_errors, shot_error
from .metrics import score

N_SAMPLES = 64
"""Images that an evaluation keeps to show, wrong answers among them."""


@dataclass(frozen=True)
class Predictions:
    """A model's answers, in the order of the images.

    Attributes:
        logits: (N, classes).
        labels: (N,).
        losses: (N,), cross-entropy.
    """

    logits: Tensor
    labels: Tensor
    losses: Tensor

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor, label_smoothing: float) -> Predictions:
        """With their losses."""
        losses = functional.cross_entropy(
            logits.float(), labels, label_smoothing=label_smoothing, reduction="none"
        )
        return cls(logits, labels, losses)

    def scores(
        self,
        classes: Sequence[str],
        *,
        distributed: bool = False,
        own: Mapping[str, Measure] | None = None,
    ) -> Scores:
        """How good they are, by the recipe's `own` metrics too.

        `distributed`: together with the other processes' answers.
        """
        given = (self.logits, self.labels, self.losses, classes)
        return score(*given, distributed=distributed, own=own)


def predict(model: nn.Module, batches: Batches, label_smoothing: float) -> Predictions:
    """The model's answers in evaluation mode; its mode is restored.

    Raises `InputError` if what reaches the quantum layer is not finite.
    """
    answer = _asking_once if _is_remote(model) else _batch_by_batch
    with answering(model), drawing_alike():
        return Predictions.of(*answer(model, batches), label_smoothing)


@contextmanager
def answering(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, without derivatives; its mode is restored."""
    training = model.training
    model.eval()
    with torch.no_grad():
        yield
    model.train(training)


@contextmanager
def drawing_alike() -> Iterator[None]:
    """What is random in a model is the same each time, and nothing else that is drawn changes.

    A run that goes on would else ask a machine for other rows than those that it has paid for.
    Torch's numbers are the process's: threads beside one another draw as they come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _batch_by_batch(model: nn.Module, batches: Batches) -> tuple[Tensor, Tensor]:
    """Logits (N, classes) and labels (N,)."""
    logits, labels = [], []
    for images, truth in batches:
        logits.append(model(images))
        labels.append(truth)
    return torch.cat(logits), torch.cat(labels)


def _asking_once(model: nn.Module, batches: Batches) -> tuple[Tensor, Tensor]:
    """The same with all images together in the bridge: every request to a machine queues.

    The networks around it still work batch by batch; all features are a thousandth of the images.
    """
    if not isinstance(model, HybridCNN):
        images, truths = (torch.cat(parts) for parts in zip(*batches, strict=True))
        return model(images), truths
    features, labels = [], []
    for batch, truth in batches:
        features.append(model.front(batch))
        labels.append(truth)
    outputs = model.bridge(torch.cat(features))
    logits = [model.head(part) for part in outputs.split([len(part) for part in features])]
    return torch.cat(logits), torch.cat(labels)


def _is_remote(model: nn.Module) -> bool:
    return any(layer.backend.capabilities.remote for layer in quantum_layers(model))


@dataclass(frozen=True)
class Evaluation:
    """A model evaluated on one backend.

    Attributes:
        predictions: of the images, in their order.
        scores: of the predictions.
        features: (N, F) before the bridge, None for a model without one.
        outputs: (N, M) behind it.
        seconds: that it took.
        jobs: of a backend that samples, 0 on an exact one.
        qpu_seconds: charged.
        shots: of each row, None on an exact backend.
        shot_error: root mean square of the standard errors that a backend which samples gives
            with its values, None for an exact one.
        output_errors: the same of each output, (M,); empty where that is not known.
        copies: which copy of the layer on a device answered each image, None where it stands alone
            or an image asks for many rows.
    """

    predictions: Predictions
    scores: Scores
    features: Tensor | None
    outputs: Tensor | None
    seconds: float
    jobs: int
    qpu_seconds: float
    shots: int | None = None
    shot_error: float | None = None
    output_errors: tuple[float, ...] = ()
    copies: ImageCopies | None = None

    def record(self, *, backend: str, split: str, checkpoint: str, **more: Any) -> EvaluationRecord:
        """The line of `metrics.jsonl`, with `more` at its end."""
        if self.shot_error is not None:
            more["shot_error"] = self.shot_error
        if self.output_errors:
            more["output_errors"] = self.output_errors
        return EvaluationRecord(
            backend=backend,
            shots=self.shots,
            split=split,
            checkpoint=checkpoint,
            **{name: getattr(self.scores, name) for name in self.scores.model_fields_set},
            seconds=round(self.seconds, 3),
            jobs=self.jobs,
            qpu_seconds=self.qpu_seconds,
            **more,
        )

    def arrays(self, split: Split, classes: Sequence[str], *, seed: int) -> bytes:
        """The content of `evaluation.npz`, without any pickle.

        `labels` (N,), `logits` (N, classes), `features` (N, F) and `outputs` (N, M) where the
        model has them, `indices` (N,) of the images in the source's test split, `classes` names;
        `samples` (S, C, H, W) uint8 are the images at the places `sample_places` (S,) among the N,
        wrong answers first, drawn by `sample_seed`; where inputs are no images there are none.

        Args:
            split: the N images.
            classes: names, in the order of the logits.
            seed: that the samples are drawn by.
        """
        wrong = (self.predictions.logits.argmax(dim=1) != self.predictions.labels).cpu().numpy()
        some_wrong = drawn(np.flatnonzero(wrong), N_SAMPLES // 2, seed)
        some_right = drawn(np.flatnonzero(~wrong), N_SAMPLES - len(some_wrong), seed)
        places = torch.from_numpy(np.concatenate([some_wrong, some_right]))
        samples = viewable(split.images[places.to(split.images.device)])
        tensors = {
            "labels": self.predictions.labels,
            "logits": self.predictions.logits.float(),
            "features": self.features,
            "outputs": self.outputs,
            "indices": split.indices,
            "samples": samples,
            "sample_places": None if samples is None else places,
        }
        content = io.BytesIO()
        kept = {key: tensor.cpu().numpy() for key, tensor in tensors.items() if tensor is not None}
        kept |= {"classes": np.array(classes), "sample_seed": np.array(seed, np.uint64)}
        np.savez_compressed(content, allow_pickle=False, **kept)
        return content.getvalue()


def evaluate(
    model: nn.Module,
    batches: Batches,
    classes: Sequence[str],
    label_smoothing: float,
    own: Mapping[str, Measure] | None = None,
) -> Evaluation:
    """The model's answers, what goes into and comes out of its bridge, and what that took.

    `own` are further metrics by name.
    """
    start = time.perf_counter()
    with metered(model) as meters, _watched(model) as (features, outputs):
        predictions = predict(model, batches, label_smoothing)
    n_images = len(predictions.labels)
    if any(each.ndim != 2 for each in features) or sum(map(len, features)) != n_images:
        # What an image passes several times has no one answer to it.
        features.clear()
        outputs.clear()
    return Evaluation(
        predictions=predictions,
        scores=predictions.scores(classes, own=own),
        features=torch.cat(features).float() if features else None,
        outputs=torch.cat(outputs).float() if outputs else None,
        seconds=time.perf_counter() - start,
        jobs=sum(meter.jobs for meter in meters),
        qpu_seconds=sum(meter.qpu_seconds for meter in meters),
        shots=meters[0].performed if meters else None,
        shot_error=shot_error(meters),
        output_errors=output_errors(meters, len(predictions.labels)) if outputs else (),
        copies=_image_copies(model, meters, features),
    )


def bridge_layer(model: nn.Module) -> QuantumLayer | None:
    """The quantum layer that every image passes, None for a model without it or with several."""
    bridge = _bridge(model)
    return bridge if isinstance(bridge, QuantumLayer) else None


def _bridge(model: nn.Module) -> nn.Module | None:
    """Of a hybrid, the layer or the control in its place; of other networks their only layer."""
    if isinstance(model, HybridCNN):
        return model.bridge
    layers = quantum_layers(model)
    return layers[0] if len(layers) == 1 and not list(quantum_pointwise(model)) else None


def _image_copies(
    model: nn.Module, meters: Sequence[Meter], features: Sequence[Tensor]
) -> ImageCopies | None:
    """Which copy answered each of N images, from all features before the bridge (N, F)."""
    layer = bridge_layer(model)
    if layer is None or not meters or not features:
        return None
    rows = torch.cat(list(features)).double().cpu().numpy()
    return image_copies(meters, layer.neural_network.compiled.inputs.live(rows))


@contextmanager
def _watched(model: nn.Module) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """What enters and leaves a network's bridge, batch by batch, while it lasts."""
    features: list[Tensor] = []
    outputs: list[Tensor] = []
    bridge = _bridge(model)
    if bridge is None:
        yield features, outputs
        return

    def keep(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        features.append(given[0].detach())
        outputs.append(output.detach())

    handle = bridge.register_forward_hook(keep)
    try:
        yield features, outputs
    finally:
        handle.remove()
