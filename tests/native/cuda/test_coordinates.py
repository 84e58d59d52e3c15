"""What the kernels' programs are made of: bits, Pauli strings, coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import Operator, Pauli

from qbackend import LayerSpec
from qbackend.circuits.logical import compile_layer
from qbackend.layers.ansatze import ANSATZE
from qbackend.native.any_circuit.strings import PauliString
from qbackend.native.cuda.bits import Span, applied, inverse, transposed, units
from qbackend.native.cuda.coordinates import LANES, Shape, held_next
from qbackend.native.cuda.turned import turned_layer

MACHINE = 1e-12


@st.composite
def bases(draw: st.DrawFn, n: int | None = None) -> list[int]:
    """Of n bits, each vector no sum of the others."""
    size = n or draw(st.integers(1, 9))
    span, columns = Span(), list[int]()
    for vector in draw(st.lists(st.integers(1, 2**size - 1), max_size=20)) + units(size):
        if span.add(vector):
            columns.append(vector)
    return columns


@given(bases())
def test_a_matrix_and_its_inverse(columns: list[int]) -> None:
    back = inverse(columns)
    for bit in units(len(columns)):
        assert applied(columns, applied(back, bit)) == bit
        assert applied(back, applied(columns, bit)) == bit


@given(bases(5), st.integers(0, 31), st.integers(0, 31))
def test_a_transposed_matrix_moves_to_the_other_side(columns: list[int], a: int, b: int) -> None:
    left = (applied(columns, a) & b).bit_count() % 2
    assert left == (a & transposed(columns, b)).bit_count() % 2


def matrix(string: PauliString, n_wires: int) -> np.ndarray:
    bits = units(n_wires)
    z, x = (np.array([mask & bit != 0 for bit in bits]) for mask in (string.z, string.x))
    # Qiskit's phase counts -i, and its Y is what X Z makes of one.
    return (
        1j**string.phase
        * Operator(Pauli((np.zeros(n_wires, bool), x))).data
        @ Operator(Pauli((z, np.zeros(n_wires, bool)))).data
    )


@pytest.mark.parametrize("encoding", ["amplitude", "angle"])
@pytest.mark.parametrize("ansatz", list(ANSATZE))
def test_rotations_about_strings_are_the_circuit(ansatz: str, encoding: str) -> None:
    spec = LayerSpec(3, encoding, ansatz, 2)
    turned, rng = turned_layer(spec), np.random.default_rng(0)
    weights = rng.uniform(0, 6, spec.n_weights)
    features = rng.normal(size=(1, spec.n_features))
    if encoding == "angle":
        state, angles = np.eye(8)[0].astype(complex), features[0]
    else:
        state, angles = features[0] / np.linalg.norm(features) + 0j, np.zeros(0)
    for turn in turned.turns:
        string = matrix(turn.string, 3)
        np.testing.assert_allclose(string, string.conj().T)
        angle = angles[~turn.angle] if turn.angle < 0 else weights[turn.angle]
        state = np.cos(angle / 2) * state - 1j * np.sin(angle / 2) * string @ state
    values = [np.vdot(state, matrix(o, 3) @ state).real for o in turned.observables]
    compiled = compile_layer(spec)
    bound = compiled.circuit.assign_parameters(
        dict(zip(compiled.parameters, compiled.rows(features, weights)[0], strict=True))
    )
    final = Operator(bound).data[:, 0]
    expected = [np.vdot(final, o.to_matrix() @ final).real for o in compiled.observables]
    np.testing.assert_allclose(values, expected, atol=MACHINE)


@given(
    bases(7),
    st.lists(st.tuples(st.integers(0, 127), st.integers(0, 127)), min_size=1, max_size=30),
)
def test_what_is_taken_is_held_and_may_come_first(
    before: list[int], masks: list[tuple[int, int]]
) -> None:
    shape = Shape(7, 3, 1)
    strings = [PauliString((x & z).bit_count() % 2, x, z) for x, z in masks]
    columns, taken = held_next(strings, before, shape)
    held = Span(columns[: shape.held])
    assert len(taken) > 0
    assert len(inverse(columns)) == 7
    assert all(strings[index].x in held for index in taken)
    for index in taken:
        overtaken = [strings[i] for i in range(index) if i not in taken]
        assert all(strings[index].commutes(other) for other in overtaken)
    if columns != before:
        # Lanes read from banks of their own: what they held differs in no bit that lanes number.
        lanes = [applied(inverse(before), v) >> shape.held for v in columns[shape.held :]][:LANES]
        assert [lane & (2**LANES - 1) for lane in lanes] == units(LANES)
