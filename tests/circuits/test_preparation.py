"""The compact preparation makes the state that it was asked for, whatever the state."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from qbackend.circuits.preparation import (
    MOST_WIRES_IN_PLACE,
    N_ANGLES,
    CompactPreparation,
    append_compact,
    compact_angles,
)
from qbackend.errors import OptionError
from qbackend.layers.canonical import TIE
from qbackend.layers.encodings import ZERO_NORM, AmplitudeEncoding

from ..support.cases import MACHINE
from ..support.no_synchronisation import no_synchronisation

Array = NDArray[np.float64]

N_STATES = 40
ROUNDING = 10 * TIE
"""What is set to zero or made equal is at most `TIE`, some ten times; gates add far less."""

TWO_QUBIT_GATES = {1: 0, 2: 1, 3: 3, 4: 7, 5: 19, 6: 50}


def circuit_with_indices(n_wires: int) -> QuantumCircuit:
    """Qubit w is wire w; a gate's parameter is the number of its angle."""
    circuit = QuantumCircuit(n_wires)
    append_compact(circuit, range(n_wires), range(N_ANGLES[n_wires]))
    return circuit


def prepare(angles: Array, n_wires: int) -> Array:
    """The states that the circuit makes with angles (B, E): (B, D)."""
    states = np.zeros((len(angles), *[2] * n_wires))
    states[(slice(None), *[0] * n_wires)] = 1.0
    circuit = circuit_with_indices(n_wires)
    for item in circuit.data:
        wires = [circuit.find_bit(qubit).index + 1 for qubit in item.qubits]
        states = np.moveaxis(states, wires, range(1, len(wires) + 1)).copy()
        if item.operation.name == "ry":
            half = angles[:, int(item.operation.params[0])].reshape(-1, *[1] * (n_wires - 1)) / 2
            zero, one = states[:, 0], states[:, 1]
            turned = (
                np.cos(half) * zero - np.sin(half) * one,
                np.sin(half) * zero + np.cos(half) * one,
            )
            states = np.stack(turned, axis=1)
        elif item.operation.name == "cz":
            states[:, 1, 1] *= -1
        else:
            assert item.operation.name == "cx"
            states[:, 1] = states[:, 1, ::-1]
        states = np.moveaxis(states, range(1, len(wires) + 1), wires)
    return states.reshape(len(angles), -1)


def assert_prepares(states: Array) -> None:
    n_wires = states.shape[1].bit_length() - 1
    states = states / np.linalg.norm(states, axis=1, keepdims=True)
    made = prepare(compact_angles(states), n_wires)
    signs = np.where(np.sum(made * states, axis=1) < 0, -1.0, 1.0)
    np.testing.assert_allclose(made * signs[:, None], states, atol=ROUNDING)


