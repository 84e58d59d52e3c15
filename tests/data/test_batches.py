"""The batches of an epoch: normalised, replayable, shared between processes."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import torch

from experiments.data.augment import Augmentation
from experiments.data.batches import Batches, BatchSource, n_batches
from experiments.data.splits import Split

PLAIN = {"device": "cpu", "mean": (0.0,), "std": (1 / 255,)}
"""Normalisation that leaves pixel values as they are."""


def numbered(n: int, side: int = 6) -> Split:
    """Images whose label is their position; the first pixel is too."""
    images = torch.randint(
        0, 256, (n, 1, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    return Split.whole(images, torch.arange(n))


def batches(split: Split, batch_size: int, *, epoch: int = 0, **options: Any) -> Batches:
    return BatchSource(split, batch_size, **options).epoch(epoch)


def labels_of(split: Split, batch_size: int, **options: Any) -> list[list[int]]:
    return [labels.tolist() for _, labels in batches(split, batch_size, **PLAIN, **options)]


def flat(lists: list[list[Any]]) -> list[Any]:
    return list(chain.from_iterable(lists))


def test_without_a_seed_images_come_in_order() -> None:
    split = numbered(10)
    loaded = list(batches(split, 4, **PLAIN))
    assert [labels.tolist() for _, labels in loaded] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    torch.testing.assert_close(
        torch.cat([images for images, _ in loaded]), split.images.float(), rtol=1e-6, atol=0
    )


def test_normalised_as_torchvision_does() -> None:
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(2, 3, 16, 16)
    split = Split.whole(pixels.contiguous(), torch.zeros(2, dtype=torch.int64))
    (images, _), *_ = batches(split, 2, device="cpu", mean=mean, std=std)
    per_channel = [torch.tensor(values)[:, None, None] for values in (mean, std)]
    expected = (pixels.float() / 255 - per_channel[0]) / per_channel[1]
    assert images.dtype == torch.float32
    torch.testing.assert_close(images, expected, rtol=1e-5, atol=1e-6)


def test_an_epoch_is_a_permutation_and_epochs_differ() -> None:
    split = numbered(50)
    epochs = [flat(labels_of(split, 8, seed=1, epoch=epoch)) for epoch in (0, 1)]
    assert all(sorted(labels) == list(range(50)) for labels in epochs)
    assert epochs[0] != epochs[1]
    assert epochs[0] != flat(labels_of(split, 8, seed=2, epoch=0))


def test_an_epoch_can_be_replayed() -> None:
    split = numbered(40)
    options = {**PLAIN, "seed": 3, "augment": Augmentation(rotation=20, shift=0.2, flip=True)}
    first = list(batches(split, 8, epoch=5, **options))
    # What was drawn in between, and from the global generators, makes no difference.
    torch.manual_seed(99)
    list(batches(split, 8, epoch=4, **options))
    for (images, labels), (again, same) in zip(
        first, batches(split, 8, epoch=5, **options), strict=True
    ):
        assert torch.equal(images, again)
        assert torch.equal(labels, same)


def test_changes_belong_to_the_image_not_to_its_batch_or_process() -> None:
    split = numbered(30)
    options = {**PLAIN, "seed": 3, "augment": Augmentation(rotation=40, crop_padding=2)}

    def by_label(loaded: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        images = torch.cat([images for images, _ in loaded])
        return images[torch.cat([labels for _, labels in loaded]).argsort()]

    alone = by_label(list(batches(split, 30, **options)))
    shared = [b for rank in (0, 1) for b in batches(split, 4, rank=rank, world_size=2, **options)]
    assert torch.equal(by_label(shared), alone)
    assert not torch.equal(alone, split.images.float())


def test_augmentation_leaves_the_order_alone() -> None:
    split = numbered(20)
    plain = labels_of(split, 4, seed=7)
    assert labels_of(split, 4, seed=7, augment=Augmentation(flip=True)) == plain


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_processes_share_an_epoch(world_size: int) -> None:
    split = numbered(31)
    shares = [
        flat(labels_of(split, 4, seed=1, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    assert sorted(flat(shares)) == list(range(31))


@pytest.mark.parametrize(
    ("n", "multiple_of", "sizes"), [(31, 12, [4, 4]), (31, 3, [4, 4, 2]), (28, 3, [4, 5])]
)
def test_every_process_has_equally_many_batches(n: int, multiple_of: int, sizes: list[int]) -> None:
    split = numbered(n)
    shares = [
        labels_of(split, 4, seed=1, multiple_of=multiple_of, rank=rank, world_size=3)
        for rank in range(3)
    ]
    assert [[len(batch) for batch in share] for share in shares] == [sizes] * 3
    seen = flat(flat(shares))
    assert len(set(seen)) == len(seen)
    assert n_batches(len(flat(shares[0])), 4) == len(sizes)


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(9, 4, [4, 5]), (10, 4, [4, 4, 2]), (5, 4, [5]), (1, 4, [1]), (3, 1, [1, 1, 1]), (0, 4, [])],
)
def test_one_image_left_over_joins_the_batch_before(
    n: int, batch_size: int, sizes: list[int]
) -> None:
    assert [len(batch) for batch in labels_of(numbered(n), batch_size)] == sizes
    assert n_batches(n, batch_size) == len(sizes)


def test_augmented_after_normalising_the_mean_moves_in() -> None:
    """Augmented before, black does: (0 - mean) / std."""
    split = Split.whole(torch.full((8, 1, 6, 6), 255, dtype=torch.uint8), torch.arange(8))
    options = {"device": "cpu", "mean": (0.25,), "std": (0.5,), "seed": 0}
    options["augment"] = Augmentation(shift=0.5)
    for normalised, border in ((False, -0.5), (True, 0.0)):
        loaded = batches(split, 8, augment_normalised=normalised, **options)
        values = torch.cat([images for images, _ in loaded]).unique()
        assert values.tolist() == [border, 1.5]


def test_augmentation_without_a_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed"):
        BatchSource(numbered(4), 2, augment=Augmentation(flip=True), **PLAIN)
