"""Into what images are divided, and the constants that scale them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from experiments.data.load import load_data
from experiments.data.sources import SOURCES
from experiments.data.splits import Split, channel_statistics, hold_out, hold_out_at_random

from .files import members, pixels


def test_the_seed_alone_decides_the_division(subsets: Path) -> None:
    first, again, other = (load_data("mnist", root=subsets, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(first.validation.indices, again.validation.indices)
    assert torch.equal(first.validation.images, again.validation.images)
    assert members(first.validation) != members(other.validation)
    assert members(first.train).isdisjoint(members(first.validation))


def test_the_division_is_the_same_everywhere() -> None:
    """Written down once: another platform or NumPy must hold out the same images."""
    labels = torch.arange(40) % 4
    _, held = hold_out(Split.whole(torch.zeros(40, 1, 1, 1), labels), 0.2, seed=7)
    assert held.indices.tolist() == [6, 10, 21, 23, 24, 32, 37, 39]


def test_the_division_is_stratified() -> None:
    labels = torch.tensor([0] * 100 + [1] * 50 + [2] * 10 + [3])
    split = Split.whole(torch.zeros(161, 1, 1, 1), labels)
    kept, held = hold_out(split, 0.2, seed=0)
    assert torch.bincount(held.labels, minlength=4).tolist() == [20, 10, 2, 0]
    assert torch.bincount(kept.labels, minlength=4).tolist() == [80, 40, 8, 1]


def test_the_division_at_random_minds_no_class() -> None:
    labels = torch.arange(1000) % 10
    split = Split.whole(torch.zeros(1000, 1, 1, 1), labels)
    kept, held = hold_out_at_random(split, 0.2, seed=0)
    assert (len(kept), len(held)) == (800, 200)
    assert members(kept).isdisjoint(members(held))
    # 20 of each class is one division in 2,000,000.
    assert set(torch.bincount(held.labels, minlength=10).tolist()) != {20}


def test_validation_from_test_is_the_published_protocol(subsets: Path) -> None:
    data = load_data("stl10", root=subsets, seed=0, validation_from_test=True)
    matched = load_data("stl10", root=subsets, seed=0)
    assert torch.equal(data.validation.images, data.test.images)
    assert torch.equal(data.train.images, matched.train.images)


def test_select_keeps_track_of_the_source() -> None:
    split = Split.whole(pixels_tensor(10), torch.arange(10))
    chosen = split.select(torch.tensor([7, 2])).select(torch.tensor([1]))
    assert chosen.indices.tolist() == chosen.labels.tolist() == [2]
    assert torch.equal(chosen.images, split.images[2:3])


def pixels_tensor(n: int, channels: int = 1) -> torch.Tensor:
    return torch.from_numpy(pixels(n, channels, 5, 4))


def test_channel_statistics() -> None:
    images = pixels_tensor(30, channels=3)
    images[:, 2] = 100
    mean, std = channel_statistics(images)
    values = images.double() / 255
    torch.testing.assert_close(torch.tensor(mean).double(), values.mean(dim=(0, 2, 3)))
    expected = values.std(dim=(0, 2, 3), correction=0)
    expected[2] = 1
    torch.testing.assert_close(torch.tensor(std).double(), expected)


def test_constants_of_digits_are_those_of_its_training_images(tmp_path: Path) -> None:
    digits = SOURCES["digits"]
    mean, std = channel_statistics(digits.read(tmp_path).train.images)
    # Four decimals are written down.
    assert digits.mean == pytest.approx(mean, abs=5e-5)
    assert digits.std == pytest.approx(std, abs=5e-5)
