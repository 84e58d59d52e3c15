"""Noisy circuits as Pauli vectors, and `native:DEVICE` beside `aer:DEVICE`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import CRXGate, RXGate, RYGate, RZGate, RZZGate
from qiskit.quantum_info import DensityMatrix, SparsePauliOp, Stinespring, random_quantum_channel

from qbackend.errors import OptionError
from qbackend.layers.inputs import Array
from qbackend.native.pauli.cpu import CpuProgram
from qbackend.native.pauli.program import PauliProgram, compile_program
from qbackend.native.pauli.tensors import TorchProgram

from ..support.cases import MACHINE

N_ANGLES, N_PARAMETERS = 4, 7


def random_circuit(rng: np.random.Generator, n_qubits: int) -> QuantumCircuit:
    """Open angles of either kind, in any order, sums and multiples of them, among fixed gates."""
    circuit = QuantumCircuit(n_qubits)
    parameters = ParameterVector("p", N_PARAMETERS)
    for _ in range(30):
        one, *rest = rng.permutation(n_qubits)
        a, b = rng.choice(N_PARAMETERS, 2, replace=False)
        angle = float(rng.normal()) + float(rng.choice([-1, 1, 2])) * parameters[a] - parameters[b]
        kind = rng.integers(8)
        if kind == 0 and rest:
            circuit.append(RZZGate(parameters[a]), [one, rest[0]])
        elif kind == 1 and rest:
            circuit.ecr(one, rest[0])
        elif kind == 2 and rest:
            circuit.cz(one, rest[0])
        elif kind == 3:
            circuit.append(RXGate(angle), [one])
        elif kind == 4:
            circuit.append(RYGate(angle), [one])
        elif kind == 5:
            circuit.rz(float(rng.normal()), one)
        elif kind == 6:
            circuit.append(RZGate(angle), [one])
        else:
            circuit.sx(one)
    for parameter in parameters:
        circuit.rz(parameter, int(rng.integers(n_qubits)))
    return circuit


class RandomNoise:
    """A random channel for every name of a gate, and a random readout."""

    def __init__(self, rng: np.random.Generator, n_qubits: int) -> None:
        self.rng = rng
        self.channels: dict[tuple[str, tuple[int, ...]], Stinespring | None] = {}
        up, down = rng.uniform(0, 0.3, (2, n_qubits))
        self.assignment = np.array([[1 - up, up], [down, 1 - down]]).transpose(2, 0, 1)

    def after(self, operation, qubits) -> Stinespring | None:
        key = operation.name, tuple(qubits)
        if key not in self.channels:
            dimension = 2 ** len(qubits)
            drawn = random_quantum_channel(dimension, seed=self.rng, rank=2)
            self.channels[key] = None if operation.name == "rz" else drawn
        return self.channels[key]


def densely(circuit: QuantumCircuit, noise: RandomNoise, names: list[str], row: Array) -> Array:
    """Expectation values by Qiskit's density matrices, from the definitions alone."""
    state = DensityMatrix.from_label("0" * circuit.num_qubits)
    bound = circuit.assign_parameters(row)
    for item in bound.data:
        qubits = [bound.find_bit(qubit).index for qubit in item.qubits]
        state = state.evolve(item.operation, qubits)
        channel = noise.after(item.operation, qubits)
        state = state if channel is None else state.evolve(channel, qubits)
    readout = np.eye(1)
    for matrix in noise.assignment:
        readout = np.kron(matrix, readout)
    read = readout.T @ state.probabilities()
    return np.array([np.diag(SparsePauliOp(name).to_matrix()).real @ read for name in names])


def program_of(seed: int, n_qubits: int) -> tuple[PauliProgram, QuantumCircuit, RandomNoise, list]:
    rng = np.random.default_rng(seed)
    circuit, noise = random_circuit(rng, n_qubits), RandomNoise(rng, n_qubits)
    names = ["".join(rng.choice(["I", "Z"], n_qubits)) for _ in range(9)]
    observables = [SparsePauliOp(name) for name in names]
    program = compile_program(
        circuit, circuit.parameters, N_ANGLES, observables, noise.after, noise.assignment
    )
    return program, circuit, noise, names


def run(engine, program: PauliProgram, rows: Array) -> Array:
    """Values of rows that share the parameters of the tail."""
    forms = engine.forms(program.tail.angles(rows[0]))
    return engine.values(forms, program.head.angles(rows))


class OfTensors:
    """An engine that takes tensors, taking arrays."""

    def __init__(self, program: PauliProgram, dtype: type) -> None:
        kind = torch.float32 if dtype is np.float32 else torch.float64
        self.engine = TorchProgram(program, kind, torch.device("cpu"))

    def __getattr__(self, name: str):
        def call(*arrays: Array):
            found = getattr(self.engine, name)(*map(torch.tensor, arrays))
            return found.numpy() if isinstance(found, torch.Tensor) else [x.numpy() for x in found]

        return call


ENGINES = {"cpu": CpuProgram, "torch": OfTensors}


@pytest.mark.parametrize("name", ENGINES)
@given(seed=st.integers(0, 2**32), n_qubits=st.integers(1, 4))
@settings(max_examples=15)
def test_any_noisy_circuit_is_that_of_density_matrices(name: str, seed: int, n_qubits: int) -> None:
    program, circuit, noise, names = program_of(seed, n_qubits)
    rows = np.random.default_rng(seed).normal(size=(3, N_PARAMETERS))
    rows[:, N_ANGLES:] = rows[0, N_ANGLES:]
    expected = np.array([densely(circuit, noise, names, row) for row in rows])
    exact = run(ENGINES[name](program, np.float64), program, rows)
    np.testing.assert_allclose(exact, expected, atol=MACHINE, rtol=0)
    single = run(ENGINES[name](program, np.float32), program, rows)
    # Noise contracts what rounding adds: sixteen roundings for each gate are more than enough.
    np.testing.assert_allclose(single, expected, atol=16 * 60 * 2**-24, rtol=0)


