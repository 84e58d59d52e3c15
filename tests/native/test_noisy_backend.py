"""`native:DEVICE` as an object: what it notices, keeps and refuses."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit

from qbackend import LayerSpec, QuantumLayer, get_backend
from qbackend.devices.noise_spec import NoiseSpec
from qbackend.devices.snapshots import load_snapshot
from qbackend.errors import InputError, OptionError
from qbackend.native.noisy import NativeNoisy
from qbackend.native.pauli.layer import MAX_QUBITS
from qbackend.seam.requests import CompiledLayer, Request

from ..support.cases import features, weights
from .test_noisy import compiled_layer, native


def test_weights_that_move_are_noticed() -> None:
    layer = QuantumLayer(LayerSpec(2), native(), seed=0)
    x = torch.randn(3, 4, dtype=torch.float64)
    before = layer(x).detach()
    torch.testing.assert_close(layer(x), before, atol=0, rtol=0)
    with torch.no_grad():
        layer.weight += 0.1
    moved = layer(x).detach()
    assert (moved - before).abs().max() > 1e-3
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(copied(x), moved, atol=0, rtol=0)


def test_what_it_refuses() -> None:
    backend, spec = native(), LayerSpec(2)
    compiled = compiled_layer(spec, "auto")
    rows = np.zeros((1, len(compiled.parameters)))
    with pytest.raises(OptionError, match="aer:fake_brisbane --shots N"):
        backend.submit(Request(compiled, rows, shots=10))
    with pytest.raises(OptionError, match="aer:fake_brisbane --shots N"):
        get_backend("native:fake_brisbane", shots=10)
    with pytest.raises(OptionError, match="name a device"):
        get_backend("native", noise=NoiseSpec())
    ideal = get_backend("native").compile(spec)
    with pytest.raises(OptionError, match="without noise"):
        backend.submit(Request(ideal, np.zeros((1, len(ideal.parameters)))))
    with pytest.raises(OptionError, match="at most 6"):
        backend.compile(LayerSpec(7))
    wide = replace(compiled, circuit=QuantumCircuit(MAX_QUBITS + 1))
    with pytest.raises(OptionError, match=f"at most {MAX_QUBITS}"):
        backend.submit(Request(wide, rows))
    x = torch.ones(3, 4)
    x[2, 1] = torch.nan
    with pytest.raises(InputError, match="features row 2"):
        backend.forward(compiled, x, torch.zeros(4), differentiate=False)
    with pytest.raises(InputError, match="weights row 0"):
        backend.forward(compiled, x[:2], torch.full((4,), torch.inf), differentiate=False)


def test_one_simulation_is_kept_for_a_spec() -> None:
    backend, spec = native(), LayerSpec(2)
    first, second = (
        NativeNoisy(load_snapshot("fake_brisbane"), noise).compile(spec)
        for noise in (NoiseSpec(), NoiseSpec(readout=0.0))
    )
    x, w = torch.tensor(features(spec, 3, 0)), torch.tensor(weights(spec, 0))

    def values(layer: CompiledLayer) -> torch.Tensor:
        return backend.forward(layer, x, w, differentiate=False).values

    before = len(backend._simulations)
    loud, quiet = values(first), values(second)
    assert (loud - quiet).abs().max() > 1e-3
    assert torch.equal(values(first), loud)
    assert torch.equal(values(second), quiet)
    assert len(backend._simulations) <= before + 1
