"""Random changes of training images, on whole batches.

Everything here moves pixels and fills with 0 (black, before normalisation), as torchvision's
`RandomAffine`, `RandomHorizontalFlip` and `RandomCrop` do with their default interpolation
(https://docs.pytorch.org/vision/stable/transforms.html). All changes of a batch are one map from
output to source pixels, hence one gather.

Letters: N images of a split, B batch, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from qbackend.errors import OptionError


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training image, in this order.

    Attributes:
        rotation: largest angle about the centre in degrees, either way, uniform.
        shift: largest shift as a share of the image's side, uniform per axis and rounded to whole
            pixels.
        crop_padding: pixels of black around the image before a random crop back to its size.
        flip: mirror left and right with probability one half.

    Raises:
        OptionError: a value outside its range.
    """

    rotation: float = 0.0
    shift: float = 0.0
    crop_padding: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.rotation <= 180:
            raise OptionError(f"rotation must be 0 to 180 degrees, got {self.rotation}")
        if not 0 <= self.shift < 1:
            raise OptionError(f"shift is a share of the side, at least 0 and below 1: {self.shift}")
        if self.crop_padding < 0:
            raise OptionError(f"crop_padding must be at least 0 pixels, got {self.crop_padding}")

    def draw(self, n: int, height: int, width: int, rng: np.random.Generator) -> Tensor:
        """Moves for n images, (n, 5): see `moved`."""
        angle = np.radians(rng.uniform(-self.rotation, self.rotation, n))
        shifts = [
            np.round(rng.uniform(-self.shift * side, self.shift * side, n))
            for side in (width, height)
        ]
        crops = rng.integers(-self.crop_padding, self.crop_padding, size=(2, n), endpoint=True)
        mirror = np.where(rng.random(n) < 0.5 * self.flip, -1.0, 1.0)
        columns = [np.cos(angle), np.sin(angle), mirror, *(crops - shifts)]
        return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))

    def apply(self, images: Tensor, moves: Tensor) -> Tensor:
        """The images (B, C, H, W) after the moves (B, 5) that `draw` made for them."""
        return moved(images, moves, rotate=self.rotation > 0)


def moved(images: Tensor, moves: Tensor, *, rotate: bool = True) -> Tensor:
    """Images (B, C, H, W) of any dtype with their pixels moved, 0 where nothing moved to.

    A row of `moves` is (cos a, sin a, m, dx, dy): about the centre, the output at (x, y) shows the
    source at (m x + dx, y + dy) turned by -a, to the nearest pixel. Without `rotate`, a is taken
    to be 0 and rows and columns move apart, which is faster.
    """
    height, width = images.shape[2:]
    cos, sin, mirror, dx, dy = moves[:, :, None].unbind(dim=1)
    across, down = _centred(width, moves), _centred(height, moves)
    x, y = mirror * across + dx, down + dy
    # One pixel of black all around: whatever comes from outside is read there.
    padded = functional.pad(images, (1, 1, 1, 1)).flatten(2)
    stride = width + 2
    middle_x, middle_y = (width + 1) / 2, (height + 1) / 2
    if rotate:
        columns = (cos * x + middle_x)[:, None, :] + (sin * y)[:, :, None]
        rows = (-sin * x + middle_y)[:, None, :] + (cos * y)[:, :, None]
    else:
        columns, rows = (x + middle_x)[:, None, :], (y + middle_y)[:, :, None]
    columns = columns.round_().clamp_(0, width + 1)
    rows = rows.round_().clamp_(0, height + 1)
    source = (columns + stride * rows).long()
    source = source.flatten(1)[:, None].expand(-1, images.shape[1], -1)
    return padded.gather(2, source).view_as(images)


def _centred(side: int, like: Tensor) -> Tensor:
    """Pixel coordinates along one side, the image's centre at 0: (side,)."""
    return torch.arange(side, dtype=like.dtype, device=like.device) - (side - 1) / 2
