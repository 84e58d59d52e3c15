"""What `gpu.py` measures: stages, each one step of one contestant or one training.

A stage leaves plain values. Where the CPU stands in for a GPU, batches are tiny, peers take part in
the first case only, and the recipe with the smallest images stands for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import noisy_layer
import numpy as np
import torch
from gpu_epochs import train
from gpu_pointwise import NATIVE, SHAPES, WHO, pointwise_step
from peers import PEERS

from experiments.bench.accelerator import Place, measure_there, speed, there, to_plain
from experiments.bench.circuits import circuit_layer
from experiments.bench.contest import Case, Contestant, Inputs, compare
from experiments.bench.jax import jax_array
from experiments.bench.suite import LAYERS, REFERENCE, ours
from experiments.bench.timing import QUICK, Effort, installed
from experiments.config.recipe import list_recipes
from qbackend import CircuitLayer, LayerSpec, get_backend
from qbackend.errors import BackendError
from qbackend.layers.program import Layer

EFFORT = replace(QUICK, seconds=0.5)
TINY_EFFORT = Effort(seconds=0.01, rounds=2)
TINY_BATCH = 3
DEVICE = "fake_brisbane"
LAYER_BATCHES = (
    ("amplitude4", 64),
    ("strong10", 64),
    ("strong6", 1024),
    ("strong10", 1024),
    ("amplitude4", 1024),
    ("amplitude4", 16384),
    ("angle12", 256),
    ("angle16", 64),
)
CIRCUIT_BATCHES = (
    ("zz_real_amplitudes_4", 1024),
    ("ten_qubits", 64),
    ("qcnn", 1024),
    ("ising_rotations", 1024),
)
TARGETS = {
    "amplitude4-b64": (0.40, 0.03),
    "amplitude4-b1024": (0.40, 0.03),
    "amplitude4-b16384": (0.40, 0.03),
    "strong6-b1024": (0.5, 0.04),
    "strong10-b64": (0.30, 0.04),
    "strong10-b1024": (0.42, 0.10),
    "angle12-b256": (0.5, 0.2),
    "angle16-b64": (0.45, 0.2),
    "angle12 as any circuit-b256": (1.0, 0.4),
    f"{DEVICE}-b1024": (0.6, None),
    "epoch mnist": (450.0, None),
    "epoch cifar100": (550.0, None),
    "pointwise 16 → 32": (0.22, None),
    "pointwise 64 → 66": (1.4, None),
    "pointwise 128 → 256": (12.5, None),
    "pointwise 128 → 256, tf32": (5.5, None),
}
"""Milliseconds that ours may take on an H100 or H200: waited for, and as a graph."""
PRIORITY = ("tensorcircuit-jax", "deepquantum", "pennylane-jax", "pennylane-torch", "torchquantum")
"""The peers asked for in each case, the fastest first."""


@dataclass(frozen=True)
class Stage:
    """One measurement.

    Attributes:
        case: what is computed; `TARGETS` and tables name it so.
        who: the contestant, or the arm of a training.
        measure: does it.
        missing: distributions that it needs and that are not installed.
    """

    case: str
    who: str
    measure: Callable[[], dict[str, Any]]
    missing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What `--stages` selects."""
        return f"{self.case}: {self.who}"

    @property
    def is_ours(self) -> bool:
        """Whether `TARGETS` are for it."""
        return self.who in (REFERENCE, NATIVE, "quantum") or self.who.startswith("native:")


def stages(place: Place, data_root: Path) -> list[Stage]:
    """All of them, the most informative first."""
    cases = list(_layer_cases(place))
    recipes = list_recipes() if place.is_gpu else ["digits"]
    first = [name for name in ("mnist", "cifar100", "digits") if name in recipes]
    epochs = {
        name: [
            Stage(f"epoch {name}", arm, partial(train, name, arm, place, data_root))
            for arm in ("quantum", "classical twin")
        ]
        for name in recipes
    }
    peers = [peer for name in PRIORITY for peer in PEERS if peer.name == name]
    return [
        *(_layer(case, ours(REFERENCE), place) for case in cases),
        Stage(f"{DEVICE}-b1024", f"native:{DEVICE}", partial(_noisy, place)),
        *(
            Stage(
                f"pointwise {shape}{', tf32' * allowed}",
                who,
                partial(pointwise_step, shape, who, allowed, place, _effort(place)),
            )
            for shape in SHAPES
            for who in WHO
            for allowed in (False, True)
        ),
        *(epoch for name in first for epoch in epochs[name]),
        *(
            _layer(case, peer, place)
            for case in (cases if place.is_gpu else cases[:1])
            for peer in peers
            if isinstance(case.spec, peer.takes)
        ),
        *(_noisy_peer(name, step, place) for name, step in NOISY_PEERS.items()),
        *(epoch for name in recipes if name not in first for epoch in epochs[name]),
    ]


