"""The training loop, one for every model, device and number of processes.

What happens in an epoch is a function of the weights before it, the seed and the epoch's number:
every random stream starts anew with each epoch. So a training that was killed and resumed ends
with the same bits as one that was not (on a device of one kind; on the CPU, with the same number
of threads).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from models.streams import global_stream
from qbackend.errors import InputError, OptionError, TrainingError
from qbackend.validation.records.environment import peak_memory_mib

from ..assembly.arithmetic import arithmetic
from ..assembly.construct import model_info, quantum_layers
from ..assembly.denormals import flushing_denormals
from ..assembly.feed import n_training_batches
from ..assembly.own_checks import own_metrics
from ..config.sections import Config
from ..data.splits import ImageData
from ..records.checkpoint import Best, load_training, save_model, save_training
from ..records.folder import RunFolder
from ..records.lines import EpochRecord
from ..records.loggers import Logger
from ..records.scores import Scores, TrainingMeans
from .learner import Learner
from .recorder import CaptureError

NOT_CAPTURED = "is not captured as a CUDA graph"


class Watcher(Protocol):
    """Who follows the training; told by the first process alone."""

    def begin(self, epoch: int, n_epochs: int, n_steps: int) -> None:
        """An epoch of `n_steps` batches begins."""

    def step(self) -> None:
        """A batch is done, or under way on a device that nobody waits for."""

    def end(self, record: EpochRecord) -> None:
        """The epoch is done and recorded."""

    def say(self, text: str) -> None:
        """Something is to be known of the training."""


@dataclass(frozen=True)
class EpochSums:
    """One pass over the training images, on all processes together.

    `seconds` and `cpu_seconds` (of all threads) are this process's.
    """

    loss: float
    accuracy: float
    seconds: float
    cpu_seconds: float


def steps_per_epoch(config: Config, data: ImageData, fabric: Fabric) -> int:
    """Batches of an epoch; raises `OptionError` if there is none."""
    if len(data.train) < config.train.batch_size * fabric.world_size:
        raise OptionError(
            f"{len(data.train)} training images do not fill a batch of {config.train.batch_size} "
            f"in each of {fabric.world_size} processes; choose a smaller train.batch_size"
        )
    return n_training_batches(config, data, fabric)


def note_uncaptured(
    folder: RunFolder, watcher: Watcher, what: str, reason: str, *, is_told: bool
) -> None:
    """Record and say, once, what is not captured."""
    note = f"the {what} {NOT_CAPTURED}, which takes longer: {reason}"
    if is_told and note not in folder.state.notes:
        folder.note(notes=[*folder.state.notes, note])
        watcher.say(f"note: {note}")


class Training:
    """A model on its way through a recipe.

    Args:
        config: the recipe.
        data: images and labels.
        model: trained in place.
        folder: where every epoch leaves its record, what the next one needs and, if it is the
            best so far, the model.
        fabric: devices and processes, launched.
        watcher: told of every step.
        loggers: told of every epoch.
    """

    def __init__(
        self,
        config: Config,
        data: ImageData,
        model: nn.Module,
        folder: RunFolder,
        fabric: Fabric,
        watcher: Watcher,
        loggers: Sequence[Logger] = (),
    ) -> None:
        self.config, self.data, self.folder, self.fabric = config, data, folder, fabric
        self.watcher, self.loggers = watcher, loggers
        self.model, self.n_steps = model, steps_per_epoch(config, data, fabric)
        self._metrics = own_metrics(config)
        # What was found not to be capturable before is not tried again.
        captures = config.fabric.capture == "auto" and not any(
            NOT_CAPTURED in note for note in folder.state.notes
        )
        self._not_captured = partial(
            note_uncaptured, folder, watcher, is_told=fabric.is_global_zero
        )
        self.learner = Learner(
            config, data, model, fabric, self.n_steps, self._not_captured, captures=captures
        )

    def run(self) -> Best:
        """Train from where the folder left it to the last epoch; returns the best one.

        Raises:
            TrainingError: a loss is not finite, or a step could not be captured.
            CheckpointError: the folder holds another training.
            RecordError: the folder cannot be written to.
        """
        done, best = self._resume()
        try:
            with flushing_denormals():
                for epoch in range(done + 1, self.config.train.epochs + 1):
                    # What it sets belongs to all threads, as the random numbers do.
                    with global_stream(), arithmetic(self.config.fabric, self.fabric.device):
                        best = self._epoch(epoch, best)
        except CaptureError as error:
            self._not_captured("training", str(error))
            raise TrainingError(
                f"a step could not be captured as a CUDA graph: {error}. What is done is kept; go "
                f"on without capturing by: qhc resume {self.folder.path}"
            ) from error
        finally:
            self.learner.close()
        assert best is not None
        return best

    def _resume(self) -> tuple[int, Best | None]:
        done, best = 0, None
        if self.folder.training.exists():
            done, best = load_training(
                self.folder.training, self.model, self.learner.optimiser, self.learner.schedule
            )
        if self.fabric.is_global_zero:
            self.folder.rewind(done)
        self.fabric.barrier()
        return done, best

    def _epoch(self, epoch: int, best: Best | None) -> Best:
        self._reseed(epoch)
        lr = self.learner.optimiser.param_groups[0]["lr"]
        if self.fabric.is_global_zero:
            self.watcher.begin(epoch, self.config.train.epochs, self.n_steps)
        trained = self._train(epoch)
        start = time.perf_counter()
        scores = self._validate(epoch)
        validation_seconds = time.perf_counter() - start
        reached = Best(epoch, scores.accuracy, scores.loss)
        improved = best is None or best.is_beaten_by(reached, self.config.train.ties)
        kept = reached if improved or best is None else best
        if self.fabric.is_global_zero:
            record = EpochRecord(
                epoch=epoch,
                lr=lr,
                train=TrainingMeans(loss=trained.loss, accuracy=trained.accuracy),
                validation=scores.means,
                seconds=round(trained.seconds, 4),
                validation_seconds=round(validation_seconds, 4),
                cpu_seconds=round(trained.cpu_seconds, 4),
                peak_memory_mib=peak_memory_mib(),
                **self._device_memory(),
            )
            self.folder.append(record)
            if improved:
                save_model(
                    self.folder.checkpoint, self.model, model_info(self.config, self.data, epoch)
                )
            save_training(
                self.folder.training,
                self.model,
                self.learner.optimiser,
                self.learner.schedule,
                epoch,
                kept,
            )
            for logger in self.loggers:
                logger.log(record)
            self.watcher.end(record)
        return kept

    def _train(self, epoch: int) -> EpochSums:
        device = self.fabric.device
        losses = torch.zeros(self.n_steps, device=device)
        draw = self.learner.draw(epoch)
        sizes = [len(positions) for positions in draw.positions]
        right = torch.zeros((), device=device)
        checked = 0
        start, cpu_start = time.perf_counter(), time.process_time()
        # What is not trained answers as it will when it is used.
        self.learner.network.train(self.config.train.weights == "all")
        for layer in quantum_layers(self.model):
            layer.train()
        step = 0
        try:
            for step, (loss, n_right) in enumerate(self.learner.steps(draw), start=1):
                losses[step - 1] = loss
                right += n_right
                if step % self.learner.check_every == 0:
                    self._check(losses[checked:step], epoch, checked)
                    checked = step
                if self.fabric.is_global_zero:
                    self.watcher.step()
        except InputError as error:
            raise self._diverged(epoch, f"in batch {step + 1} {error}") from error
        self._check(losses[checked:], epoch, checked)
        n_images = torch.tensor(float(sum(sizes)), device=device)
        mean_loss = (losses * torch.tensor(sizes, device=device)).sum() / n_images
        sums = torch.stack([mean_loss, right, n_images])
        total = self.fabric.all_reduce(sums, reduce_op="sum")
        assert isinstance(total, Tensor)
        total_loss, total_right, total_images = total.tolist()
        return EpochSums(
            loss=total_loss / self.fabric.world_size,
            accuracy=total_right / total_images,
            seconds=time.perf_counter() - start,
            cpu_seconds=time.process_time() - cpu_start,
        )

    def _check(self, losses: Tensor, epoch: int, before: int) -> None:
        """Raise `TrainingError` for the first loss that is not finite; `before` came earlier."""
        finite = torch.isfinite(losses)
        if not finite.all():
            batch = before + int((~finite).nonzero()[0]) + 1
            raise self._diverged(epoch, f"the loss of batch {batch} is not finite")

    def _validate(self, epoch: int) -> Scores:
        """Of the epoch's weights, on the validation split, by all processes together."""
        predictions = self.learner.predictions(epoch)
        distributed = self.fabric.world_size > 1
        scores = predictions.scores(self.data.classes, distributed=distributed, own=self._metrics)
        if not math.isfinite(scores.loss):
            raise self._diverged(epoch, "the validation loss is not finite")
        return scores

    def _diverged(self, epoch: int, what: str) -> TrainingError:
        kept = f"the best model so far is kept in {self.folder.checkpoint}"
        return TrainingError(
            f"training diverged in epoch {epoch}: {what}; "
            f"{kept if self.folder.checkpoint.exists() else 'no epoch was finished before'}. "
            "Start again with a smaller learning rate, for example --set train.lr="
            f"{self.config.train.lr / 10:g}"
        )

    def _reseed(self, epoch: int) -> None:
        """Start every random stream of the epoch: dropout and sampling."""
        key = [self.config.run.seed, epoch, self.fabric.global_rank]
        seed = int(np.random.SeedSequence(key).generate_state(1)[0])
        torch.manual_seed(seed)
        for layer in quantum_layers(self.model):
            layer.reseed(seed)

    def _device_memory(self) -> dict[str, float]:
        if self.fabric.device.type != "cuda":
            return {}
        peak = torch.cuda.max_memory_allocated(self.fabric.device)
        return {"peak_device_memory_mib": round(peak / 2**20, 1)}
