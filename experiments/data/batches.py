"""From a split in memory to the batches of an epoch.

Letters: N images of a split, B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .augment import Augmentation
from .splits import Split

Batches = Iterable[tuple[Tensor, Tensor]]
"""Images (B, C, H, W) and labels (B,), batch after batch."""

_ORDER, _MOVES = 0, 1
"""Streams of random numbers, so that augmentation leaves the order of images alone."""


@dataclass(frozen=True)
class Draw:
    """What the seed makes of one epoch.

    Attributes:
        positions: of every batch's images in the split, (B,) each.
        moves: (N, 5) of every image of the split, see `augment.moved`; None without augmentation.
    """

    positions: tuple[Tensor, ...]
    moves: Tensor | None


class BatchSource:
    """A split as batches of normalised images (B, C, H, W) in float32, and labels (B,).

    With a seed, images are shuffled, and what augmentation does to an image follows from (seed,
    epoch, image) alone: any epoch can be replayed, whatever the batch size, by any number of
    processes. Without a seed they come in order. Batches are made where the split is and then
    moved to `device`.

    BatchNorm cannot be trained on a single image: where one would be left over for the last
    batch, it joins the batch before.

    Args:
        split: where the images come from.
        batch_size: B, of one process.
        device: where the batches are wanted.
        mean: per channel, on the scale from 0 to 1; empty for inputs that are taken as they are.
        std: per channel, on the same scale.
        seed: of order and augmentation.
        augment: random changes; they need a seed.
        augment_normalised: augment after normalising, so that what moves in from outside is 0,
            the mean, rather than black.
        multiple_of: leave out the images at the end beyond a multiple of this number: of
            B * world_size, and every batch is full; of world_size, and all processes have equally
            many batches (distributed training waits for the last of them).
        rank: this process, which takes every `world_size`-th image.
        world_size: number of processes.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        device: torch.device | str,
        mean: Sequence[float],
        std: Sequence[float],
        seed: int | None = None,
        augment: Augmentation | None = None,
        augment_normalised: bool = False,
        multiple_of: int = 1,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if augment is not None and seed is None:
            raise ValueError("augmentation needs a seed")
        self.split, self.device = split, torch.device(device)
        self._batch_size, self._seed = batch_size, seed
        self._augment, self._augments_last = augment, augment_normalised
        self._multiple_of, self._share = multiple_of, slice(rank, None, world_size)
        home = split.images.device
        # The values 0 to 255 are scaled and shifted once, to (value / 255 - mean) / std.
        self._is_normalised = len(mean) > 0
        self._scale = (1 / (255 * _per_channel(std))).to(home, torch.float32)
        self._offset = (-_per_channel(mean) / _per_channel(std)).to(home, torch.float32)

    def draw(self, epoch: int) -> Draw:
        """Order and augmentation of an epoch; another one gives another order and other changes."""
        n, seed, home = len(self.split), self._seed, self.split.images.device
        order = torch.arange(n) if seed is None else _shuffle(n, seed, epoch)
        order = order[: n - n % self._multiple_of][self._share].to(home)
        moves = None
        if self._augment is not None and seed is not None:
            rng = np.random.default_rng([seed, epoch, _MOVES])
            height, width = self.split.images.shape[2:]
            moves = self._augment.draw(n, height, width, rng).to(home)
        return Draw(tuple(_chunks(order, self._batch_size)), moves)

    def batch(self, positions: Tensor, moves: Tensor | None) -> tuple[Tensor, Tensor]:
        """The images at positions (B,) of the split after an epoch's moves, and their labels."""
        images = self.split.images[positions]
        if self._augment is not None and moves is not None and not self._augments_last:
            images = self._augment.apply(images, moves[positions])
        normalised = images.to(torch.float32)
        if self._is_normalised:
            normalised = normalised.mul_(self._scale).add_(self._offset)
        if self._augment is not None and moves is not None and self._augments_last:
            normalised = self._augment.apply(normalised, moves[positions])
        labels = self.split.labels[positions]
        return (
            normalised.to(self.device, non_blocking=True),
            labels.to(self.device, non_blocking=True),
        )

    def epoch(self, number: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """All batches of the epoch of that number."""
        draw = self.draw(number)
        for positions in draw.positions:
            yield self.batch(positions, draw.moves)


def n_batches(n: int, batch_size: int) -> int:
    """How many batches a `BatchSource` makes of the n images of one process."""
    full, left = divmod(n, batch_size)
    joins = left == 1 and full > 0
    return full + (left > 0 and not joins)


def _shuffle(n: int, seed: int, epoch: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng([seed, epoch, _ORDER]).permutation(n))


def _chunks(order: Tensor, size: int) -> list[Tensor]:
    """Runs of `size` positions; the last is shorter, or longer by the one that was left over."""
    chunks = [chunk for chunk in order.split(size) if len(chunk)]
    if size > 1 and len(chunks) > 1 and len(chunks[-1]) == 1:
        chunks[-2:] = [torch.cat(chunks[-2:])]
    return chunks


def _per_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(tuple(values), dtype=torch.float64)[:, None, None]
