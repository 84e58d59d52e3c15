"""Work on an epoch's batches, called batch by batch, or captured once and replayed.

A step of a small network is hundreds of kernels of a few microseconds each, and starting one takes
the host longer than that. Captured, all of them are started by one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from torch import Tensor, nn

from ..data.batches import BatchSource, Draw
from .recorder import Recorder, Results

BatchWork = Callable[[Tensor, Tensor], Results]
"""From images (B, C, H, W) and labels (B,) to tensors."""

FIRST_RUNS = 3
"""Batches of a size before it is recorded: kernels are compiled, memory is found, and the last one
is watched."""


class Batchwise(Protocol):
    """Does the same work on every batch."""

    def over(self, draw: Draw) -> Iterator[Results]:
        """The results, batch by batch; what is wanted of them later is to be copied.

        Gradients are those of the batch alone.
        """


class CalledBatches:
    """Work that is called for every batch.

    Args:
        source: of the batches.
        work: on them.
        parameters: whose gradients it leaves.
    """

    def __init__(
        self, source: BatchSource, work: BatchWork, parameters: Sequence[nn.Parameter]
    ) -> None:
        self._source, self._work, self._parameters = source, work, parameters

    def over(self, draw: Draw) -> Iterator[Results]:
        for positions in draw.positions:
            yield self._work(*self._source.batch(positions, draw.moves))
            _let_go(self._parameters)


class CapturedBatches:
    """Work that is recorded, gathering and augmenting of the batch included, and then replayed.

    The first batches of every size are worked on as they come; so are all others once it shows
    that the work waits for the device, which cannot be recorded.

    Args:
        source: of the batches, on the device that works on them.
        work: on them; where it changes tensors of its own, it does so in place.
        parameters: whose gradients it leaves.
        recorder: of the device.
        say: told why nothing is recorded, if it cannot be.
    """

    def __init__(
        self,
        source: BatchSource,
        work: BatchWork,
        parameters: Sequence[nn.Parameter],
        recorder: Recorder,
        say: Callable[[str], None],
    ) -> None:
        self._source, self._work, self._parameters = source, work, parameters
        self._recorder, self._say = recorder, say
        self._moves: Tensor | None = None
        self._runs: dict[int, int] = {}
        self._recorded: dict[int, _Recorded] = {}
        self._can_be_recorded = True

    def over(self, draw: Draw) -> Iterator[Results]:
        if self._moves is None or draw.moves is None:
            self._moves = draw.moves
        else:
            self._moves.copy_(draw.moves)
        for positions in draw.positions:
            recorded = self._recorded.get(len(positions))
            yield self._first(positions) if recorded is None else recorded(positions)

    def _first(self, positions: Tensor) -> Results:
        """Work that is not recorded yet, and is from the next batch of its size on."""
        size = len(positions)
        self._runs[size] = self._runs.get(size, 0) + 1
        work = partial(self._on, positions)
        _let_go(self._parameters)
        if not self._can_be_recorded:
            return work()
        if self._runs[size] < FIRST_RUNS:
            return self._recorder.run(work)
        results, reason = self._recorder.watch(work)
        if reason is None:
            # Recording forgets gradients, and whoever asked for this batch wants its own.
            gradients = [parameter.grad for parameter in self._parameters]
            self._recorded[size] = _Recorded(self._on, positions, self._parameters, self._recorder)
            _give(self._parameters, gradients)
        else:
            self._can_be_recorded = False
            self._say(reason)
        return results

    def _on(self, positions: Tensor) -> Results:
        return self._work(*self._source.batch(positions, self._moves))


class _Recorded:
    """Batches of one size."""

    def __init__(
        self,
        work: Callable[[Tensor], Results],
        positions: Tensor,
        parameters: Sequence[nn.Parameter],
        recorder: Recorder,
    ) -> None:
        self._positions, self._parameters = positions.clone(), parameters
        _let_go(parameters)
        self._again = recorder.record(lambda: work(self._positions))
        self._gradients = [parameter.grad for parameter in parameters]

    def __call__(self, positions: Tensor) -> Results:
        self._positions.copy_(positions)
        _give(self._parameters, self._gradients)
        return self._again()


def _let_go(parameters: Sequence[nn.Parameter]) -> None:
    _give(parameters, [None] * len(parameters))


def _give(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
