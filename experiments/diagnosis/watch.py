"""One pass of a model under observation: what reaches its quantum parts, and what comes back.

Letters: B batch, F features, M outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from qbackend.errors import OptionError

from .parts import Part

ELEMENTWISE = {
    *("MulBackward0", "DivBackward0", "AddBackward0", "SubBackward0", "NegBackward0"),
    *("ViewBackward0", "ReshapeAliasBackward0", "UnsafeViewBackward0", "UnsqueezeBackward0"),
    *("SqueezeBackward0", "SqueezeBackward1", "TBackward0", "TransposeBackward0"),
    *("PermuteBackward0", "CloneBackward0", "ToCopyBackward0", "AsStridedBackward0"),
    *("NativeDropoutBackward0", "AliasBackward0"),
}
"""Operations that an activation is looked for behind: they mix no entries of a tensor."""


@dataclass(frozen=True)
class Activation:
    """The operation that features came from.

    Attributes:
        name: of its node of autograd; empty where there is none.
        result: what it gave, where it keeps that.
    """

    name: str
    result: Tensor | None


@dataclass
class Pass:
    """What was seen.

    Attributes:
        output: of the model.
        features: what each part was given, by its name, when it was called first.
        outputs: what it answered.
        activations: what the features came from.
        finished: for each part, the modules that were done when it began.
    """

    output: Tensor = field(default_factory=lambda: torch.empty(0))
    features: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    activations: dict[str, Activation] = field(default_factory=dict)
    finished: dict[str, list[nn.Module]] = field(default_factory=dict)

    def front(self, part: Part) -> list[nn.Parameter]:
        """The trained parameters of what was done before the part, each once."""
        own = {id(each) for each in part.module.parameters()}
        found = {
            id(each): each
            for module in self.finished[part.name]
            for each in module.parameters(recurse=False)
            if each.requires_grad and id(each) not in own
        }
        return list(found.values())


def watched(model: nn.Module, parts: Sequence[Part], inputs: Tensor) -> Pass:
    """A forward pass, the gradients at the parts' two ends kept for a backward one."""
    seen, done = Pass(), list[nn.Module]()

    def begins(part: Part, arguments: tuple[Any, ...]) -> None:
        if part.name in seen.features or not arguments:
            return
        seen.finished[part.name] = list(done)
        seen.features[part.name] = _kept(arguments[0])
        seen.activations[part.name] = _activation(arguments[0])

    def ends(part: Part, answer: Any) -> None:
        if part.name not in seen.outputs and isinstance(answer, Tensor):
            seen.outputs[part.name] = _kept(answer)

    handles = []
    for part in parts:
        handles += [
            part.module.register_forward_pre_hook(lambda _, given, p=part: begins(p, given)),
            part.module.register_forward_hook(lambda _, given, answer, p=part: ends(p, answer)),
        ]
    handles += [
        module.register_forward_hook(lambda module, *_: done.append(module))
        for module in model.modules()
    ]
    try:
        seen.output = model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    if not isinstance(seen.output, Tensor):
        raise OptionError(
            f"the model answers with a {type(seen.output).__name__}, and the checks need one "
            "tensor: name a function that wraps it in a module with one output"
        )
    return seen


def _kept(tensor: Tensor) -> Tensor:
    if tensor.requires_grad:
        tensor.retain_grad()
    return tensor


def joined(passes: Sequence[Pass]) -> Pass:
    """Several passes as one of all their samples; nothing of autograd is kept."""
    first = passes[0]

    def all_of(each: Sequence[Tensor]) -> Tensor:
        return torch.cat([part.detach() for part in each])

    def activation(name: str) -> Activation:
        results = [each.activations[name].result for each in passes]
        known = [each for each in results if each is not None]
        return Activation(
            first.activations[name].name, all_of(known) if len(known) == len(passes) else None
        )

    return Pass(
        output=all_of([each.output for each in passes]),
        features={
            name: all_of([each.features[name] for each in passes]) for name in first.features
        },
        outputs={name: all_of([each.outputs[name] for each in passes]) for name in first.outputs},
        activations={name: activation(name) for name in first.activations},
        finished=first.finished,
    )


@contextmanager
def as_it_was(model: nn.Module, *, training: bool, seed: int) -> Iterator[None]:
    """The model in one mode, random numbers from the seed; afterwards nothing has changed."""
    modes = {module: module.training for module in model.modules()}
    buffers = {name: each.clone() for name, each in model.named_buffers()}
    gradients = {each: each.grad for each in model.parameters()}
    for each in gradients:
        each.grad = None
    model.train(training)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
        for each, gradient in gradients.items():
            each.grad = gradient


def operations_behind(tensor: Tensor, most: int = 200) -> Iterator[Any]:
    """The nodes of autograd that a tensor came from, nearest first, no more than so many."""
    queue: list[Any] = [tensor.grad_fn]
    known: set[Any] = set()
    while queue and len(known) < most:
        node = queue.pop(0)
        if node is None or node in known:
            continue
        known.add(node)
        yield node
        queue += [following for following, _ in node.next_functions]


def _activation(tensor: Tensor) -> Activation:
    """The first operation that the tensor came from beyond elementwise factors and shapes."""
    node: Any = tensor.grad_fn
    while node is not None and node.name() in ELEMENTWISE:
        followings = [each for each, _ in node.next_functions if each is not None]
        # A product of two results is an operation of its own, as the product with a number is not.
        if len(followings) != 1:
            break
        node = followings[0]
    result = getattr(node, "_saved_result", None)
    return Activation(
        "" if node is None else node.name(), result if isinstance(result, Tensor) else None
    )
