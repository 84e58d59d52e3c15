"""Gradients that do not reach what is in front of a quantum part, or the part itself."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from ..findings import Finding, Outcome, skipped
from ..parts import Part, some
from ..subject import Subject
from ..watch import Pass, as_it_was, operations_behind, watched

STEPS = {
    "RoundBackward0": "torch.round",
    "FloorBackward0": "torch.floor",
    "CeilBackward0": "torch.ceil",
    "TruncBackward0": "torch.trunc",
    "SignBackward0": "torch.sign",
}
"""Operations whose derivative is zero wherever there is one."""


def look(subject: Subject) -> Outcome:
    """A batch forwards and backwards in training mode: who gets a gradient, and how large."""
    trained = {name: each for name, each in subject.model.named_parameters() if each.requires_grad}
    if not trained:
        return skipped("the model has no parameter that is trained")
    with as_it_was(subject.model, training=True, seed=subject.seed):
        seen = watched(subject.model, subject.called_parts, subject.batches()[0])
        loss = subject.loss_of(seen.output)
        if not loss.requires_grad:
            return Outcome("no gradient at all", (_none_at_all(loss, len(trained)),))
        loss.backward()
        findings = [found for part in subject.called_parts for found in _of_part(part, seen)]
        if not findings:
            findings = list(_of_others(trained))
        dead = sum(each.grad is None or not each.grad.any() for each in trained.values())
    n = len(trained)
    return Outcome(f"{n - dead} of {n} trained tensors get a gradient", tuple(findings))


def _none_at_all(loss: Tensor, n: int) -> Finding:
    return Finding(
        "defect",
        "the loss depends on no trained parameter",
        (f"loss {loss.item():.4g} has no grad_fn, though {n} tensors are to be trained",),
        "look for torch.no_grad(), .detach(), .item(), .numpy() or argmax between the model's "
        "last layer and the loss",
    )


def _of_part(part: Part, seen: Pass) -> Iterator[Finding]:
    if part.name not in seen.outputs:
        return
    features, answer, front = seen.features[part.name], seen.outputs[part.name], seen.front(part)
    weights = [each for each in part.weights.values() if each.requires_grad]
    if weights and (answer.grad is None or not answer.grad.any()):
        why = "is None" if answer.grad is None else "is exactly 0"
        yield Finding(
            "defect",
            f"no gradient comes back to the quantum layer '{part.name}'",
            (
                f"the loss's gradient by its outputs {tuple(answer.shape)} {why}; so its "
                f"{sum(each.numel() for each in weights)} weights are not trained",
            ),
            "what follows the layer must be torch operations: no .detach(), .data, .numpy(), "
            "argmax or round on its outputs",
        )
        return
    if not front or any(each.grad is not None and each.grad.any() for each in front):
        return
    n = sum(each.numel() for each in front)
    yield Finding(
        "defect",
        f"no gradient reaches what is in front of the quantum layer '{part.name}'",
        (
            f"all {len(front)} trained tensors before it ({n:,} numbers) have a gradient of "
            f"{'None' if front[0].grad is None else 'exactly 0'} over the batch",
            _why(features),
        ),
        _mend(features),
    )


def _step(features: Tensor) -> str | None:
    names = (node.name() for node in operations_behind(features))
    return next((STEPS[name] for name in names if name in STEPS), None)


def _why(features: Tensor) -> str:
    if not features.requires_grad:
        return (
            "the features arrive with requires_grad=False: autograd was left on the way (.detach()"
            ", .data, .numpy(), torch.tensor(...), no_grad, argmax, or a comparison)"
        )
    if (step := _step(features)) is not None:
        return f"{step} lies between: its derivative is 0 wherever it has one"
    if features.grad is None or not features.grad.any():
        return (
            "the layer's outputs have a gradient, its features "
            f"{tuple(features.shape)} have none: the layer does not differentiate by its inputs"
        )
    return "the features have a gradient, which does not go on from there"


def _mend(features: Tensor) -> str:
    if not features.requires_grad:
        return "keep the front in torch, without leaving autograd, up to the quantum layer"
    if _step(features) is not None:
        return "leave the rounding out, or put a straight-through estimator in its place"
    if features.grad is None or not features.grad.any():
        return (
            "of qiskit-machine-learning's networks, make it with input_gradients=True; or use "
            "qbackend.QuantumLayer"
        )
    return "look for custom autograd functions or .data between the front and the layer"


def _of_others(trained: dict[str, nn.Parameter]) -> Iterator[Finding]:
    """Tensors elsewhere that nothing reaches."""
    unused = [name for name, each in trained.items() if each.grad is None]
    still = [
        name
        for name, each in trained.items()
        if each.grad is not None and each.grad.numel() and not each.grad.any()
    ]
    for names, what in ((unused, "None: the loss does not depend on them"), (still, "exactly 0")):
        if names:
            is_one = len(names) == 1
            yield Finding(
                "warning",
                f"{len(names)} trained tensor{'' if is_one else 's'} get{'s' * is_one} no gradient",
                (f"{some(names)}: {what}, over the whole batch",),
                "leave them out of the model, or set requires_grad=False, if that is meant",
            )
