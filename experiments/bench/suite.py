"""What is measured, and who takes part."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from qbackend import CircuitLayer, LayerSpec, QuantumLayer, get_backend
from qbackend.errors import OptionError, UnknownNameError, suggest
from qbackend.layers.program import Layer

from .circuits import circuit_layer
from .contest import Case, Contestant, Step, torch_step

LAYERS = {
    "amplitude4": LayerSpec(4, "amplitude", "basic_entangler", 2),
    "strong6": LayerSpec(6, "amplitude", "strongly_entangling", 2),
    "strong10": LayerSpec(10, "amplitude", "strongly_entangling", 2),
    "angle4": LayerSpec(4, "angle", "basic_entangler", 2),
    "angle8": LayerSpec(8, "angle", "basic_entangler", 2),
    "angle12": LayerSpec(12, "angle", "basic_entangler", 2),
    "angle16": LayerSpec(16, "angle", "basic_entangler", 2),
}
"""The layer of the published hybrid networks (arXiv 2509.13353), and wider ones."""

BATCHES = {"amplitude": (1, 64, 1024), "angle": (16, 64)}
CIRCUIT_BATCHES = {
    "zz_real_amplitudes_2": (64,),
    "zz_real_amplitudes_4": (64, 1024),
    "zz_real_amplitudes_8": (64,),
    "reuploading": (64,),
    "qcnn": (64, 1024),
    "cz_brick": (64,),
    "ising_rotations": (64, 1024),
    "ten_qubits": (64,),
}
"""Circuits of Qiskit's, which peers are given gate by gate."""
DTYPES = ("float32", "float64")
QUICK_CASES = (
    "amplitude4-b1-float32",
    "amplitude4-b64-float32",
    "amplitude4-b1024-float32",
    "strong6-b64-float32",
    "strong10-b64-float32",
    "angle8-b64-float32",
)
OURS = ("native", "aer")
REFERENCE = "native"
"""The backend that computes in float64 what everybody has to agree with."""


def every_case() -> list[Case]:
    """Every layer at every batch size in both dtypes; circuits of users' in float32."""
    own = [
        Case(layer, spec, batch, dtype)
        for dtype in DTYPES
        for layer, spec in LAYERS.items()
        for batch in BATCHES[spec.encoding]
    ]
    circuits = [
        Case(name, circuit_layer(name), batch, "float32")
        for name, batches in CIRCUIT_BATCHES.items()
        for batch in batches
    ]
    return own + circuits


def select_cases(patterns: Sequence[str]) -> list[Case]:
    """Cases whose name one of the patterns matches, all without patterns.

    Raises:
        OptionError: a pattern that no case matches.
    """
    known = every_case()
    for pattern in patterns:
        if not any(case.matches(pattern) for case in known):
            names = [case.name for case in known]
            raise OptionError(
                f"no case '{pattern}': {suggest(pattern, [*LAYERS, *CIRCUIT_BATCHES, *names])}"
            )
    return [case for case in known if not patterns or any(map(case.matches, patterns))]


def select_contestants(names: Sequence[str], peers: Sequence[Contestant]) -> list[Contestant]:
    """Those named, be they peers or our backends; without names ours and every peer.

    Raises:
        UnknownNameError: neither a peer nor a backend.
        OptionError: a backend that samples or that is remote.
    """
    known = {peer.name: peer for peer in peers}
    chosen = []
    for name in dict.fromkeys(names) or (*OURS, *known):
        try:
            chosen.append(known[name] if name in known else ours(name))
        except UnknownNameError:
            hint = suggest(name, [*OURS, *known])
            raise UnknownNameError(f"'{name}' is neither a backend nor a peer: {hint}") from None
    return chosen


def ours(name: str) -> Contestant:
    """`QuantumLayer` on one of our backends; raises as `select_contestants` does."""
    backend = get_backend(name)
    capabilities = backend.capabilities
    backend.close()
    if capabilities.remote or not capabilities.exact:
        raise OptionError(f"'{name}' is not exact and local, so there is nothing to compare")

    def prepare(spec: Layer, dtype: str) -> Step:
        layer = QuantumLayer(spec, backend=name, seed=0).to(getattr(torch, dtype))
        return torch_step(layer, layer.weight)

    return Contestant(name, prepare, takes=(LayerSpec, CircuitLayer))
