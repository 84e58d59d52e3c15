"""Second and higher derivatives of functions that fast code differentiates once.

A `torch.autograd.Function` whose backward pass leaves torch has no derivative of its own for
autograd to follow: it would be taken for zero. Here that pass becomes a function itself, whose
derivatives are those of the same function written in torch's operations. None of this is
computed unless autograd goes through the backward pass again. The same function is what
`torch.func` sees of that pass: it batches it, for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

Gradients = tuple[Tensor | None, ...]


def in_transform() -> bool:
    """Whether `torch.func` is at work, whose tensors no code but torch's own can read."""
    # No public name tells; torch's own `autograd.Function` asks this one.
    return torch._C._are_functorch_transforms_active()


def is_first(cotangent: Tensor) -> bool:
    """Whether a backward pass on the CPU is a first derivative of one batch, and nothing else."""
    return not (
        torch.is_grad_enabled()
        or not cotangent.is_cpu
        or in_transform()
        or _stands_for_many(cotangent)
    )


def _stands_for_many(tensor: Tensor | None) -> bool:
    """Whether `is_grads_batched` of torch.autograd made it, by means older than `torch.func`."""
    return tensor is not None and torch._C._functorch.is_legacy_batchedtensor(tensor)


def pulled(
    pull: Callable[..., Gradients],
    again: Callable[..., Tensor],
    cotangent: Tensor,
    inputs: Sequence[Tensor],
    *,
    by_row: bool = False,
) -> Gradients:
    """For the backward pass of a function of `inputs`: its gradients, open to derivatives.

    Args:
        pull: from the cotangent and the inputs to the gradients of sum(outputs * cotangent) by
            each input, None where nobody asked.
        again: the function in torch's operations, from its inputs to its outputs. Called for
            derivatives beyond the first only; whatever it raises, those raise.
        cotangent: the gradient with respect to the outputs.
        inputs: as autograd saved them.
        by_row: whether a row of the gradients is that of the cotangent's row and of the first
            input's alone: rows of several batches may then be pulled as one.
    """
    if torch.is_grad_enabled() or in_transform():
        return _Pullback.apply(pull, again, by_row, cotangent, *inputs)
    return _without_autocast(pull, cotangent, *inputs)


class _Pullback(torch.autograd.Function):
    @staticmethod
    def forward(
        pull: Callable[..., Gradients],
        again: Callable[..., Tensor],
        by_row: bool,
        cotangent: Tensor,
        *inputs: Tensor,
    ) -> Gradients:
        return _without_autocast(pull, cotangent, *inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Gradients) -> None:
        _, ctx.again, _, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        pull: Callable[..., Gradients],
        again: Callable[..., Tensor],
        by_row: bool,
        *tensors: Tensor,
    ) -> tuple[Gradients, tuple[int | None, ...]]:
        size, dims = info.batch_size, in_dims[3:]
        moved = [
            tensor if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, dims, strict=True)
        ]
        if by_row and dims[1] is not None and all(dim is None for dim in dims[2:]):
            cotangent = moved[0] if dims[0] is not None else moved[0].expand(size, *moved[0].shape)
            rows = moved[1].flatten(0, 1)
            of_rows, *others = _Pullback.apply(
                pull, again, by_row, cotangent.flatten(0, 1), rows, *moved[2:]
            )
            return (of_rows.view(moved[1].shape), *others), (0, *(None for _ in others))
        each = [
            _Pullback.apply(
                pull,
                again,
                by_row,
                *(
                    tensor if dim is None else tensor[index]
                    for tensor, dim in zip(moved, dims, strict=True)
                ),
            )
            for index in range(size)
        ]
        gradients = [
            None if found[0] is None else torch.stack(found) for found in zip(*each, strict=True)
        ]
        return tuple(gradients), tuple(None if g is None else 0 for g in gradients)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> Gradients:
        slopes = _slopes_in_transform if in_transform() else _slopes
        if any(
            c is not None and torch._C._functorch.is_legacy_batchedtensor(c) for c in cotangents
        ):
            return None, None, None, *_linearly(partial(slopes, ctx), cotangents)
        return None, None, None, *slopes(ctx, *cotangents)


def _slopes(ctx: Any, *cotangents: Tensor | None) -> Gradients:
    """The gradients by the cotangent and the inputs of a pull, from those by its results."""
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
        total = sum(torch.sum(one * slope) for one, (_, slope) in zip(first, wanted, strict=True))
        second = _gradients(total, given, goes_on)
    return tuple(second)


def _slopes_in_transform(ctx: Any, *cotangents: Tensor | None) -> Gradients:
    """The same where autograd's own functions do not see through the tensors."""
    saved = ctx.saved_tensors

    def first(cotangent: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        pull = torch.func.vjp(ctx.again, *inputs)[1]
        return pull(cotangent)

    slopes = tuple(
        torch.zeros_like(tensor) if slope is None else slope
        for tensor, slope in zip(saved[1:], cotangents, strict=True)
    )
    with torch.autocast(saved[0].device.type, enabled=False):
        pull = torch.func.vjp(first, *saved)[1]
        return pull(slopes)


def _without_autocast(
    pull: Callable[..., Gradients], cotangent: Tensor, *inputs: Tensor
) -> Gradients:
    if _stands_for_many(cotangent):
        return _linearly(lambda unit: _without_autocast(pull, unit, *inputs), [cotangent])
    # On the CPU the code behind is ours, and autocast has no part in it.
    if cotangent.is_cpu:
        return pull(cotangent, *inputs)
    with torch.autocast(cotangent.device.type, enabled=False):
        return pull(cotangent, *inputs)


def _linearly(function: Callable[..., Gradients], given: Sequence[Tensor | None]) -> Gradients:
    """A linear function of tensors of which some stand for many.

    Little but torch's products can read those: they multiply what all unit vectors give.
    """
    flat = torch.cat([tensor.reshape(-1) for tensor in given if tensor is not None])
    found = []
    for unit in torch.eye(flat.numel(), dtype=flat.dtype, device=flat.device):
        parts = iter(unit.split([tensor.numel() for tensor in given if tensor is not None]))
        units = (
            None if tensor is None else next(parts).view(tensor.shape).to(tensor.dtype)
            for tensor in given
        )
        found.append(function(*units))
    return tuple(
        None
        if rows[0] is None
        else (flat.to(rows[0].dtype) @ torch.stack(rows).flatten(1)).view(rows[0].shape)
        for rows in zip(*found, strict=True)
    )


def _gradients(total: Any, tensors: Sequence[Tensor], create_graph: bool) -> list[Tensor | None]:
    """Of `total` by those tensors that want one; zero where `total` does not depend on it."""
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    if not isinstance(total, Tensor) or not total.requires_grad:
        return [torch.zeros_like(tensor) if tensor.requires_grad else None for tensor in tensors]
    found = iter(
        torch.autograd.grad(total, wanted, create_graph=create_graph, materialize_grads=True)
    )
    return [next(found) if tensor.requires_grad else None for tensor in tensors]
