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
from qbackend.layers.program import Layer, SmoothInputMap
from qbackend.layers.spec import LayerSpec

from .timing import Effort, Timing, installed, interleave

Array = NDArray[np.floating]
Step = Callable[[Any, Any, Any], tuple[Any, ...]]
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
    spec: Layer
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
        takes: the kinds of layers that it is asked for.
        circuit_rows: of these, the most rows that it is timed with; its time for a batch is scaled
            up from that.
    """

    name: str
    prepare: Callable[[Any, str], Step]
    array: Callable[[Array], Any] = torch.from_numpy
    needs: tuple[str, ...] = ()
    torch: bool = True
    dtypes: tuple[str, ...] = ("float32", "float64")
    max_wires: int = 16
    max_amplitudes: int = 2**22
    max_features: int = 2**22
    takes: tuple[type[Any], ...] = (LayerSpec,)
    circuit_rows: int | None = None

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
        if not isinstance(case.spec, self.takes):
            return f"no {type(case.spec).__name__}"
        if case.dtype not in self.dtypes:
            return f"no {case.dtype}"
        if case.spec.n_wires > self.max_wires:
            return f"over {self.max_wires} wires"
        if n_amplitudes > self.max_amplitudes:
            return f"over {self.max_amplitudes} amplitudes"
        if n_features > self.max_features:
            return f"over {self.max_features} features"
        return None

    def rows(self, case: Case) -> int:
        """How many rows of the case's batch it is timed with."""
        if self.circuit_rows is None or isinstance(case.spec, LayerSpec):
            return case.batch
        return min(self.circuit_rows, case.batch)


