"""The ways in which a layer can be computed."""

from __future__ import annotations

import numpy as np
import pytest

from qbackend.module import pointwise
from qbackend.pixels import channel_forms


@pytest.fixture(params=["states", "kernels", "tensors", "rows"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way in which the layer can be computed, made to be taken."""
    # What a gate seems to cost decides between states, where a backend has them, and forms.
    cost = 0.0 if request.param == "states" else np.inf
    monkeypatch.setattr(pointwise, "STATE_COST", cost)
    if request.param == "tensors":
        monkeypatch.setattr(channel_forms, "KERNEL_CHANNELS", 0)
    if request.param == "rows":
        monkeypatch.setattr(pointwise, "FORM_WIRES", 0)
    return request.param
