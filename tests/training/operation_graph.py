"""A stand-in for CUDA graphs on the CPU: torch's operations are recorded, and then done again.

As a graph does, it reads and writes the memory that it was recorded with: whatever Python decided
or computed while it was recorded stays as it was. Nothing has happened when recording is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from experiments.training.recorder import Results, Work

WAITING = (
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.is_nonzero.default,
    torch.ops.aten.equal.default,
)
"""Operations whose answer Python has to wait for."""


class OperationRecorder:
    """See `experiments.training.recorder.Recorder`.

    Attributes:
        n_recorded, n_replayed: how often.
    """

    def __init__(self) -> None:
        self.n_recorded = self.n_replayed = 0

    def run(self, work: Work) -> Results:
        return work()

    def watch(self, work: Work) -> tuple[Results, str | None]:
        with _Log() as log:
            results = work()
        return results, f"a step waits for the device ({log.waits[0]})" if log.waits else None

    def record(self, work: Work) -> Work:
        self.n_recorded += 1
        state = torch.get_rng_state()
        with _Log() as log:
            results = work()
        assert not log.waits, log.waits
        torch.set_rng_state(state)
        log.undo()

        def again() -> Results:
            self.n_replayed += 1
            log.replay()
            return results

        return again


class _Log(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self._calls: list[tuple[Callable[..., Any], Any, Any, list[Tensor]]] = []
        self._before: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in WAITING:
            self.waits.append(str(func))
        # As they are now: operations change shapes too.
        given, named = tree_map_only(Tensor, Tensor.detach, (args, kwargs))
        self._before += [(each, each.clone()) for each in _written(func, given, named)]
        made = func(*args, **kwargs)
        fresh = [each.detach() for each in _not_of(made, (given, named))]
        if fresh or func._schema.is_mutable:
            self._calls.append((func, given, named, fresh))
        return made

    def undo(self) -> None:
        """Give what was written to its values of before."""
        for tensor, before in reversed(self._before):
            tensor.data.copy_(before)
        self._before.clear()

    def replay(self) -> None:
        with torch.no_grad():
            for func, args, kwargs, places in self._calls:
                fresh = _not_of(func(*args, **kwargs), (args, kwargs))
                for place, value in zip(places, fresh, strict=True):
                    place.data.copy_(value)


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _not_of(made: Any, given: Any) -> list[Tensor]:
    """Those that are no views of what was given."""
    own = {each.untyped_storage().data_ptr() for each in _tensors(given)}
    return [each for each in _tensors(made) if each.untyped_storage().data_ptr() not in own]


def _written(func: Any, args: Any, kwargs: Any) -> Iterator[Tensor]:
    """What an operation writes to: by its schema, or running means, of which that says nothing."""
    if func is torch.ops.aten.native_batch_norm.default and args[5]:
        yield from _tensors(args[3:5])
    for place, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[place] if place < len(args) else kwargs.get(argument.name)
            yield from _tensors(value)
