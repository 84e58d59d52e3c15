"""Streams of random numbers: for initial weights, one per seed and part of a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import numpy as np
import torch

_TURN = RLock()


@contextmanager
def global_stream() -> Iterator[None]:
    """Draw from PyTorch's global generator, while other threads that do so wait: they share it."""
    with _TURN:
        yield


def part_seed(seed: int, part: str) -> int:
    """A seed of 32 bits that only the model's seed and the part's name decide."""
    return int(np.random.SeedSequence([seed, *part.encode()]).generate_state(1)[0])


@contextmanager
def weights_from(seed: int, part: str) -> Iterator[None]:
    """Draw initial weights from the part's own stream; PyTorch's global one is left alone."""
    with global_stream(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(part_seed(seed, part))
        yield
