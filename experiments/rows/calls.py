"""The requests that a user's own network makes of a machine, counted without one.

Nobody knows how such a network calls its quantum layers: once per item, until two answers are
equal, or for some of the items only. So it is called as a machine's answers would have it called,
on those of the exact simulation.

Letters: N rows, P circuit parameters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from qbackend import QuantumLayer
from qbackend.layers.inputs import Array
from qbackend.seam.backend import Capabilities
from qbackend.seam.jobs import Job, LocalJob
from qbackend.seam.requests import Request

from ..assembly.backends import ideal_backend
from ..assembly.construct import quantum_layers
from ..assembly.feed import correction_split, evaluation_split
from ..config.sections import Config
from ..data.batches import BatchSource
from ..data.splits import ImageData, Split
from ..evaluation.evaluate import answering, drawing_alike
from ..evaluation.handing_on import HandingOn

FADED = 0.9
"""By which answers are multiplied to see which calls follow from them."""


class Place(NamedTuple):
    """One of the model's quantum layers, and which of its calls."""

    layer: int
    call: int


Calls = dict[Place, Array]
"""The rows (N, P) of each request, in the order in which they are made."""


class _Recorder(HandingOn):
    """The exact simulation in a machine's place: it is asked for rows, a request per call."""

    def __init__(self, layer: int, made: Calls, factor: float) -> None:
        super().__init__(ideal_backend())
        self._layer, self._made, self._factor = layer, made, factor

    @property
    def capabilities(self) -> Capabilities:
        inner = self.inner.capabilities
        return replace(inner, exact=False, vjp=False, gradient_methods=("parameter-shift",))

    def submit(self, request: Request) -> Job:
        call = sum(place.layer == self._layer for place in self._made)
        self._made[Place(self._layer, call)] = request.parameters
        found = self.inner.evaluate(request)
        return LocalJob(lambda _: replace(found, values=self._factor * found.values))


def calls_of(model: nn.Module, inputs: Tensor, factor: float = 1.0) -> Calls:
    """What the model asks for when it is called with all inputs at once, its answers times that."""
    layers, made = quantum_layers(model), Calls()
    networks = [layer.neural_network for layer in layers]
    try:
        for index, layer in enumerate(layers):
            layer.to_backend(_Recorder(index, made, factor), seed=0)
        with answering(model), drawing_alike():
            model(inputs)
    finally:
        for layer, network in zip(layers, networks, strict=True):
            layer.neural_network = network
    return made


@dataclass(frozen=True)
class OwnCalls:
    """What a run's network asks for, by the purposes of the run.

    Attributes:
        model: the network.
        config: of the run.
        data: its inputs.
    """

    model: nn.Module
    config: Config
    data: ImageData

    def test(self) -> Calls:
        """Of `tested`."""
        return calls_of(self.model, self._whole(self.tested))

    def again(self) -> Calls:
        """Those of the same that follow from answers, and hence change where these do."""
        others = calls_of(self.model, self._whole(self.tested), FADED)
        return {
            place: rows
            for place, rows in self.test().items()
            if place not in others or not _are_equal(rows, others[place])
        }

    def validation(self) -> Calls:
        """Of the validation split."""
        return calls_of(self.model, self._whole(self.data.validation))

    def step(self) -> Calls:
        """Of the batch of training inputs that asks for the most rows."""
        size = self.config.train.batch_size
        found = [calls_of(self.model, each) for each in self._batches(self.data.train, size)]
        return max(found, key=lambda calls: sum(map(len, calls.values())))

    def calibration(self) -> Counter[int]:
        """Rows of each layer for the inputs that calibrate."""
        split = correction_split(
            self.data.train, self.config.run.calibrate or 0, self.config.run.seed
        )
        counts = Counter[int]()
        for place, rows in calls_of(self.model, self._whole(split)).items():
            counts[place.layer] += len(rows)
        return counts

    @property
    def tested(self) -> Split:
        """The inputs that are evaluated."""
        return evaluation_split(self.data.test, self.config.run.limit, self.config.run.seed)

    def _whole(self, split: Split) -> Tensor:
        return torch.cat(self._batches(split, max(1, len(split))))

    def _batches(self, split: Split, size: int) -> list[Tensor]:
        device, data = next(self.model.parameters()).device, self.data
        source = BatchSource(split, size, device=device, mean=data.mean, std=data.std)
        return [inputs for inputs, _ in source.epoch()]


class Watch:
    """Whether what a model asks for at this moment is in the plan of its run.

    Every call of the model may ask for what was counted for as many inputs. What is asked for
    outside of such calls is planned.

    Args:
        model: on the machine; watched for as long as it lives.
        planned: by how many inputs the model is given.
    """

    def __init__(self, model: nn.Module, planned: Mapping[int, Sequence[Calls]]) -> None:
        self._planned, self._left = planned, Counter[Place]()
        self._made, self._is_inside, self.is_planned = Counter[int](), False, True
        model.register_forward_pre_hook(self._begin)
        model.register_forward_hook(self._end, always_call=True)
        for index, layer in enumerate(quantum_layers(model)):
            layer.register_forward_pre_hook(partial(self._count, index), with_kwargs=True)

    def _begin(self, _: nn.Module, given: tuple[Any, ...]) -> None:
        self._left, self._made, self._is_inside = Counter(), Counter(), True
        for calls in self._planned.get(len(given[0]), ()):
            self._left |= Counter({place: len(rows) for place, rows in calls.items()})

    def _end(self, *_: Any) -> None:
        self._is_inside, self.is_planned = False, True

    def _count(
        self, index: int, layer: QuantumLayer, given: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        (features,) = (*given, *named.values())
        rows = features.detach().reshape(-1, layer.spec.n_features).double().cpu().numpy()
        asked = int(layer.neural_network.compiled.inputs.live(rows).sum())
        if not self._is_inside or asked == 0:
            return
        place = Place(index, self._made[index])
        self._made[index] += 1
        self.is_planned = asked <= self._left[place]


def watched(own: OwnCalls) -> Watch:
    """A watch over a run's network, by what it asks for on the exact simulation's answers."""
    config, planned = own.config, dict[int, list[Calls]]()
    planned[len(own.tested)] = [own.test()]
    if config.train.weights == "quantum":
        planned.setdefault(len(own.data.validation), []).append(own.validation())
        planned.setdefault(config.train.batch_size, []).append(own.step())
    return Watch(own.model, planned)


def _are_equal(one: Array, other: Array) -> bool:
    return one.shape == other.shape and bool((one == other).all())
