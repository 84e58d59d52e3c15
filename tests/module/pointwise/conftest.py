"""The ways in which a layer can be computed."""

from __future__ import annotations

import numpy as np
import pytest

from qbackend.module import pointwise
from qbackend.pixels import channel_forms, channel_products

ON_THE_CPU = ("states", "kernels", "tensors", "rows")
ELSEWHERE = ("products of states", "products of forms")


@pytest.fixture(params=[*ON_THE_CPU, *ELSEWHERE])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way in which the layer can be computed, made to be taken."""
    return take(request.param, monkeypatch)


@pytest.fixture(params=ON_THE_CPU)
def path_on_the_cpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Those that the CPU takes by itself."""
    return take(request.param, monkeypatch)


@pytest.fixture(params=ELSEWHERE)
def path_elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Those that an accelerator takes, on the CPU."""
    return take(request.param, monkeypatch)


def take(path: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the layer go this way."""
    if path in ELSEWHERE:
        monkeypatch.setattr(pointwise, "is_elsewhere", lambda features: True)
        monkeypatch.setattr(
            channel_products, "prefers_forms", lambda *shape: path == "products of forms"
        )
        return path
    # What a gate seems to cost decides between states, where a backend has them, and forms.
    cost = 0.0 if path == "states" else np.inf
    monkeypatch.setattr(pointwise, "STATE_COST", cost)
    if path == "tensors":
        monkeypatch.setattr(channel_forms, "KERNEL_CHANNELS", 0)
    if path == "rows":
        monkeypatch.setattr(pointwise, "FORM_WIRES", 0)
    return path
