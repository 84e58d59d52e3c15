"""A call for a fake device, and what that gives."""

from __future__ import annotations

from functools import cache

import numpy as np

from qbackend import LayerSpec
from qbackend.circuits.device_form import compile_for_target
from qbackend.ibm.local import LocalService
from qbackend.ibm.results import decode
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.service import Call
from qbackend.seam.requests import CompiledLayer
from tests.support.cases import features, weights

FAKE = "fake_brisbane"
SPEC = LayerSpec(3)
SHOTS = 1000


@cache
def layer() -> CompiledLayer:
    return compile_for_target(SPEC, LocalService().device(FAKE).target, device=FAKE)


def call(options: ExecutionOptions | None = None, *, seed: int | None = 0, rows: int = 3) -> Call:
    chosen = options or ExecutionOptions()
    parameters = layer().rows(features(SPEC, rows, 0), weights(SPEC, 0))
    return Call(layer(), parameters, SHOTS, seed, chosen)


def executed(asked: Call) -> tuple[np.ndarray, np.ndarray]:
    service = LocalService()
    return decode(service.fetch(service.start(FAKE, asked, "tag", None)), asked)
