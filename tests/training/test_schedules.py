"""Learning rates over the batches."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from experiments.config.train import TrainSection
from experiments.training.optimise import build_optimiser, build_schedule


def rates(n_steps: int, **section: Any) -> list[float]:
    given = TrainSection.model_validate({"epochs": 1, "lr": 2e-3, **section})
    optimiser = build_optimiser(nn.Linear(1, 1), given, fused=False)
    schedule = build_schedule(optimiser, given, n_steps)
    found = []
    for _ in range(n_steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


def rises(found: list[float]) -> bool:
    return all(a < b for a, b in pairwise(found))


def falls(found: list[float]) -> bool:
    return rises(found[::-1])


def test_onecycle_rises_for_30_percent_of_the_batches_and_then_falls() -> None:
    found = rates(100, schedule="onecycle", warm_up=0.3)
    assert rises(found[:30])
    assert found[29] == max(found) == 2e-3
    assert falls(found[29:])


def test_cosine_restarts_every_five_batches() -> None:
    found = rates(23, schedule="cosine_restarts", restart_every=5, lr_min=1e-5)
    assert [step for step, rate in enumerate(found) if rate == max(found)] == [0, 5, 10, 15, 20]
    assert found[:5] == found[5:10]
    assert falls(found[:5])


@given(n_steps=st.integers(2, 60), lr_min=st.floats(0, 1e-3))
def test_cosine_falls_to_its_end_and_constant_stays(n_steps: int, lr_min: float) -> None:
    found = rates(n_steps, schedule="cosine", lr_min=lr_min)
    assert found[0] == 2e-3
    assert falls(found)
    assert found[-1] >= lr_min
    assert set(rates(n_steps, schedule="constant")) == {2e-3}
