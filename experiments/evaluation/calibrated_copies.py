"""Copies side by side, each corrected by a map of its own, all measured in one request.

Every copy has other qubits and other errors. Training images whose exact outputs are known are
executed on each of them, behind the images of the evaluation and in the same jobs: what drifts
between two jobs does not come in between, and no second job has to be paid for.

Letters: N rows, M outputs, C copies, K images that calibrate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from qbackend import QuantumLayer
from qbackend.devices.affine_map import AffineMap, fit_affine_map
from qbackend.errors import BackendError, OptionError
from qbackend.layers.inputs import Array
from qbackend.machines.ledger.identity import are_same
from qbackend.seam.backend import QuantumBackend
from qbackend.seam.requests import Request, Result

from ..assembly.construct import quantum_layers
from .correct import Observed
from .handing_on import HandingOn


class AskedOnce(HandingOn):
    """A backend that is asked for several requests of one layer at once.

    Requests are gathered first, and answered with zeros. Once they were asked for together, the
    same ones are answered with their own values.
    """

    def __init__(self, inner: QuantumBackend) -> None:
        super().__init__(inner)
        self._gathered: list[Request] = []
        self._answers: list[Result] = []

    @property
    def n_requests(self) -> int:
        """Requests that were gathered."""
        return len(self._gathered)

    @property
    def n_rows(self) -> int:
        """Rows that were gathered."""
        return sum(len(request.parameters) for request in self._gathered)

    def evaluate(self, request: Request) -> Result:
        if not self._answers:
            self._gathered.append(request)
            zeros = np.zeros((len(request.parameters), len(request.compiled.observables)))
            return Result(zeros, zeros, request.shots, (), self.name)
        for known, answer in zip(self._gathered, self._answers, strict=True):
            if are_same(known.parameters, request.parameters):
                return answer
        raise BackendError(f"{self.name} was not asked for this request before")

    def ask(self, distinct: int) -> list[Result]:
        """Execute all that was gathered, in one request; the first answer has what it cost.

        `distinct` is how many different rows there are, whatever the number of copies.

        Raises:
            QhcError: as the inner backend's `evaluate`.
        """
        first = self._gathered[0]
        rows = np.concatenate([request.parameters for request in self._gathered])
        whole = self.inner.evaluate(replace(first, parameters=rows, distinct=distinct))
        edges = np.cumsum([0, *(len(request.parameters) for request in self._gathered)])
        self._answers = [
            replace(
                whole,
                values=whole.values[start:stop],
                stderr=whole.stderr[start:stop],
                copies=None if whole.copies is None else whole.copies[start:stop],
                job_ids=whole.job_ids if start == 0 else (),
                qpu_seconds=whole.qpu_seconds if start == 0 else 0.0,
            )
            for start, stop in pairwise(edges)
        ]
        return self._answers


class CorrectedCopies(AskedOnce):
    """What was asked for, each row corrected by the map of the copy that answered it."""

    def __init__(self, asked: AskedOnce, maps: Sequence[AffineMap]) -> None:
        super().__init__(asked.inner)
        self._gathered = asked._gathered
        self._answers = [_corrected(answer, maps) for answer in asked._answers]


def copied_layer(model: nn.Module) -> QuantumLayer | None:
    """The model's quantum layer, where it has one alone and that stands in copies."""
    layers = quantum_layers(model)
    if len(layers) == 1 and layers[0].neural_network.compiled.copies:
        return layers[0]
    return None


@contextmanager
def on_backend(layer: QuantumLayer, backend: QuantumBackend) -> Iterator[None]:
    """The layer executed by another backend, with what it was compiled to, while it lasts."""
    network = layer.neural_network
    before, network.backend = network.backend, backend
    try:
        yield
    finally:
        network.backend = before


def ask_calibrated(
    layer: QuantumLayer, observed: Observed, evaluate: Callable[[], object]
) -> tuple[AskedOnce, list[AffineMap]]:
    """What the machine answers to an evaluation, and the map (C of them) of every copy.

    Args:
        layer: on the machine, in copies.
        observed: the exact outputs of K training images' rows.
        evaluate: asks the layer for all that is to be evaluated.

    Raises:
        OptionError: an evaluation takes more than one request.
        QhcError: as the machine's `evaluate`.
    """
    n_copies = len(layer.neural_network.compiled.copies)
    asked = AskedOnce(layer.neural_network.backend)
    features = observed.features.repeat_interleave(n_copies, dim=0)
    with on_backend(layer, asked), torch.no_grad():
        evaluate()
        if asked.n_requests > 1:
            raise OptionError(
                f"an input passes the quantum layer {asked.n_requests} times, each of which takes "
                "what the one before it answered: copies are not calibrated together with that; "
                "leave --calibrate out, or calibrate one copy alone: --copies 1"
            )
        layer(features)
    live = _live(layer, features)
    answer = asked.ask(asked.n_rows - int(live.sum()) * (n_copies - 1) // n_copies)[-1]
    exact = observed.outputs.repeat_interleave(n_copies, dim=0).double().cpu().numpy()
    return asked, fit_copies(answer, exact[live], n_copies)


def fit_copies(answer: Result, exact: Array, n_copies: int) -> list[AffineMap]:
    """A map per copy, from the rows (N, M) that it answered to their exact values.

    Raises:
        InputError: fewer than two rows on a copy.
    """
    assert answer.copies is not None
    chosen = [answer.copies == copy for copy in range(n_copies)]
    return [fit_affine_map(answer.values[rows], exact[rows]) for rows in chosen]


def corrected_by_last(
    answer: Result, n_rows: int, exact: Array, n_copies: int
) -> tuple[Array, Array]:
    """Values and standard errors of all rows, by the map of each copy that the last ones give.

    Args:
        answer: to N rows, and behind them to K that calibrate, each once on every copy.
        n_rows: N.
        exact: values of the K without noise, (K, M).
        n_copies: C, 0 for a layer that stands alone.

    Raises:
        InputError: fewer than two rows that calibrate.
    """
    copies = np.zeros(len(answer.values), int) if answer.copies is None else answer.copies
    last = replace(answer, values=answer.values[n_rows:], copies=copies[n_rows:])
    n_places = max(1, n_copies)
    maps = fit_copies(last, exact.repeat(n_places, axis=0), n_places)
    found = _corrected(replace(answer, copies=copies), maps)
    return found.values, found.stderr


def _live(layer: QuantumLayer, features: torch.Tensor) -> np.ndarray:
    """Rows that were executed: one that encodes nothing is never sent."""
    inputs = layer.neural_network.compiled.inputs
    return inputs.live(features.detach().double().cpu().numpy())


def _corrected(answer: Result, maps: Sequence[AffineMap]) -> Result:
    assert answer.copies is not None
    scale = np.stack([each.scale for each in maps])[answer.copies]
    offset = np.stack([each.offset for each in maps])[answer.copies]
    values, stderr = answer.values * scale + offset, answer.stderr * np.abs(scale)
    return replace(answer, values=values, stderr=stderr)