def torch_step(forward: Callable[[torch.Tensor], torch.Tensor], weight: torch.Tensor) -> Step:
    """The step of a torch module whose trainable leaf is `weight`, (W,) or a shape of it.

    As in JAX nothing is added to gradients that are there already: what is timed is the module.
    """

    def step(
        features: torch.Tensor, weights: torch.Tensor, cotangent: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        same = weights.shape == weight.shape and weights.dtype == weight.dtype
        weight.data = weights if same else weights.view_as(weight).to(weight.dtype)
        values = forward(features.requires_grad_())
        slopes = torch.autograd.grad(values, (features, weight), cotangent, allow_unused=True)
        return values.detach(), *slopes

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

    def first(self, n_rows: int) -> Inputs:
        """The same for so many rows."""
        return replace(self, features=self.features[:n_rows], cotangent=self.cotangent[:n_rows])

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


@dataclass(frozen=True)
class Compared:
    """A contestant beside the reference in float64.

    Attributes:
        call: its step with its inputs.
        first: seconds of the very first call.
        deviation: largest difference, in units of what rounding explains.
        error: the same in units of a result's largest number, or of 1 if that is less.
    """

    call: Callable[[], Any]
    first: float
    deviation: float
    error: float


def compare(contestant: Contestant, case: Case, inputs: Inputs, reference: Contestant) -> Compared:
    """Let a contestant and the reference answer twice."""
    # A second answer, for other weights, shows who keeps what the first one depended on.
    exact = inputs.to("float64")
    expected = [_bind(reference, case.spec, exact, first=k)() for k in range(2)]
    call = _bind(contestant, case.spec, inputs)
    start = time.perf_counter()
    results = [call()]
    seconds = time.perf_counter() - start
    results.append(call())
    pairs = list(zip(results, expected, strict=True))
    allowed = tolerances(case.spec, inputs)
    scales = [[max(1.0, np.abs(_on_host(each)).max()) for each in want] for want in expected]
    return Compared(
        call,
        seconds,
        deviation=max(_deviation(*pair, allowed) for pair in pairs),
        error=max(_deviation(*pair, scale) for pair, scale in zip(pairs, scales, strict=True)),
    )


def disagreement(name: str, case: Case, reference: Contestant, found: Compared) -> BackendError:
    """That there is nothing to time."""
    return BackendError(
        f"'{name}' and '{reference.name}' disagree on {case.name}: the difference is "
        f"{found.deviation:.3g} times what rounding explains, so there is nothing to time",
        backend=name,
    )


def measure(
    case: Case, contestants: Sequence[Contestant], reference: Contestant, effort: Effort
) -> list[Record]:
    """Check every contestant against the reference in float64, then time them in turn.

    Raises:
        BackendError: one of them differs by more than rounding explains.
    """
    inputs = Inputs.draw(case)
    calls: dict[str, Callable[[], Any]] = {}
    records: dict[str, Record] = {}
    for contestant in contestants:
        name = contestant.name
        if refusal := contestant.refusal(case):
            records[name] = Record(case, name, skipped=refusal)
            continue
        found = compare(contestant, case, inputs.first(contestant.rows(case)), reference)
        if not found.deviation <= 1:
            raise disagreement(name, case, reference, found)
        calls[name] = found.call
        records[name] = Record(case, name, first=found.first, deviation=found.deviation)
    timings = interleave(calls, effort)
    scales = {one.name: case.batch / one.rows(case) for one in contestants}
    return [
        replace(record, timing=timings[name].times(scales[name]) if name in timings else None)
        for name, record in records.items()
    ]


def tolerances(spec: Layer, inputs: Inputs) -> tuple[Array, Array, Array]:
    """The largest differences that rounding explains, of values (B, M) and of both gradients.

    Four roundings for each gate, and a random walk over the F terms of the norm (Higham and
    Mary, SIAM J. Sci. Comput. 41, A2815, 2019). An output has a slope of at most 2 over the norm
    along amplitude features and of at most 1 along an angle; over rows errors walk at random too.
    """
    if not isinstance(spec, LayerSpec):
        return _circuit_tolerances(spec, inputs)
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


def _circuit_tolerances(spec: Layer, inputs: Inputs) -> tuple[Array, Array, Array]:
    """The same where an output has a slope of its largest value at most along an angle.

    Angles are rounded as numbers of their size.
    """
    program = spec.program()
    given: SmoothInputMap = program.inputs  # type: ignore[assignment]
    features, weights = (np.asarray(x, np.float64) for x in (inputs.features, inputs.weights[0]))
    angles = given.angles(features, weights)
    slopes = [np.zeros_like(features), np.zeros((len(features), len(weights)))]
    for angle in range(angles.shape[1]):
        unit = np.zeros_like(angles)
        unit[:, angle] = 1
        for total, part in zip(slopes, given.pull(features, weights, unit), strict=True):
            total += np.abs(part)
    reach = max(float(np.abs(each.coeffs).sum()) for each in program.observables)
    epsilon = float(np.finfo(inputs.features.dtype).eps)
    unit_error = 4 * epsilon * reach * (program.circuit.size() + float(np.abs(angles).max()))
    asked = np.abs(inputs.cotangent).sum(axis=1, keepdims=True, dtype=np.float64)
    by_features, by_weights = slopes
    return (
        np.full((1, 1), unit_error),
        unit_error * asked * np.maximum(by_features.max(axis=1, keepdims=True, initial=0), 1),
        unit_error * float(np.linalg.norm(asked)) * np.maximum(by_weights.max(initial=0), [1.0]),
    )


def _bind(contestant: Contestant, spec: Layer, inputs: Inputs, first: int = 0) -> Callable[[], Any]:
    """The step with its inputs; every call takes the next weights, beginning with the `first`."""
    step = contestant.prepare(spec, inputs.features.dtype.name)
    features, cotangent = contestant.array(inputs.features), contestant.array(inputs.cotangent)
    weights = cycle([contestant.array(vector) for vector in inputs.weights[first:]])
    return lambda: step(features, next(weights), cotangent)


def _deviation(results: Any, expected: Any, allowed: Sequence[Array | float]) -> float:
    ratios = [
        np.abs(_on_host(result).reshape(np.shape(want)) - _on_host(want)) / limit
        for result, want, limit in zip(results, expected, allowed, strict=True)
    ]
    # What is not a number is as far away as can be.
    return float(np.nan_to_num([ratio.max() for ratio in ratios], nan=np.inf).max())


def _on_host(result: Any) -> Array:
    return np.asarray(result.cpu() if isinstance(result, torch.Tensor) else result)
