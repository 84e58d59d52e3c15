"""Batches on their way through a model: all stop at a quantum layer, and go on with its answers.

On a machine every request waits in a queue, so that a layer is asked for all batches at once. A
model is only called: it is called until it wants an answer that is not there, and once more when
it is. A later layer's features may depend on an earlier one's answers; its turn comes after.

Letters: B items of a batch, R rows of a layer's call, F features, W weights, M outputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import InputError, OptionError
from ..module.network import LayerNetwork
from ..module.quantum_layer import QuantumLayer
from ..seam.backend import Forward
from .batches import Inputs, called

SAME = 1e-4
"""By which features may differ between two calls of one model, relative or absolute: far more than
rounding, far less than dropout."""


class Place(NamedTuple):
    """Where a trip stops: which of the model's quantum layers, and at which of its calls."""

    layer: int
    call: int


@dataclass(eq=False)
class Trip:
    """One batch on its way.

    Attributes:
        inputs: of the model.
        number: of the batch.
        features: (R, F) at each place that it came to.
        weights: (W,) that the model computes with there; not always the layer's own.
        answers: (R, M) that it goes on with from there.
        output: of the model, once it is through.
    """

    inputs: Inputs
    number: int
    features: dict[Place, Tensor] = field(default_factory=dict)
    weights: dict[Place, Tensor] = field(default_factory=dict)
    answers: dict[Place, Tensor] = field(default_factory=dict)
    output: Tensor | None = None

    def at(self, place: Place, features: Tensor, weights: Tensor) -> Tensor:
        """What the layer there answers; raises `Stopped` where that is not known yet."""
        known = self.features.get(place)
        if known is None:
            self.features[place] = features.detach().clone()
            self.weights[place] = weights.detach().clone()
            raise Stopped(place)
        if not (_are_same(known, features) and _are_same(self.weights[place], weights)):
            raise InputError(
                f"the model is not the same from call to call: batch {self.number + 1} brings "
                "other features or weights to a quantum layer than before, and each would have to "
                "be executed. Take out what is random in evaluation mode"
            )
        return self.answers[place].to(features)


class Stopped(BaseException):
    """A trip that wants an answer; no `Exception`, which a model may catch."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.place = place


class StandIn:
    """In the place of a layer's network: it answers what the present trip knows.

    Attributes:
        gradient: so called that a layer on every pixel asks for rows.
    """

    gradient = "rows"

    def __init__(self, network: LayerNetwork, layer: int, road: Road) -> None:
        self._network, self._layer, self._road = network, layer, road

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def evaluate(self, features: Tensor, weights: Tensor, **_: Any) -> Forward:
        """Values (R, M) of features (R, F) and weights (W,)."""
        return Forward(self._road.answer(self._layer, features, weights), None)


Ask = Callable[[Place, Sequence[Trip]], None]
"""Gives each of the trips its answers at that place."""


class Road:
    """A model with its quantum layers, which trips are sent through.

    Args:
        model: its mode, its layers' backends and torch's random numbers are as before afterwards.
        layers: in the order of registration.
        seed: of what is random in the model.

    Attributes:
        places: in the order in which trips came to them.
    """

    def __init__(self, model: nn.Module, layers: Sequence[QuantumLayer], seed: int) -> None:
        self.model, self.layers, self.seed = model, layers, seed
        self.places: dict[Place, int] = {}
        self._trip: Trip | None = None
        self._calls: Counter[int] = Counter()

    def travel(self, trips: Sequence[Trip], ask: Ask) -> None:
        """Send all trips to their ends."""
        stopped: dict[Place, list[Trip]] = {}
        moving = list(trips)
        with self._open():
            while moving:
                for trip in moving:
                    place = self._move(trip)
                    if place is not None:
                        stopped.setdefault(place, []).append(trip)
                if not stopped:
                    return
                first = min(stopped, key=self.places.__getitem__)
                moving = stopped.pop(first)
                ask(first, moving)

    def answer(self, layer: int, features: Tensor, weights: Tensor) -> Tensor:
        """Of the present trip."""
        place = Place(layer, self._calls[layer])
        self._calls[layer] += 1
        self.places.setdefault(place, len(self.places))
        assert self._trip is not None
        return self._trip.at(place, features, weights)

    def _move(self, trip: Trip) -> Place | None:
        """One call of the model; the place where that stops."""
        self._trip, self._calls = trip, Counter()
        # What is random in a model is the same each time.
        torch.manual_seed(self.seed + trip.number)
        try:
            output = called(self.model, trip.inputs)
        except Stopped as stop:
            return stop.place
        finally:
            self._trip = None
        if missing := [place for place in trip.features if place not in trip.answers]:
            raise OptionError(
                "the model goes on without the answer of a quantum layer "
                f"({type(self.layers[missing[0].layer]).__name__}): an `except` without a name, or "
                "of BaseException, around it takes what validate stops it by; write `except "
                "Exception`"
            )
        if not isinstance(output, Tensor):
            raise OptionError(
                f"the model gives a {type(output).__name__}: validate takes one that gives a "
                "tensor; wrap it in a module whose forward returns what is to be scored"
            )
        trip.output = output.detach()
        return None

    @contextmanager
    def _open(self) -> Iterator[None]:
        modes = {module: module.training for module in self.model.modules()}
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(torch.random.fork_rng())
            for number, layer in enumerate(self.layers):
                stack.callback(setattr, layer, "neural_network", layer.neural_network)
                stand_in = StandIn(layer.neural_network, number, self)
                layer.neural_network = cast(LayerNetwork, stand_in)
            try:
                self.model.eval()
                yield
            finally:
                for module, mode in modes.items():
                    module.training = mode


def named_layers(model: nn.Module) -> dict[str, QuantumLayer]:
    """The model's quantum layers by name, in the order of registration.

    Raises:
        OptionError: there are none, or lazy modules that were never called.
    """
    if not isinstance(model, nn.Module):
        raise OptionError(f"a model is a torch.nn.Module, got a {type(model).__name__}")
    if lazy := [name for name, each in model.named_parameters() if is_lazy(each)]:
        raise OptionError(
            f"the model has parameters without a shape ({', '.join(lazy)}): call it once with a "
            "batch's inputs, model(inputs), and then load or train its weights"
        )
    found = {
        name or type(model).__name__: module
        for name, module in model.named_modules()
        if isinstance(module, QuantumLayer)
    }
    if not found:
        raise OptionError(
            f"{type(model).__name__} has no quantum layer that a backend could execute: build it "
            "with qbackend.QuantumLayer(spec) or QuantumPointwiseConv2d"
        )
    return found


def _are_same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, SAME, SAME)
