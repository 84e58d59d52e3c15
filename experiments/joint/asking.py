"""The rows of several models in one request, and its answer model by model.

Weights are angles: models whose layers are the same differ in their rows alone, and one compiled
circuit answers all of them.

Letters: N images, F features, W weights, M outputs, K images that calibrate, C copies, T models,
R rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qbackend.devices.affine_map import fit_affine_map
from qbackend.layers.inputs import Array
from qbackend.layers.program import Layer
from qbackend.seam.requests import CompiledLayer, Request, Result

from ..evaluation.calibrated_copies import corrected_by_last
from ..evaluation.meter import NO_COPY

FEWEST_OF_OWN = 16
"""Rows that a model's own map takes: the scatter of one of fewer costs more than it gains."""


@dataclass(frozen=True)
class Part:
    """What one model has in a request.

    Attributes:
        weights: (W,), radians.
        features: of the test images, (N, F).
        calibrating: features of the images that it calibrates with, (K, F).
        exact: outputs of these without noise, (K, M).
    """

    weights: Array
    features: Array
    calibrating: Array
    exact: Array


@dataclass(frozen=True)
class Answers:
    """What a device answered to one model's N images; 0 to an image that encodes nothing.

    Attributes:
        values, stderr: (N, M).
        copies: which one answered, (N,); `NO_COPY` where none did.
        n_rows: that were executed.
        corrected: values and standard errors (N, M) by the map; None without one.
    """

    values: Array
    stderr: Array
    copies: NDArray[np.int_]
    n_rows: int
    corrected: tuple[Array, Array] | None


@dataclass(frozen=True)
class Together:
    """One request for the rows of several models of one layer.

    Behind the test's rows come those that calibrate, each on every copy; the models share them.

    Attributes:
        compiled: the layer.
        parts: of T models.
    """

    compiled: CompiledLayer
    parts: Sequence[Part]

    @cached_property
    def order(self) -> NDArray[np.int_]:
        """Model and image of each of the test's rows, (R, 2)."""
        live = [self.compiled.inputs.live(part.features) for part in self.parts]
        return interleaved(np.stack(live), max(1, len(self.compiled.copies)))

    def request(
        self, shots: int | None, seed: int | None = None, together: tuple[int, ...] = ()
    ) -> Request:
        """All rows; `together` as `Request` has it."""
        compiled = self.compiled
        rows = np.zeros((len(self.order), len(compiled.parameters)))
        for model, part in enumerate(self.parts):
            mine, images = self._rows_of(model)
            rows[mine] = compiled.rows(part.features[images], part.weights)
        calibrating = [
            compiled.rows(part.calibrating[live], part.weights)
            for part, live in zip(self.parts, self._live_calibrating, strict=True)
            if live.any()
        ]
        n_places = max(1, len(compiled.copies))
        return Request(
            compiled,
            np.concatenate([rows, *(each.repeat(n_places, axis=0) for each in calibrating)]),
            shots=shots,
            seed=seed,
            distinct=len(rows) + sum(map(len, calibrating)),
            together=together,
        )

    def answers(self, result: Result) -> list[Answers]:
        """The request's result for each of the models."""
        n_rows = len(self.order)
        values, stderr = result.values[:n_rows], result.stderr[:n_rows]
        copies = np.zeros(n_rows, int) if result.copies is None else result.copies[:n_rows]
        corrected = self._corrected(result)
        found = []
        for model, part in enumerate(self.parts):
            mine, images = self._rows_of(model)
            at = images, len(part.features)
            by_map = None if corrected is None else corrected[model]
            on = np.full(len(part.features), NO_COPY)
            on[images] = copies[mine]
            found.append(
                Answers(
                    values=_placed(values[mine], *at),
                    stderr=_placed(stderr[mine], *at),
                    copies=on,
                    n_rows=int(mine.sum()),
                    corrected=None if by_map is None else _both(by_map, *at),
                )
            )
        return found

    def _corrected(self, result: Result) -> list[tuple[Array, Array]] | None:
        """Each model's rows by the map of their copy, and by its own on top; None without any.

        A copy's map is fitted on the rows of all models, a model's on those of all copies: what
        is the device's is shared, and what depends on where a model's outputs lie is not. For one
        model alone its own changes nothing: least squares leave no slope behind.
        """
        n_rows, n_places = len(self.order), max(1, len(self.compiled.copies))
        live = self._live_calibrating
        exact = [part.exact[rows] for part, rows in zip(self.parts, live, strict=True)]
        if not sum(map(len, exact)):
            return None
        values, stderr = corrected_by_last(
            result, n_rows, np.concatenate(exact), len(self.compiled.copies)
        )
        found, start = [], n_rows
        for model, truth in enumerate(exact):
            mine, _ = self._rows_of(model)
            own = slice(start, start + len(truth) * n_places)
            start = own.stop
            if own.stop - own.start < FEWEST_OF_OWN:
                found.append((values[:n_rows][mine], stderr[:n_rows][mine]))
                continue
            fitted = fit_affine_map(values[own], truth.repeat(n_places, axis=0))
            found.append(
                (
                    fitted.apply(values[:n_rows][mine]),
                    fitted.apply_to_stderr(stderr[:n_rows][mine]),
                )
            )
        return found

    def _rows_of(self, model: int) -> tuple[NDArray[np.bool_], NDArray[np.int_]]:
        """Which of the test's rows are a model's, (R,), and of which images."""
        mine = self.order[:, 0] == model
        return mine, self.order[mine, 1]

    @cached_property
    def _live_calibrating(self) -> list[NDArray[np.bool_]]:
        live, none = self.compiled.inputs.live, np.zeros(0, bool)
        parts = [part.calibrating for part in self.parts]
        return [live(each) if len(each) else none for each in parts]


