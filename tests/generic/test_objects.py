"""Backends of Qiskit's handed over as objects, classes and factories, and what is refused."""

from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_ibm_runtime import IBMBackend
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from torch import nn

from models import to_backend
from qbackend import LayerSpec, QuantumLayer, QuantumPointwiseConv2d, get_backend
from qbackend.errors import OptionError

from ..support.small_circuits import feature_map_and_ansatz


def noisy() -> AerSimulator:
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.05, 1), ["ry", "sx"])
    return AerSimulator(noise_model=model)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (GenericBackendV2(4), "GenericBackendV2 generic_backend_4q"),
        (lambda: GenericBackendV2(4), "GenericBackendV2 generic_backend_4q"),
        (FakeManilaV2(), "FakeManilaV2 fake_manila"),
        (FakeManilaV2, "FakeManilaV2 fake_manila"),
        (BasicSimulator, "BasicSimulator basic_simulator"),
        (AerSimulator, "aer"),
        (noisy, "AerSimulator aer_simulator with its own noise"),
        (get_backend("native"), "native"),
    ],
)
def test_what_is_taken(given: Any, name: str) -> None:
    assert get_backend(given).name == name
    layer = QuantumLayer(LayerSpec(2), seed=1)
    before = layer.weight.detach().clone()
    assert layer.to_backend(given) is layer
    assert f"backend={name!r}" in repr(layer)
    assert torch.equal(layer.weight, before)
    assert layer(torch.ones(1, 4)).shape == (1, 2)


def test_models_take_them_too() -> None:
    model = nn.Sequential(QuantumLayer(LayerSpec(2)), QuantumLayer(LayerSpec(1)))
    to_backend(model, noisy(), seed=3)
    assert model[0].backend is model[1].backend
    assert model[0].backend.name.startswith("AerSimulator")
    convolution = QuantumPointwiseConv2d(2, 2, depth=1, backend=noisy())
    assert convolution(torch.ones(1, 2, 1, 1)).shape == (1, 2, 1, 1)


@pytest.mark.parametrize("given", [3, None, "qiskit:qiskit:QuantumCircuit", LayerSpec, object()])
def test_what_is_not(given: Any) -> None:
    with pytest.raises(OptionError, match=r"not a Qiskit BackendV2; a backend is|LayerSpec needs"):
        get_backend(given)


def test_options_belong_elsewhere() -> None:
    with pytest.raises(OptionError, match="preparation belong to the backend"):
        get_backend(GenericBackendV2(2), preparation="textbook")
    with pytest.raises(OptionError, match="shots belong to the backend"):
        get_backend(get_backend("aer"), shots=3)
    with pytest.raises(OptionError, match="shots must be"):
        get_backend(GenericBackendV2(2), shots=0)


@pytest.fixture
def machine() -> IBMBackend:
    """A machine's object, of which nothing but the name can be asked."""
    found = IBMBackend.__new__(IBMBackend)
    found.__dict__["name"] = "ibm_fez"
    return found


def test_a_machine_is_taken_by_its_name(
    machine: IBMBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given in (machine, lambda: machine, IBMBackend):
        with pytest.raises(OptionError, match="paid for: take it by its name, backend='ibm_fez'"):
            QuantumLayer(LayerSpec(2), backend=given)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_machine.py").write_text("")
    import importlib
    import sys

    sys.path.append(str(tmp_path))
    importlib.import_module("own_machine").fez = machine
    sys.path.remove(str(tmp_path))
    with pytest.raises(OptionError, match="backend='ibm_fez'"):
        get_backend("qiskit:own_machine:fez")


def test_copies() -> None:
    layer = QuantumLayer(feature_map_and_ansatz(), backend=GenericBackendV2(3, seed=1), seed=2)
    given = torch.ones(1, 3)
    copies = pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)
    expected = layer(given).detach()
    for other in copies:
        np.testing.assert_array_equal(other(given).detach(), expected)


class Bound(BasicSimulator):
    """Holds what cannot be pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = threading.Lock()


def test_copies_of_what_cannot_be_copied() -> None:
    layer = QuantumLayer(LayerSpec(2), backend=Bound(), seed=1)
    for copied in (pickle.dumps, copy.deepcopy):
        with pytest.raises(OptionError, match=r"cannot be pickled.*backend='qiskit:MODULE:FUN"):
            copied(layer)
    named = QuantumLayer(LayerSpec(2), backend=f"qiskit:{__name__}:Bound", seed=1)
    again = pickle.loads(pickle.dumps(named))
    assert torch.equal(again(torch.ones(1, 4)), named(torch.ones(1, 4)))
    assert again.backend.device is not named.backend.device
