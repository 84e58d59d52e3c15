"""Denormal numbers are flushed for a while, and treated afterwards as they were before."""

from __future__ import annotations

import pytest
import torch

from experiments.assembly.denormals import flushing_denormals


def halved() -> float:
    return (torch.tensor(1e-310, dtype=torch.float64) / 2).item()


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_the_mode_is_restored(before: bool, fails: bool) -> None:
    if not torch.set_flush_denormal(before):
        pytest.skip("this processor has no such mode")
    expected = halved()
    assert (expected == 0) == before
    try:
        with flushing_denormals():
            assert halved() == 0
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fails
    assert halved() == expected
    torch.set_flush_denormal(False)
