"""A small layer, and the plan that it is paid by."""

from __future__ import annotations

from functools import cache

from qbackend import LayerSpec
from qbackend.circuits.device_form import compile_for_target
from qbackend.machines.service import PlanInfo
from qbackend.seam.requests import CompiledLayer
from tests.machines.fakes import small_target

OPEN = PlanInfo("open", has_sessions=False, seconds_left=600.0)


@cache
def layer() -> CompiledLayer:
    return compile_for_target(LayerSpec(2), small_target())
