"""Second and higher derivatives of functions that fast code differentiates once.

A `torch.autograd.Function` whose backward pass leaves torch has no derivative of its own for
autograd to follow: it would be taken for zero. Here that pass becomes a function itself, whose
derivatives are those of the same function written in torch's operations. None of this is
computed unless autograd goes through the backward pass again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Gradients = tuple[Tensor | None, ...]


def pulled(
    pull: Callable[[Tensor], Gradients],
    again: Callable[..., Tensor],
    cotangent: Tensor,
    inputs: Sequence[Tensor],
) -> Gradients:
    """For the backward pass of a function of `inputs`: `pull(cotangent)`, open to derivatives.

    Args:
        pull: the gradients of sum(outputs * cotangent) by each input, None where nobody asked.
        again: the function in torch's operations, from its inputs to its outputs. Called for
            derivatives beyond the first only; whatever it raises, those raise.
        cotangent: the gradient with respect to the outputs.
        inputs: as autograd saved them.
    """
    if torch.is_grad_enabled():
        return _Pullback.apply(pull, again, cotangent, *inputs)
    return _without_autocast(pull, cotangent)


class _Pullback(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        pull: Callable[[Tensor], Gradients],
        again: Callable[..., Tensor],
        cotangent: Tensor,
        *inputs: Tensor,
    ) -> Gradients:
        ctx.save_for_backward(cotangent, *inputs)
        ctx.again = again
        return _without_autocast(pull, cotangent)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> Gradients:
        goes_on = torch.is_grad_enabled()
        saved = ctx.saved_tensors
        with torch.enable_grad(), torch.autocast(saved[0].device.type, enabled=False):
            # An input may have been computed from another one. As views of their own none of them
            # stands behind another, and what is differentiated here is `again` alone.
            given = [tensor.view_as(tensor) for tensor in saved]
            values = ctx.again(*given[1:])
            wanted = [
                (tensor, slope)
                for tensor, slope in zip(given[1:], cotangents, strict=True)
                if slope is not None and tensor.requires_grad
            ]
            first = torch.autograd.grad(
                values,
                [tensor for tensor, _ in wanted],
                given[0],
                create_graph=True,
                materialize_grads=True,
            )
            total = sum(
                torch.sum(one * slope) for one, (_, slope) in zip(first, wanted, strict=True)
            )
            second = _gradients(total, given, goes_on)
        return None, None, *second


def _without_autocast(pull: Callable[[Tensor], Gradients], cotangent: Tensor) -> Gradients:
    # On the CPU the code behind is ours, and autocast has no part in it.
    if cotangent.is_cpu:
        return pull(cotangent)
    with torch.autocast(cotangent.device.type, enabled=False):
        return pull(cotangent)


def _gradients(total: Any, tensors: Sequence[Tensor], create_graph: bool) -> list[Tensor | None]:
    """Of `total` by those tensors that want one; zero where `total` does not depend on it."""
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    if not isinstance(total, Tensor) or not total.requires_grad:
        return [torch.zeros_like(tensor) if tensor.requires_grad else None for tensor in tensors]
    found = iter(
        torch.autograd.grad(total, wanted, create_graph=create_graph, materialize_grads=True)
    )
    return [next(found) if tensor.requires_grad else None for tensor in tensors]
