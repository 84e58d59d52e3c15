"""A small call, and a small machine on the loopback service that takes it."""

from __future__ import annotations

from functools import cache

from qbackend import LayerSpec
from qbackend.circuits.device_form import compile_for_target
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.service import Call
from qbackend.seam.requests import CompiledLayer
from tests.loopback import Machine
from tests.support.cases import features, weights

NAME = "ibm_loopback"
SHOTS = 1024
SPEC = LayerSpec(2)


def small_machine() -> Machine:
    """Without noise."""
    return Machine.load(NAME, n_qubits=5, noisy=False)


@cache
def layer() -> CompiledLayer:
    return compile_for_target(SPEC, small_machine().target, device=NAME)


def call(options: ExecutionOptions | None = None, n_rows: int = 4) -> Call:
    chosen = options or ExecutionOptions()
    parameters = layer().rows(features(SPEC, n_rows, 0), weights(SPEC, 0))
    return Call(layer(), parameters, SHOTS, None, chosen)
