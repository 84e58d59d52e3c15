"""What the tests forbid is forbidden, or they would say nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from ..support.no_synchronisation import SynchronisationError, no_synchronisation

WAITING: dict[str, Callable[[Tensor], object]] = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.sum()),
    "bool": lambda x: bool(x.any()),
    "branch": lambda x: 1 if x.sum() > 0 else 2,
    "list": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "numpy": lambda x: x.numpy(),
    "array": lambda x: np.asarray(x),
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "where it is": lambda x: torch.where(x > 0),
    "set by a mask": lambda x: x.masked_fill_(x > 0, 1)[x > 0].add_(1),
    "put by a mask": lambda x: x.index_put_((x > 0,), torch.zeros(())),
    "svd": torch.linalg.svd,
    "tensor": lambda x: torch.tensor([1.0]),
    "from_numpy": lambda x: torch.from_numpy(np.zeros(2)),
}


@pytest.mark.parametrize("case", WAITING)
def test_what_waits_raises(case: str) -> None:
    x = torch.ones(2, 2)
    WAITING[case](x.clone())
    with no_synchronisation(), pytest.raises(SynchronisationError):
        WAITING[case](x)


def test_within_a_backward_pass_too() -> None:
    class Waits(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            return 2 * x

        @staticmethod
        def backward(ctx, cotangent: Tensor) -> Tensor:
            return cotangent * cotangent.sum().item()

    x = torch.ones(2, requires_grad=True)
    with no_synchronisation():
        y = Waits.apply(x).sum()
        with pytest.raises(SynchronisationError):
            y.backward()


def test_other_things_are_as_they_were() -> None:
    x = torch.ones(3, 3)
    with no_synchronisation():
        found = torch.where(x > 0, x[torch.arange(3)], 0.0) @ x
    assert torch.equal(found, 3 * x)
    assert torch.tensor(1.0).item() == 1
