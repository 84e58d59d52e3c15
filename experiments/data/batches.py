"""From a split in memory to the batches of an epoch.

Letters: N images of a split, B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from .augment import Augmentation
from .splits import Split

_ORDER, _MOVES = 0, 1
"""Streams of random numbers, so that augmentation leaves the order of images alone."""


def batches(
    split: Split,
    batch_size: int,
    *,
    device: torch.device | str,
    mean: Sequence[float],
    std: Sequence[float],
    seed: int | None = None,
    epoch: int = 0,
    augment: Augmentation | None = None,
    augment_normalised: bool = False,
    multiple_of: int = 1,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch: normalised images (B, C, H, W) in float32, and labels (B,).

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
        mean: per channel, on the scale from 0 to 1.
        std: per channel, on the same scale.
        seed: of order and augmentation.
        epoch: another one gives another order and other changes.
        augment: random changes; they need a seed.
        augment_normalised: augment after normalising, so that what moves in from outside is 0,
            the mean, rather than black.
        multiple_of: leave out the images at the end beyond a multiple of this number: of
            B * world_size, and every batch is full; of world_size, and all processes have equally
            many batches (distributed training waits for the last of them).
        rank: this process, which takes every `world_size`-th image.
        world_size: number of processes.
    """
    images, home = split.images, split.images.device
    order = torch.arange(len(split)) if seed is None else _shuffle(len(split), seed, epoch)
    moves = None
    if augment is not None:
        if seed is None:
            raise ValueError("augmentation needs a seed")
        rng = np.random.default_rng([seed, epoch, _MOVES])
        moves = augment.draw(len(split), images.shape[2], images.shape[3], rng).to(home)
    order = order[: len(order) - len(order) % multiple_of]
    order = order[rank::world_size].to(home)
    # The values 0 to 255 are scaled and shifted once, to (value / 255 - mean) / std.
    scale = (1 / (255 * _per_channel(std))).to(home, torch.float32)
    offset = (-_per_channel(mean) / _per_channel(std)).to(home, torch.float32)
    for chosen in _chunks(order, batch_size):
        batch = images[chosen]
        if augment is not None and moves is not None and not augment_normalised:
            batch = augment.apply(batch, moves[chosen])
        normalised = batch.to(torch.float32).mul_(scale).add_(offset)
        if augment is not None and moves is not None and augment_normalised:
            normalised = augment.apply(normalised, moves[chosen])
        labels = split.labels[chosen]
        yield normalised.to(device, non_blocking=True), labels.to(device, non_blocking=True)


def n_batches(n: int, batch_size: int) -> int:
    """How many batches `batches` makes of the n images of one process."""
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
