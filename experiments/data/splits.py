"""Images in memory, and how a set of them is divided.

Letters: N images, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Some of a dataset's images.

    Attributes:
        images: (N, C, H, W), uint8; of the user's own data any (N, ...), float32.
        labels: (N,), int64, indices into the dataset's classes.
        indices: (N,), int64, where in the source's own training or test split they are from.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor

    @classmethod
    def whole(cls, images: Tensor, labels: Tensor) -> Split:
        """A source's own split, in its own order."""
        return cls(images, labels, torch.arange(len(labels)))

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, chosen: Tensor) -> Split:
        """The images at the positions `chosen` (K,) of this split, in that order."""
        return Split(self.images[chosen], self.labels[chosen], self.indices[chosen])

    def to(self, device: torch.device | str) -> Split:
        """The split on a device; batches of it are then made there."""
        return Split(self.images.to(device), self.labels.to(device), self.indices.to(device))


@dataclass(frozen=True)
class ImageData:
    """A dataset, divided.

    Attributes:
        name: as `load_data` takes it.
        train: trained on.
        validation: chosen by.
        test: reported.
        classes: their names; a label is an index into them.
        mean: of a channel's values between 0 and 1, per channel; empty where inputs are taken as
            they are.
        std: their standard deviation, per channel.
        n_found: images found at the data root, training and test together.
        n_published: images that the dataset has where it was published.
        notes: what a reader of the results must know of the images, a sentence each.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    n_found: int
    n_published: int
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether these are all of the published images; False for a subset of them."""
        return self.n_found == self.n_published


def hold_out(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Divide a split into what is kept and what is held out, both in the split's own order.

    Stratified: of each class the nearest whole number to `share` is held out, though never all of
    it. Which images these are follows from the seed and the labels alone, by the raw stream of
    NumPy's PCG64, which is the same on every machine and in every version.
    """
    return _divide(split, split.labels.numpy(), share, seed)


def hold_out_at_random(split: Split, share: float, seed: int) -> tuple[Split, Split]:
    """As `hold_out`, with all images as one class: a class may be held out more than another."""
    return _divide(split, np.zeros(len(split), dtype=np.int64), share, seed)


def _divide(
    split: Split, labels: NDArray[np.int64], share: float, seed: int
) -> tuple[Split, Split]:
    held = _held_out(labels, share, np.random.Generator(np.random.PCG64(seed)).random(len(labels)))
    return (
        split.select(torch.from_numpy(np.flatnonzero(~held))),
        split.select(torch.from_numpy(np.flatnonzero(held))),
    )


def _held_out(
    labels: NDArray[np.int64], share: float, keys: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(N,): of each class the images with the smallest keys."""
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(round(share * len(members)), len(members) - 1)
        held[members[np.argsort(keys[members], kind="stable")[:count]]] = True
    return held


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of uint8 images, on the scale from 0 to 1.

    A channel that is constant has standard deviation 1 here, so that it can be divided by.
    """
    counts = torch.stack(
        [channel.flatten().bincount(minlength=256) for channel in images.unbind(dim=1)]
    ).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = counts @ values / counts.sum(dim=1)
    variance = counts @ values**2 / counts.sum(dim=1) - mean**2
    std = variance.clamp_min(0).sqrt()
    std = torch.where(std < 1e-6, torch.ones_like(std), std)
    return tuple(mean.tolist()), tuple(std.tolist())