def _effort(place: Place) -> Effort:
    return EFFORT if place.is_gpu else TINY_EFFORT


def _batch(place: Place, batch: int) -> int:
    return batch if place.is_gpu else min(batch, TINY_BATCH)


def _layer_cases(place: Place) -> Iterator[Case]:
    every: list[tuple[str, Layer, int]] = [
        *((name, LAYERS[name], batch) for name, batch in LAYER_BATCHES),
        ("angle12 as any circuit", _as_circuit(LAYERS["angle12"]), 256),
        *((name, circuit_layer(name), batch) for name, batch in CIRCUIT_BATCHES),
    ]
    for name, spec, batch in every:
        yield Case(f"{name}-b{batch}", spec, _batch(place, batch), "float32")


def _as_circuit(spec: LayerSpec) -> CircuitLayer:
    """A layer of the catalogue as a user would bring it: gate by gate, recognised by nobody."""
    program = spec.program()
    return CircuitLayer(
        program.circuit,
        features=program.parameters[: spec.n_features],
        weights=program.parameters[spec.n_features :],
        observables=list(program.observables),
    )


def _layer(case: Case, contestant: Contestant, place: Place) -> Stage:
    def measure() -> dict[str, Any]:
        return measure_there(case, contestant, ours(REFERENCE), place, _effort(place))

    return Stage(case.layer, contestant.name, measure, contestant.missing)


def _noisy_case(place: Place) -> Case:
    return Case(DEVICE, LayerSpec(4), _batch(place, 1024), "float32")


def _noisy(place: Place) -> dict[str, Any]:
    """Ours, beside the same in float64 on the CPU."""
    case, contestant = _noisy_case(place), ours(f"native:{DEVICE}")
    found = compare(there(contestant, place), case, Inputs.draw(case), contestant)
    _check(contestant.name, found.error)
    measured = speed(found.call, place, _effort(place), in_torch=True)
    return {**to_plain(measured), "error_of_float64": found.error, "first": found.first}


NOISY_PEERS = {
    "tensorcircuit-ng": noisy_layer.tensorcircuit_step,
    "pennylane": noisy_layer.pennylane_step,
}
"""They get the compiled circuit's angles instead of features; with JAX."""


def _noisy_peer(name: str, prepare: Callable[[Any], Any], place: Place) -> Stage:
    def measure() -> dict[str, Any]:
        case = _noisy_case(place)
        backend = get_backend(f"native:{DEVICE}")
        layer, inputs = backend.compile(case.spec), Inputs.draw(case)
        rows = layer.rows(inputs.features, inputs.weights[0])
        angles = jax_array(rows[:, : -case.spec.n_weights].astype(np.float32))
        given = (angles, jax_array(inputs.weights[0]), jax_array(inputs.cotangent))
        step = prepare(layer)
        values = np.asarray(step(*given)[0])
        exact = [torch.from_numpy(x) for x in (inputs.features, inputs.weights[0])]
        expected = backend.forward(layer, exact[0].double(), exact[1].double(), differentiate=False)
        error = float(np.abs(values - expected.values.numpy()).max())
        _check(name, error)
        measured = speed(partial(step, *given), place, _effort(place), in_torch=False)
        return {**to_plain(measured), "error_of_float64": error}

    missing = tuple(need for need in (name, "jax") if installed(need) is None)
    return Stage(f"{DEVICE}-b1024", f"{name}, from angles", measure, missing)


def _check(name: str, error: float) -> None:
    if not error <= noisy_layer.AGREEMENT:
        raise BackendError(f"'{name}' is {error:.2g} off what float64 gives", backend=name)
