"""Random changes of images: torchvision's semantics, exact moves, the promised distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import functional as torchvision

from experiments.data.augment import Augmentation, moved
from qbackend.errors import OptionError

IDENTITY = (1.0, 0.0, 1.0, 0.0, 0.0)


def random_images(n: int, channels: int = 3, height: int = 10, width: int = 7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (n, channels, height, width)
    # No pixel is black, so that black always comes from outside.
    return torch.randint(1, 256, shape, generator=generator, dtype=torch.uint8)


def rolled(images: torch.Tensor, down: int, across: int) -> torch.Tensor:
    """`torch.roll` with black for what comes around the edge."""
    result = torch.roll(images, (down, across), dims=(2, 3))
    height, width = images.shape[2:]
    rows, columns = torch.arange(height) - down, torch.arange(width) - across
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    return result * inside


@pytest.mark.parametrize("rotate", [True, False])
def test_no_move_is_the_identity(rotate: bool) -> None:
    images = random_images(5)
    assert torch.equal(moved(images, torch.tensor([IDENTITY] * 5), rotate=rotate), images)


@given(st.integers(-12, 12), st.integers(-12, 12), st.booleans())
def test_whole_pixels_roll_with_black(down: int, across: int, rotate: bool) -> None:
    images = random_images(2)
    moves = torch.tensor([(1.0, 0.0, 1.0, -across, -down), IDENTITY])
    result = moved(images, moves, rotate=rotate)
    assert torch.equal(result[:1], rolled(images[:1], down, across))
    assert torch.equal(result[1], images[1])


@pytest.mark.parametrize("rotate", [True, False])
def test_mirror_flips_left_and_right(rotate: bool) -> None:
    images = random_images(3)
    moves = torch.tensor([(1.0, 0.0, -1.0, 0.0, 0.0)] * 3)
    assert torch.equal(moved(images, moves, rotate=rotate), images.flip(3))


def test_a_quarter_turn() -> None:
    images = random_images(1, height=9, width=9)
    quarter = torch.tensor([(0.0, 1.0, 1.0, 0.0, 0.0)])
    assert torch.equal(moved(images, quarter), torch.rot90(images, -1, dims=(2, 3)))


@pytest.mark.parametrize("side", [8, 28])
def test_affine_equals_torchvision(side: int) -> None:
    """Pixel for pixel; a source exactly between two pixels may round either way."""
    augment = Augmentation(rotation=30, shift=0.2)
    images = random_images(60, 1, side, side)
    moves = augment.draw(60, side, side, np.random.default_rng(0))
    ours = augment.apply(images, moves)
    different = 0
    for image, result, (cos, sin, _, dx, dy) in zip(images, ours, moves.tolist(), strict=True):
        angle = float(np.degrees(np.arctan2(sin, cos)))
        theirs = torchvision.affine(image, angle, [int(-dx), int(-dy)], 1.0, [0.0, 0.0])
        different += int((result != theirs).sum())
    assert different <= 1e-3 * images.numel()


def test_crop_equals_torchvision() -> None:
    augment = Augmentation(crop_padding=3)
    images = random_images(50)
    moves = augment.draw(50, 10, 7, np.random.default_rng(0))
    for image, result, move in zip(images, augment.apply(images, moves), moves, strict=True):
        left, top = (int(offset) + 3 for offset in move[3:])
        expected = torchvision.crop(torchvision.pad(image, [3, 3]), top, left, 10, 7)
        assert torch.equal(result, expected)


def test_draws_have_the_promised_range_and_spread() -> None:
    n, height, width = 20_000, 20, 40
    augment = Augmentation(rotation=12, shift=0.1, flip=True)
    cos, sin, mirror, dx, dy = augment.draw(n, height, width, np.random.default_rng(0)).T.double()
    degrees = torch.rad2deg(torch.atan2(sin, cos))
    assert degrees.abs().max() <= 12.001
    # A uniform variable on [-a, a] has standard deviation a / sqrt 3.
    assert abs(degrees.mean()) < 5 * 12 / 3**0.5 / n**0.5
    assert degrees.abs().max() > 11.9
    for shift, largest in ((dx, 4), (dy, 2)):
        # Rounding a uniform variable gives the two ends half of an inner value's share.
        share = 1 / (2 * largest)
        assert torch.equal(shift, shift.round())
        for value in range(-largest, largest + 1):
            expected = share / 2 if abs(value) == largest else share
            error = (expected * (1 - expected) / n) ** 0.5
            assert abs((shift == value).double().mean() - expected) < 5 * error
    assert set(mirror.tolist()) == {-1.0, 1.0}
    assert abs(mirror.mean()) < 5 / n**0.5


def test_crop_offsets_are_uniform() -> None:
    n = 20_000
    moves = Augmentation(crop_padding=2).draw(n, 32, 32, np.random.default_rng(0))
    for offset in moves[:, 3:].T:
        counts = torch.bincount((offset + 2).long(), minlength=5).double() / n
        assert len(counts) == 5
        assert (counts - 0.2).abs().max() < 5 * (0.2 * 0.8 / n) ** 0.5


def test_nothing_asked_for_changes_nothing() -> None:
    images = random_images(20)
    augment = Augmentation()
    moves = augment.draw(20, 10, 7, np.random.default_rng(0))
    assert torch.equal(augment.apply(images, moves), images)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rotation": -1}, "0 to 180 degrees, got -1"),
        ({"rotation": float("nan")}, "got nan"),
        ({"shift": 1.0}, "below 1"),
        ({"crop_padding": -2}, "got -2"),
    ],
)
def test_ranges(values: dict[str, float], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Augmentation(**values)