def interleaved(live: NDArray[np.bool_], n_copies: int) -> NDArray[np.int_]:
    """In which order the images of several models are executed: (R, 2), model and image.

    C images go through all models before the next C do. So an image is answered by the same copy
    and at about the same time whichever model it is of, and what sets copies apart, or drifts,
    cancels in differences between models. Images that would break this come last: those that are
    left over, and those that only some of the models have a row for.

    Args:
        live: which images each model has a row for, (T, N).
        n_copies: C, at least 1.
    """
    shared = np.flatnonzero(live.all(axis=0))
    whole = shared[: len(shared) // n_copies * n_copies]
    blocks = whole.reshape(-1, 1, n_copies)
    models = np.arange(len(live)).reshape(1, -1, 1)
    pairs = np.stack(np.broadcast_arrays(models, blocks), axis=-1).reshape(-1, 2)
    left = live.copy()
    left[:, whole] = False
    return np.concatenate([pairs, np.argwhere(left)])


def _placed(rows: Array, images: NDArray[np.int_], n_images: int) -> Array:
    """Rows of these images among all N of them, (N, M)."""
    whole = np.zeros((n_images, rows.shape[1]))
    whole[images] = rows
    return whole


def _both(rows: tuple[Array, Array], images: NDArray[np.int_], n: int) -> tuple[Array, Array]:
    """Values and standard errors as `_placed` has them."""
    return _placed(rows[0], images, n), _placed(rows[1], images, n)


def grouped(layers: Sequence[Layer | None]) -> list[list[int]]:
    """Models by their layers, those of one layer together; without those that have none."""
    found: dict[str, list[int]] = {}
    for place, layer in enumerate(layers):
        if layer is not None:
            found.setdefault(layer.key, []).append(place)
    return list(found.values())


def zero_requests(
    compiled: Sequence[CompiledLayer],
    n_models: Sequence[int],
    n_test: int,
    n_training: int,
    shots: int | None,
) -> list[Request]:
    """Requests with as many rows as so many models of each layer ask for, for their costs."""
    n_rows = [
        models * n_test + n_training * max(1, len(layer.copies))
        for layer, models in zip(compiled, n_models, strict=True)
    ]
    return [
        Request(layer, np.zeros((rows, len(layer.parameters))), shots=shots, together=tuple(n_rows))
        for layer, rows in zip(compiled, n_rows, strict=True)
    ]
