"""One layer, several simulators: all do the same job, agree, and only then are timed.

The job is what a training step asks of a layer: the outputs, their gradient with respect to
features that are not normalised yet, and with respect to weights that moved since the last call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from itertools import cycle
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qbackend.errors import BackendError
from qbackend.layers.ansatze import Rotations
from qbackend.layers.spec import LayerSpec

from .timing import Effort, Timing, installed, interleave

Array = NDArray[np.floating]
Step = Callable[[Any, Any, Any], tuple[Any, Any, Any]]
"""(features (B, F), weights (W,), cotangent (B, M)) to (values (B, M), gradients of both)."""

N_WEIGHT_VECTORS = 16
"""Weight vectors that the calls take in turn, so that nobody can keep what depends on them."""

BACKPROP_LIMIT = 2**21
"""Amplitudes over all rows for torch's backpropagation, which keeps the state after every gate:
16 wires at B=64 would take 16 GiB in complex128."""


@dataclass(frozen=True)
class Case:
    """A layer, known by a name, at one batch size B and in one dtype."""

    layer: str
    spec: LayerSpec
    batch: int
    dtype: str

    @property
    def name(self) -> str:
        """What `--cases` selects, for example "amplitude4-b64-float32"."""
        return f"{self.layer}-b{self.batch}-{self.dtype}"

    def matches(self, pattern: str) -> bool:
        """Whether the pattern is the name, its beginning up to a hyphen, or a glob of it."""
        return self.name.startswith(f"{pattern}-") or fnmatch(self.name, pattern)


@dataclass(frozen=True)
class Contestant:
    """A simulator that computes a layer's outputs and both gradients.

    Attributes:
        name: as `--backends` takes it.
        prepare: from a layer and the name of a dtype to the step that is timed.
        array: from a NumPy array to what the step takes.
        needs: distributions that must be installed.
        torch: whether it is a torch module as it stands.
        dtypes: what it can compute in.
        max_wires: the widest layer that it is asked for.
        max_amplitudes: the most amplitudes, over all rows, that it is asked for.
        max_features: the most features, over all rows, that it is asked for.
    """

    name: str
    prepare: Callable[[LayerSpec, str], Step]
    array: Callable[[Array], Any] = torch.from_numpy
    needs: tuple[str, ...] = ()
    torch: bool = True
    dtypes: tuple[str, ...] = ("float32", "float64")
    max_wires: int = 16
    max_amplitudes: int = 2**22
    max_features: int = 2**22

    @property
    def missing(self) -> tuple[str, ...]:
        """Distributions that it needs and that are not installed."""
        return tuple(name for name in self.needs if installed(name) is None)

    def refusal(self, case: Case) -> str | None:
        """Why it is not asked for `case`; None if it is."""
        n_amplitudes = case.batch * 2**case.spec.n_wires
        n_features = case.batch * case.spec.n_features
        if self.missing:
            return "not installed"
        if case.dtype not in self.dtypes:
            return f"no {case.dtype}"
        if case.spec.n_wires > self.max_wires:
            return f"over {self.max_wires} wires"
        if n_amplitudes > self.max_amplitudes:
            return f"over {self.max_amplitudes} amplitudes"
        if n_features > self.max_features:
            return f"over {self.max_features} features"
        return None


def torch_step(forward: Callable[[torch.Tensor], torch.Tensor], weight: torch.Tensor) -> Step:
    """The step of a torch module whose trainable leaf is `weight`, (W,) or a shape of it."""

    def step(
        features: torch.Tensor, weights: torch.Tensor, cotangent: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        with torch.no_grad():
            weight.copy_(weights.view_as(weight))
        weight.grad = None
        leaf = features.detach().requires_grad_()
        values = forward(leaf)
        values.backward(cotangent)
        return values.detach(), leaf.grad, weight.grad

    return step


@dataclass(frozen=True)
class Inputs:
    """What every contestant of a case is given."""

    features: Array
    weights: tuple[Array, ...]
    cotangent: Array

    @classmethod
    def draw(cls, case: Case, seed: int = 0) -> Inputs:
        """Normally distributed features and cotangent, weights uniform in [0, 2π)."""
        rng = np.random.default_rng(seed)
        spec = case.spec
        return cls(
            features=rng.normal(size=(case.batch, spec.n_features)),
            weights=tuple(
                rng.uniform(0, 2 * np.pi, spec.n_weights) for _ in range(N_WEIGHT_VECTORS)
            ),
            cotangent=rng.normal(size=(case.batch, spec.n_outputs)),
        ).to(case.dtype)

    def to(self, dtype: str) -> Inputs:
        """The same numbers in another dtype."""
        return Inputs(
            features=self.features.astype(dtype),
            weights=tuple(vector.astype(dtype) for vector in self.weights),
            cotangent=self.cotangent.astype(dtype),
        )


@dataclass(frozen=True)
class Record:
    """What became of one contestant in one case.

    Attributes:
        case: the case.
        contestant: its name.
        skipped: why it was not measured, None if it was.
        first: seconds of the very first call, which compiles and allocates.
        deviation: largest difference from the reference, in units of what rounding explains.
        timing: seconds per call, the first one left out.
    """

    case: Case
    contestant: str
    skipped: str | None = None
    first: float | None = None
    deviation: float | None = None
    timing: Timing | None = None


def measure(
    case: Case, contestants: Sequence[Contestant], reference: Contestant, effort: Effort
) -> list[Record]:
    """Check every contestant against the reference in float64, then time them in turn.

    Raises:
        BackendError: one of them differs by more than rounding explains.
    """
    inputs = Inputs.draw(case)
    allowed = tolerances(case.spec, inputs)
    # A second answer, for other weights, shows who keeps what the first one depended on.
    expected = [_bind(reference, case.spec, inputs.to("float64"), first=k)() for k in range(2)]
    calls: dict[str, Callable[[], Any]] = {}
    records: dict[str, Record] = {}
    for contestant in contestants:
        name = contestant.name
        if refusal := contestant.refusal(case):
            records[name] = Record(case, name, skipped=refusal)
            continue
        calls[name] = _bind(contestant, case.spec, inputs)
        start = time.perf_counter()
        results = [calls[name]()]
        seconds = time.perf_counter() - start
        results.append(calls[name]())
        deviation = max(_deviation(*pair, allowed) for pair in zip(results, expected, strict=True))
        if not deviation <= 1:
            raise BackendError(
                f"'{name}' and '{reference.name}' disagree on {case.name}: the difference is "
                f"{deviation:.3g} times what rounding explains, so there is nothing to time",
                backend=name,
            )
        records[name] = Record(case, name, first=seconds, deviation=deviation)
    timings = interleave(calls, effort)
    return [replace(record, timing=timings.get(name)) for name, record in records.items()]


def tolerances(spec: LayerSpec, inputs: Inputs) -> tuple[Array, Array, Array]:
    """The largest differences that rounding explains, of values (B, M) and of both gradients.

    Four roundings for each gate, and a random walk over the F terms of the norm (Higham and
    Mary, SIAM J. Sci. Comput. 41, A2815, 2019). An output has a slope of at most 2 over the norm
    along amplitude features and of at most 1 along an angle; over rows errors walk at random too.
    """
    n_gates = sum(
        len(operation.weights if isinstance(operation, Rotations) else operation.pairs)
        for operation in spec.operations
    )
    epsilon = np.finfo(inputs.features.dtype).eps
    unit = 4 * float(epsilon) * (n_gates + np.sqrt(spec.n_features))
    slopes = np.abs(inputs.cotangent).sum(axis=1, keepdims=True, dtype=np.float64)
    if spec.encoding == "amplitude":
        slopes *= 2 / np.linalg.norm(inputs.features, axis=1, keepdims=True)
    walk = np.sqrt(spec.n_outputs) * np.linalg.norm(inputs.cotangent)
    return np.full((1, 1), unit), unit * np.maximum(slopes, 1), unit * np.maximum(walk, [1.0])


def _bind(
    contestant: Contestant, spec: LayerSpec, inputs: Inputs, first: int = 0
) -> Callable[[], Any]:
    """The step with its inputs; every call takes the next weights, beginning with the `first`."""
    step = contestant.prepare(spec, inputs.features.dtype.name)
    features, cotangent = contestant.array(inputs.features), contestant.array(inputs.cotangent)
    weights = cycle([contestant.array(vector) for vector in inputs.weights[first:]])
    return lambda: step(features, next(weights), cotangent)


def _deviation(results: Any, expected: Any, allowed: tuple[Array, Array, Array]) -> float:
    ratios = [
        np.abs(np.asarray(result).reshape(np.shape(want)) - np.asarray(want)) / limit
        for result, want, limit in zip(results, expected, allowed, strict=True)
    ]
    # What is not a number is as far away as can be.
    return float(np.nan_to_num([ratio.max() for ratio in ratios], nan=np.inf).max())
