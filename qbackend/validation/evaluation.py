"""A model evaluated with its quantum layers on one backend, as answered and calibrated.

Letters: N items, R rows of a layer's call, F features, W weights, M outputs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..layers.inputs import Array
from ..seam.requests import Result
from .asking import Asker, Known, Tell
from .batches import Batches
from .trips import Place, Road, Trip


@dataclass(eq=False)
class Outcome:
    """What came of an evaluation.

    Attributes:
        outputs: of the model, (N, ...), on the CPU.
        features: (R, F) of all items at each place.
        weights: (W,) that the model computes with there.
        values: (R, M) that were answered there.
        stderr: (R, M) of these by the shots; none of an exact backend.
        seconds: that it took.
        results: that a backend which samples gave, one per place.
        exact: what the layers would give without noise for the same features, (R, M).
    """

    outputs: Tensor
    features: dict[Place, Tensor]
    weights: dict[Place, Tensor]
    values: dict[Place, Array]
    stderr: dict[Place, Array] = field(default_factory=dict)
    seconds: float = 0.0
    results: list[Result] = field(default_factory=list)
    exact: dict[Place, Array] = field(default_factory=dict)

    @property
    def known(self) -> dict[Place, Known]:
        """What calibrates other backends, where this one has no noise."""
        return {
            place: Known(self.features[place], torch.from_numpy(values))
            for place, values in self.values.items()
        }

    @property
    def n_rows(self) -> int:
        """Of all places together."""
        return sum(len(each) for each in self.values.values())


@dataclass(eq=False)
class _Answers:
    """Those of one evaluation as they come in."""

    trips: list[Trip]
    values: dict[Place, Array] = field(default_factory=dict)
    stderr: dict[Place, Array] = field(default_factory=dict)

    def give(self, place: Place, trips: Sequence[Trip], values: Array, err: Array | None) -> None:
        counts = [len(trip.features[place]) for trip in trips]
        parts = torch.from_numpy(np.ascontiguousarray(values)).split(counts)
        for trip, part in zip(trips, parts, strict=True):
            trip.answers[place] = part
        self.values[place] = _behind(self.values.get(place), values)
        if err is not None:
            self.stderr[place] = _behind(self.stderr.get(place), err)

    def outcome(self, seconds: float, results: list[Result]) -> Outcome:
        places = list(dict.fromkeys(place for trip in self.trips for place in trip.features))
        features = {
            place: torch.cat([t.features[place] for t in self.trips if place in t.features]).cpu()
            for place in places
        }
        outputs = [trip.output for trip in self.trips if trip.output is not None]
        if len({each.shape[1:] for each in outputs}) > 1 or any(
            not each.ndim or len(each) != len(_first(trip))
            for each, trip in zip(outputs, self.trips, strict=True)
        ):
            shapes = ", ".join(sorted({str(tuple(each.shape)) for each in outputs}))
            raise InputError(
                f"the model gives outputs of shapes {shapes}: one output per item is wanted, (B, "
                "...), alike for all"
            )
        return Outcome(
            outputs=torch.cat([each.cpu() for each in outputs]),
            features=features,
            weights={place: _weights(self.trips, place) for place in places},
            values=self.values,
            stderr=self.stderr,
            seconds=seconds,
            results=results,
        )


def evaluate(
    road: Road,
    batches: Batches,
    asker: Asker,
    tell: Tell,
    known: Mapping[Place, Known] | None = None,
    before: Callable[[Place, int], None] = lambda place, rows: None,
) -> tuple[Outcome, Outcome | None]:
    """The model's outputs as a backend answers, and as they are when its answers are calibrated.

    A layer is asked once for both, behind one another the rows of each and those that calibrate.

    Args:
        road: through the model.
        batches: of items.
        asker: the backend.
        tell: is told how many rows are done.
        known: what calibrates each layer; None for nothing.
        before: is told of each request where it is made, and of how many rows.

    Raises:
        InputError: a model that differs from call to call, or features that are not finite.
        JobsPendingError: jobs are sent, and nobody waits for them.
        QhcError: as the backend's `evaluate`.
    """
    start = time.perf_counter()
    raw, calibrated = _Answers(_trips(batches)), _Answers([])
    if known is not None:
        calibrated.trips = _trips(batches)
    results: list[Result] = []

    def ask(place: Place, trips: Sequence[Trip]) -> None:
        layer, own = road.layers[place.layer], set(map(id, raw.trips))
        plain = [trip for trip in trips if id(trip) in own]
        moved = [trip for trip in trips if id(trip) not in own]
        features = _features(plain, place)
        others = _features(moved, place)
        # Before the first answers they do not differ.
        apart = others if moved and not _are_equal(features, others) else features[:0]
        if known is not None and place not in known:
            raise InputError("the data that calibrates never comes to a layer that the data does")
        asked = torch.cat([features, apart])
        before(place, asker.live(layer, asked))
        found = asker.ask(
            layer,
            asked,
            _weights(trips, place),
            road.places[place],
            None if known is None else known[place],
            tell,
        )
        n_rows = len(features)
        raw.give(place, plain, found.values[:n_rows], _part(found.stderr, slice(n_rows)))
        if moved:
            rows = slice(n_rows, None) if len(apart) else slice(n_rows)
            assert found.corrected is not None
            calibrated.give(
                place, moved, found.corrected[rows], _part(found.corrected_stderr, rows)
            )
        if found.result is not None:
            results.append(found.result)

    road.travel([*raw.trips, *calibrated.trips], ask)
    seconds = time.perf_counter() - start
    without = raw.outcome(seconds, results)
    return without, calibrated.outcome(seconds, results) if calibrated.trips else None


def exact_values(road: Road, outcome: Outcome, reference: Asker) -> dict[Place, Array]:
    """What the layers give for an outcome's features on a backend without noise, by place."""
    return {
        place: reference.ask(
            road.layers[place.layer],
            features,
            outcome.weights[place],
            road.places[place],
            None,
            lambda rows: None,
        ).values
        for place, features in outcome.features.items()
    }


def _trips(batches: Batches) -> list[Trip]:
    return [Trip(inputs, number) for number, inputs in enumerate(batches.inputs)]


def _features(trips: Sequence[Trip], place: Place) -> Tensor:
    found = [trip.features[place].detach().double() for trip in trips]
    return torch.cat(found) if found else torch.zeros(0)


def _weights(trips: Sequence[Trip], place: Place) -> Tensor:
    """That all trips have there; raises `InputError` where they differ."""
    found = [trip.weights[place] for trip in trips if place in trip.weights]
    if not all(torch.equal(found[0], each) for each in found):
        raise InputError(
            "the weights of a quantum layer differ from batch to batch: a request has one set of "
            "them. What depends on the input belongs into the layer's features"
        )
    return found[0]


def _are_equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(torch.equal(one, other))


def _behind(before: Array | None, values: Array) -> Array:
    return values if before is None else np.concatenate([before, values])


def _part(values: Array | None, rows: slice) -> Array | None:
    return None if values is None else values[rows]


def _first(trip: Trip) -> Tensor:
    inputs = trip.inputs
    if isinstance(inputs, dict):
        return next(iter(inputs.values()))
    return inputs[0] if isinstance(inputs, tuple) else inputs