def families(n_wires: int) -> dict[str, Array]:
    """States that a decomposition may stumble over."""
    rng, size = np.random.default_rng(n_wires), 2**n_wires
    shape = (N_STATES, size)
    sparse = rng.normal(size=shape) * (rng.random(shape) < 0.25)
    sparse[np.arange(N_STATES), rng.integers(size, size=N_STATES)] = -1.0
    half = 2 ** (n_wires // 2)
    orthogonal = np.linalg.qr(rng.normal(size=(N_STATES, size // half, size // half)))[0]
    product = np.einsum(
        "bi,bj->bij", rng.normal(size=(N_STATES, 2)), rng.normal(size=shape)[:, ::2]
    )
    zero_block = rng.normal(size=shape)
    zero_block[:, : size // 2] = 0.0
    return {
        "random": rng.normal(size=shape),
        "positive": rng.random(shape),
        "signs": rng.choice([-1.0, 1.0], size=shape),
        "uniform": np.ones((1, size)),
        "basis states": np.eye(size),
        "sparse": sparse,
        "zero block": zero_block,
        "equal singular values": orthogonal[:, :half].reshape(N_STATES, size),
        "product": product.reshape(N_STATES, size),
        "wide range": np.exp(10 * rng.normal(size=shape)),
    }


@pytest.mark.parametrize("kind", families(1))
@pytest.mark.parametrize("n_wires", N_ANGLES)
def test_state(n_wires: int, kind: str) -> None:
    assert_prepares(families(n_wires)[kind])


@pytest.mark.parametrize("kind", families(1))
@pytest.mark.parametrize("n_wires", N_ANGLES)
def test_tensors_have_the_angles_of_arrays(n_wires: int, kind: str) -> None:
    """Of either preparation; up to four wires nothing waits."""
    features = families(n_wires)[kind]
    tensor = torch.from_numpy(features)
    ways = [CompactPreparation(tuple(range(2**n_wires))[::-1]), AmplitudeEncoding().angles]
    for angles in ways:
        found = angles(tensor)
        if n_wires <= MOST_WIRES_IN_PLACE:
            with no_synchronisation():
                found = angles(tensor)
        np.testing.assert_allclose(found.numpy(), angles(features), atol=MACHINE, rtol=0)


@pytest.mark.parametrize("distance", [1e-3, 1e-6, 1e-8, 1e-10, 1e-13, 1e-16])
@pytest.mark.parametrize("n_wires", N_ANGLES)
def test_state_near_a_special_one(n_wires: int, distance: float) -> None:
    # Softmax features start close to uniform, where singular values vanish or coincide.
    rng = np.random.default_rng(0)
    for kind in ("uniform", "signs", "basis states", "sparse", "equal singular values", "product"):
        special = families(n_wires)[kind]
        special = special / np.linalg.norm(special, axis=1, keepdims=True)
        states = np.repeat(special, -(-N_STATES // len(special)), axis=0)
        assert_prepares(states + distance * rng.normal(size=states.shape))


@pytest.mark.parametrize("n_wires", [2, 3, 4, 5, 6])
def test_any_state(n_wires: int) -> None:
    amplitudes = st.sampled_from([0.0, 1.0, -1.0, 0.5]) | st.floats(-1.0, 1.0)

    @given(arrays(np.float64, (1, 2**n_wires), elements=amplitudes))
    def check(states: Array) -> None:
        if np.linalg.norm(states) >= ZERO_NORM:
            assert_prepares(states)

    check()


@pytest.mark.parametrize("n_wires", N_ANGLES)
def test_gates_join_neighbours(n_wires: int) -> None:
    circuit = circuit_with_indices(n_wires)
    pairs = [
        [circuit.find_bit(qubit).index for qubit in item.qubits]
        for item in circuit.data
        if len(item.qubits) == 2
    ]
    assert all(abs(one - other) == 1 for one, other in pairs)
    assert len(pairs) == TWO_QUBIT_GATES[n_wires]
    used = [int(item.operation.params[0]) for item in circuit.data if len(item.qubits) == 1]
    assert used == list(range(N_ANGLES[n_wires]))


def test_batch_equals_rows() -> None:
    states = families(4)["random"]
    states = states / np.linalg.norm(states, axis=1, keepdims=True)
    together = prepare(compact_angles(states), 4)
    alone = np.concatenate([prepare(compact_angles(row[None]), 4) for row in states])
    np.testing.assert_allclose(np.abs(together), np.abs(alone), atol=ROUNDING)


def test_preparation_reorders_and_normalises() -> None:
    order = tuple(int(k) for k in np.random.default_rng(1).permutation(16))
    features = -3.0 * families(4)["random"]
    made = prepare(CompactPreparation(order)(features), 4)
    states = features[:, order] / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(made), np.abs(states), atol=ROUNDING)


def test_preparation_of_an_empty_row() -> None:
    angles = CompactPreparation(tuple(range(16)))(np.zeros((2, 16)))
    assert angles.shape == (2, 15)
    assert not angles.any()


def test_preparation_pickles() -> None:
    preparation = CompactPreparation(tuple(range(8)))
    assert pickle.loads(pickle.dumps(preparation)) == preparation


def test_too_many_wires() -> None:
    with pytest.raises(
        OptionError, match="1 to 6 wires, the layer has 7; choose preparation 'textbook'"
    ):
        compact_angles(np.ones((1, 128)))
