"""A model at work on batches: the steps that train it, and its answers to the validation split.

Letters: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ..assembly.feed import training_source, validation_source
from ..config.sections import Config
from ..data.batches import Draw
from ..data.splits import ImageData
from ..evaluation.evaluate import Predictions, answering, predict
from .captured import Batchwise, CalledBatches, CapturedBatches
from .optimise import build_loss, build_optimiser, build_schedule
from .recorder import Results, obstacle, recorder_of

CHECK_EVERY = 50
"""Steps between two looks at the loss on an accelerator, which has to be waited for."""


class Learner:
    """What of a training is the same in every epoch.

    Args:
        config: the recipe.
        data: images and labels.
        model: trained in place.
        fabric: devices and processes, launched.
        n_steps: batches of an epoch.
        say: told what is not captured, and why, on a device where it could be.
        captures: whether to try.

    Attributes:
        optimiser, schedule: what a training that goes on needs of them is in their state.
        network: the model, as Fabric runs it.
        check_every: steps between two looks at the loss.
    """

    def __init__(
        self,
        config: Config,
        data: ImageData,
        model: nn.Module,
        fabric: Fabric,
        n_steps: int,
        say: Callable[[str, str], None],
        *,
        captures: bool,
    ) -> None:
        section = config.train
        self._model, self._fabric = model.to(fabric.device), fabric
        if config.fabric.channels_last:
            model.to(memory_format=torch.channels_last)
        self._section, self.loss = section, build_loss(config)
        # Fabric cannot clip the gradients of a fused optimiser while it scales the loss.
        is_fused = config.fabric.precision != "16-mixed"
        self.optimiser = build_optimiser(model, section, fused=is_fused)
        self.schedule = build_schedule(self.optimiser, section, n_steps * section.epochs)
        self.network, self._stepper = fabric.setup(model, self.optimiser)
        self._training = training_source(config, data, fabric)
        self._validation = validation_source(config, data, fabric)
        trained = [each for each in model.parameters() if each.requires_grad]
        self._say = say
        self._steps: Batchwise | None = CalledBatches(self._training, self._learn, trained)
        self._answers: Batchwise | None = None
        self.check_every = 1 if fabric.device.type == "cpu" else CHECK_EVERY
        recorder = recorder_of(fabric.device)
        if recorder is None or not captures:
            return
        if (reason := obstacle(config, model, fabric)) is not None:
            say("training", reason)
            return
        # A look at the loss before the epoch is over would be a wait.
        self.check_every = n_steps
        self._steps = CapturedBatches(
            self._training, self._learn, trained, recorder, self._steps_wait
        )
        self._answers = CapturedBatches(
            self._validation, self._answer, [], recorder, partial(say, "validation")
        )

    def close(self) -> None:
        """Let go of what was recorded, which holds memory of the device, and of the model."""
        self._steps = self._answers = None

    def draw(self, epoch: int) -> Draw:
        """The batches of an epoch of the training."""
        return self._training.draw(epoch)

    def steps(self, draw: Draw) -> Iterator[tuple[Tensor, Tensor]]:
        """Train on one batch after the other: its mean loss, and how many answers are right."""
        assert self._steps is not None  # not closed
        for loss, n_right in self._steps.over(draw):
            # Outside of what is captured: the one-cycle schedule moves Adam's first beta, which
            # torch's fused step takes as a number and a graph would keep.
            self._stepper.step()
            self.schedule.step()
            yield loss, n_right

    def predictions(self, epoch: int) -> Predictions:
        """This process's share of the answers to the validation split."""
        # By the module itself: DDP's wrapper would wait for processes that have fewer batches.
        smoothing = self._section.label_smoothing
        if self._answers is None:
            with self._fabric.autocast():
                return predict(self._model, self._validation.epoch(epoch), smoothing)
        with answering(self._model):
            found = self._answers.over(self._validation.draw(epoch))
            parts = [[part.clone() for part in results] for results in found]
        logits, labels = (torch.cat(each) for each in zip(*parts, strict=True))
        return Predictions.of(logits, labels, smoothing)

    def _steps_wait(self, reason: str) -> None:
        self.check_every = CHECK_EVERY
        self._say("training", reason)

    def _learn(self, images: Tensor, labels: Tensor) -> Results:
        """Gradients of a batch (B, C, H, W), clipped; see `steps`."""
        logits = self.network(images)
        loss = self.loss(logits, labels)
        self._fabric.backward(loss)
        if self._section.clip:
            self._fabric.clip_gradients(
                self.network, self._stepper, max_norm=self._section.clip, error_if_nonfinite=False
            )
        return loss.detach(), (logits.detach().argmax(dim=1) == labels).sum()

    def _answer(self, images: Tensor, labels: Tensor) -> Results:
        # Batch by batch: what autocast keeps of the weights is not to outlive a change of them.
        with self._fabric.autocast():
            return self._model(images), labels
