"""One layer of a model asked for many rows at once, on one backend.

Letters: N rows, F features, W weights, M outputs, C copies, K rows that calibrate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..devices.affine_map import fit_affine_map
from ..layers.inputs import Array, check_finite
from ..module.network import LayerNetwork
from ..module.quantum_layer import QuantumLayer
from ..registry import parse_name
from ..seam.backend import QuantumBackend
from ..seam.requests import CompiledLayer, Cost, Request, Result, angles_of

CHUNK = 256
"""Rows between two words of how far a computation is."""

Tell = Callable[[int], None]
"""Is told how many rows more are done."""


@dataclass(frozen=True)
class Known:
    """Rows that calibrate a layer: features (K, F) and their exact outputs (K, M)."""

    features: Tensor
    outputs: Tensor


@dataclass(frozen=True)
class Asked:
    """What a layer answered to N rows.

    Attributes:
        values: (N, M).
        stderr: (N, M) by the shots; None on an exact backend.
        corrected: (N, M) by maps that were fitted on rows beside them; None without.
        corrected_stderr: the same of these.
        result: as the backend gave it, with the rows that calibrate; None of an exact one.
    """

    values: Array
    stderr: Array | None = None
    corrected: Array | None = None
    corrected_stderr: Array | None = None
    result: Result | None = None


def stage_name(backend: QuantumBackend) -> str:
    """What a validation calls a backend: a simulator that samples is not the exact one."""
    is_sampled = backend.shots is not None and parse_name(backend.name).is_simulator
    return f"{backend.name}, {backend.shots} shots" if is_sampled else backend.name


class Asker:
    """A backend and what it compiled of a model's layers, each kind of them once.

    Args:
        backend: that executes.
        seed: of what is sampled; each request has one of its own.
    """

    def __init__(self, backend: QuantumBackend, seed: int) -> None:
        self.backend, self.seed = backend, seed
        self._networks: dict[str, LayerNetwork] = {}

    @property
    def name(self) -> str:
        """See `stage_name`."""
        return stage_name(self.backend)

    def network(self, layer: QuantumLayer) -> LayerNetwork:
        """The layer's network on this backend; raises `OptionError` if that cannot do it."""
        key = layer.spec.key
        if key not in self._networks:
            self._networks[key] = LayerNetwork(layer.spec, self.backend, seed=self.seed)
        return self._networks[key]

    def compiled(self, layer: QuantumLayer) -> CompiledLayer:
        """What the backend made of a layer; raises as `network`."""
        return self.network(layer).compiled

    def live(self, layer: QuantumLayer, features: Tensor) -> int:
        """How many of the rows (N, F) encode something: the others are never executed."""
        inputs = self.compiled(layer).inputs
        return int(np.sum(inputs.live(features.detach().double().cpu().numpy())))

    def cost(self, layer: QuantumLayer, rows: int, calibrating: int = 0) -> Cost:
        """What such a request takes of the backend; raises `QhcError` as its `estimate`."""
        compiled = self.compiled(layer)
        n_copies = max(1, len(compiled.copies))
        asked = np.zeros((rows + calibrating * n_copies, len(compiled.parameters)))
        distinct = rows + calibrating
        shots = self.backend.shots
        return self.backend.estimate(Request(compiled, asked, shots=shots, distinct=distinct))

    def ask(
        self,
        layer: QuantumLayer,
        features: Tensor,
        weights: Tensor,
        number: int,
        known: Known | None,
        tell: Tell,
    ) -> Asked:
        """Answers to features (N, F) under weights (W,), the `number`th request of the evaluation.

        Raises:
            InputError: features that are not finite, or too few rows that calibrate.
            QhcError: as the backend's `evaluate`.
        """
        network = self.network(layer)
        n_copies = max(1, len(network.compiled.copies))
        rows = features.detach().double()
        if known is not None:
            repeated = known.features.repeat_interleave(n_copies, dim=0)
            rows = torch.cat([rows, repeated.to(rows)])
        given = rows.cpu().numpy()
        check_finite("features", given)
        live = np.asarray(network.compiled.inputs.live(given), dtype=bool)
        if self.backend.capabilities.exact:
            found = Asked(self._exact(network, weights, rows, tell))
        else:
            n_rows = len(features)
            distinct = int(live[:n_rows].sum() + live[n_rows:].sum() // n_copies)
            found = self._sampled(layer, given, weights, live, number, distinct)
            tell(len(given))
        return found if known is None else _corrected(found, live, known, n_copies)

    def _exact(self, network: LayerNetwork, weights: Tensor, rows: Tensor, tell: Tell) -> Array:
        parts = []
        for part in rows.split(CHUNK):
            done = network.evaluate(part, weights, differentiate=False)
            parts.append(done.values.double().cpu().numpy())
            tell(len(part))
        return np.concatenate(parts)

    def _sampled(
        self,
        layer: QuantumLayer,
        rows: Array,
        weights: Tensor,
        live: NDArray[np.bool_],
        number: int,
        distinct: int,
    ) -> Asked:
        compiled = self.compiled(layer)
        values, stderr = np.zeros((2, len(rows), layer.spec.n_outputs))
        if not live.any():
            return Asked(values, stderr)
        seed = np.random.SeedSequence([self.seed, number]).generate_state(1)[0]
        result = self.backend.evaluate(
            Request(
                compiled,
                compiled.rows(rows[live], angles_of(weights)),
                shots=self.backend.shots,
                seed=int(seed) % 2**31,
                distinct=distinct,
            )
        )
        values[live], stderr[live] = result.values, result.stderr
        return Asked(values, stderr, result=result)


def _corrected(found: Asked, live: NDArray[np.bool_], known: Known, n_copies: int) -> Asked:
    """The answers to the rows before those that calibrate, as they are and corrected.

    A row that encodes nothing is never executed: its outputs stay 0.
    """
    n_rows = len(live) - n_copies * len(known.features)
    copies = np.zeros(len(live), dtype=int)
    if found.result is not None and found.result.copies is not None:
        copies[live] = found.result.copies
    fitted = live.copy()
    fitted[:n_rows] = False
    exact = known.outputs.repeat_interleave(n_copies, dim=0).double().cpu().numpy()
    maps = [
        fit_affine_map(
            found.values[fitted & (copies == copy)],
            exact[live[n_rows:] & (copies[n_rows:] == copy)],
        )
        for copy in range(n_copies)
    ]
    scale = np.stack([each.scale for each in maps])[copies[:n_rows]]
    offset = np.stack([each.offset for each in maps])[copies[:n_rows]]
    values, is_live = found.values[:n_rows], live[:n_rows, None]
    stderr = None if found.stderr is None else found.stderr[:n_rows]
    return Asked(
        values=values,
        stderr=stderr,
        corrected=np.where(is_live, values * scale + offset, 0.0),
        corrected_stderr=None if stderr is None else stderr * np.abs(scale),
        result=found.result,
    )
