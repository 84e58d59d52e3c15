"""What is diagnosed: a model, what it is trained on and by, and where its circuits run.

Letters: N samples, B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from qbackend.seam.backend import QuantumBackend

from .parts import Part, find_parts
from .watch import Pass, as_it_was, joined, watched

Loss = Callable[[Tensor, Tensor], Tensor]

BATCH = 32
"""Samples that go forwards, or forwards and backwards, at a time."""

STRANGE_LABELS = "labels are out of range, see the check 'labels'"
"""Why a check that takes the loss is skipped."""


@dataclass(frozen=True)
class Samples:
    """Inputs (N, ...) as they are stored, and targets, (N,) of classes."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass
class Subject:
    """What the checks look at; they leave all of it as it is.

    Attributes:
        name: what was named.
        model: its circuits exact and without noise.
        inputs: (B, ...), as the model is given them, of the training split.
        targets: (B,), None where there are none.
        loss: of outputs and targets.
        trained: whether the weights are those of a training, rather than initial ones.
        splits: all that there is, as it is stored, by "training", "validation", "test".
        prepare: from stored inputs to what the model is given.
        classes: their names, in the order of the outputs.
        optimiser: None where it is not known.
        is_frozen: whether the circuit's weights are meant to stay as they are.
        backends: where the circuits are to run, by the parts' names: what the noise is looked for
            in. None where one could not be made, see `refusals`.
        refusals: why not.
        shots: per circuit, None for exact values.
        seed: of everything that is drawn.
    """

    name: str
    model: nn.Module
    inputs: Tensor
    targets: Tensor | None
    loss: Loss = nn.functional.cross_entropy
    trained: bool = False
    splits: Mapping[str, Samples] = field(default_factory=dict)
    prepare: Callable[[Tensor], Tensor] = torch.Tensor.float
    classes: tuple[str, ...] = ()
    optimiser: Optimizer | None = None
    is_frozen: bool = False
    backends: Mapping[str, QuantumBackend] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)
    shots: int | None = None
    seed: int = 0

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The model's quantum parts."""
        return find_parts(self.model)

    @cached_property
    def evaluated(self) -> Pass:
        """All samples without dropout, batch by batch.

        Before a training BatchNorm has no means of its own yet, and takes those of the batch, as in
        the first step.
        """
        with as_it_was(self.model, training=False, seed=self.seed):
            for each in self.model.modules():
                if isinstance(each, _BatchNorm):
                    each.train(not self.trained)
            # Each batch lets go of what autograd keeps of it before the next one begins.
            return joined([joined([self._watched(each)]) for each in self.batches()])

    def _watched(self, inputs: Tensor) -> Pass:
        return watched(self.model, self.parts, inputs)

    @cached_property
    def called_parts(self) -> tuple[Part, ...]:
        """Those of the parts that the model calls."""
        return tuple(part for part in self.parts if part.name in self.evaluated.outputs)

    @cached_property
    def has_strange_labels(self) -> bool:
        """Whether there are labels that are none of the outputs: no loss of classes takes them."""
        targets = self.targets
        if targets is None or targets.ndim != 1 or targets.dtype.is_floating_point:
            return False
        n_outputs = self.evaluated.output.shape[-1]
        return int(targets.min()) < 0 or int(targets.max()) >= n_outputs

    def batches(self) -> tuple[Tensor, ...]:
        """The inputs in batches that need little memory, none of a single sample."""
        return self.inputs.chunk(max(1, len(self.inputs) // BATCH))

    def loss_of(self, output: Tensor) -> Tensor:
        """The mean loss of the first samples' outputs.

        Without targets, another number that they decide.
        """
        if self.targets is not None:
            return self.loss(output, self.targets[: len(output)])
        generator = torch.Generator().manual_seed(self.seed)
        return (output * torch.randn(output.shape, generator=generator).to(output)).sum()

    def generator(self) -> torch.Generator:
        """Random numbers from the seed."""
        return torch.Generator().manual_seed(self.seed)