@pytest.mark.parametrize("name", ENGINES)
@given(seed=st.integers(0, 2**32), n_qubits=st.integers(1, 3))
@settings(max_examples=10)
def test_gradients_are_those_of_the_shift_rule(name: str, seed: int, n_qubits: int) -> None:
    """By every turn of the head, row by row, and by every turn of the tail."""
    program, *_ = program_of(seed, n_qubits)
    rng = np.random.default_rng(seed)
    engine = ENGINES[name](program, np.float64)
    turns = rng.normal(size=(3, len(program.head.offsets)))
    tail = rng.normal(size=len(program.tail.offsets))
    cotangent = rng.normal(size=(3, len(program.observables)))
    forms = engine.forms(tail)
    of_turns, of_forms = engine.gradients(forms, turns, cotangent)

    def total(forms: Array, turns: Array) -> Array:
        return np.sum(engine.values(forms, turns) * cotangent, axis=1)

    quarter = np.pi / 2
    for turn, unit in enumerate(quarter * np.eye(turns.shape[1])):
        shifted = (total(forms, turns + unit) - total(forms, turns - unit)) / 2
        np.testing.assert_allclose(of_turns[:, turn], shifted, atol=MACHINE)
    of_tail = engine.pull_forms(tail, of_forms)
    for turn, unit in enumerate(quarter * np.eye(len(tail))):
        up, down = engine.forms(tail + unit), engine.forms(tail - unit)
        shifted = (total(up, turns) - total(down, turns)).sum() / 2
        np.testing.assert_allclose(of_tail[turn], shifted, atol=MACHINE)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n_rows", [0, 1, 7, 8, 9, 4000])
def test_rows_do_not_depend_on_their_number(n_rows: int, threads: int) -> None:
    torch.set_num_threads(threads)
    program, *_ = program_of(5, 3)
    engine = CpuProgram(program, np.float64)
    rng = np.random.default_rng(0)
    turns = rng.normal(size=(n_rows, len(program.head.offsets)))
    cotangent = rng.normal(size=(n_rows, len(program.observables)))
    forms = engine.forms(np.zeros(len(program.tail.offsets)))
    values = engine.values(forms, turns)
    of_turns, of_forms = engine.gradients(forms, turns, cotangent)
    assert values.shape == cotangent.shape
    assert of_forms.shape == forms.shape
    for row in {0, n_rows - 1} if n_rows else {}:
        alone = slice(row, row + 1)
        np.testing.assert_array_equal(values[alone], engine.values(forms, turns[alone]))
        expected, _ = engine.gradients(forms, turns[alone], cotangent[alone])
        np.testing.assert_array_equal(of_turns[alone], expected)


def test_what_is_constant_is_multiplied_out() -> None:
    """Turns are all that stands between the matrices, and a compiled pair of qubits has one."""
    circuit = QuantumCircuit(2)
    angle, weight = Parameter("angle"), Parameter("weight")
    for turn in (angle, weight):
        circuit.sx(0)
        circuit.sx(1)
        circuit.ecr(0, 1)
        circuit.rz(0.3, 1)
        circuit.sx(1)
        circuit.rz(0.1, 0)
        circuit.rz(turn, 0)
        circuit.rz(0.2, 0)
    program = compile_program(
        circuit,
        [angle, weight],
        1,
        [SparsePauliOp("ZZ")],
        lambda *_: None,
        np.tile(np.eye(2), (2, 1, 1)),
    )
    head, tail = program.head.stages, program.tail.stages
    assert [len(stage.constants) for stage in head] == [0]
    assert [len(stage.constants) for stage in tail] == [1]
    np.testing.assert_array_equal(program.head.slopes, [[1, 0]])
    np.testing.assert_array_equal(program.tail.slopes, [[0, 1]])
    np.testing.assert_allclose(program.head.offsets, 0.2)


@pytest.mark.parametrize(
    ("gate", "words"), [(CRXGate(Parameter("a")), "crx"), (RZGate(Parameter("a") ** 2), "affine")]
)
def test_gates_that_it_does_not_know(gate, words: str) -> None:
    circuit = QuantumCircuit(2)
    circuit.append(gate, range(gate.num_qubits))
    with pytest.raises(OptionError, match=words):
        compile_program(circuit, circuit.parameters, 1, [], lambda *_: None, np.zeros((2, 2, 2)))


@pytest.mark.parametrize("observable", ["XZ", "YI", "IX"])
def test_only_z_is_read(observable: str) -> None:
    circuit, angle = QuantumCircuit(2), Parameter("angle")
    circuit.rz(angle, 0)
    assignment = np.tile(np.eye(2), (2, 1, 1))
    for unread in (SparsePauliOp(observable), SparsePauliOp(["ZZ", observable], [0.5, 2])):
        with pytest.raises(OptionError, match=f"{observable}.*no real sum of products of Z"):
            compile_program(circuit, [angle], 1, [unread], lambda *_: None, assignment)
    with pytest.raises(OptionError, match="no real sum"):
        compile_program(circuit, [angle], 1, [SparsePauliOp("ZZ", 1j)], lambda *_: None, assignment)
    read = SparsePauliOp(["ZI", "ZZ"], [0.5, 2])
    program = compile_program(circuit, [angle], 1, [read], lambda *_: None, assignment)
    # Both qubits are in |0>.
    assert (program.observables @ program.start).tolist() == [2.5]
