"""Images to train on, and a device."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric

from experiments.assembly.fabric import launch
from experiments.config.recipe import load_config
from experiments.data.splits import ImageData, Split


@pytest.fixture(scope="session")
def data() -> ImageData:
    """Two kinds of images, bright above or below, and ten classes of which two occur."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 2
    images = torch.randint(0, 100, (120, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images[labels == 0, :, :4] += 150
    images[labels == 1, :, 4:] += 150
    everything = Split.whole(images, labels)
    return ImageData(
        name="halves",
        train=everything.select(torch.arange(70)),
        validation=everything.select(torch.arange(70, 100)),
        test=everything.select(torch.arange(100, 120)),
        classes=tuple("0123456789"),
        mean=(0.5,),
        std=(0.25,),
        n_found=120,
        n_published=120,
    )


@pytest.fixture(scope="session")
def fabric() -> Fabric:
    return launch(load_config("digits").fabric)
