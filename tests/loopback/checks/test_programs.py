"""Jobs give what their circuits give: the machine executes, decodes and encodes rightly."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_ibm_runtime import EstimatorV2, IBMBackend, SamplerV2
from qiskit_ibm_runtime.executor_estimator import Estimator
from qiskit_ibm_runtime.executor_sampler import Sampler
from qiskit_ibm_runtime.fake_provider import FakeFez

from .. import LoopbackServer, Machine
from ..client import connect, served
from ..execution.sampling import independent_parts
from ..machines import Snapshot

pytestmark = pytest.mark.filterwarnings("ignore:The (Sampler|Estimator)V2 class is deprecated")

ROUNDING = 1e-12


def layer() -> tuple[QuantumCircuit, NDArray[np.float64]]:
    """Four wires with parameters, and rows of them."""
    angles = ParameterVector("t", 8)
    circuit = QuantumCircuit(4)
    for qubit in range(4):
        circuit.ry(angles[qubit], qubit)
    for qubit in range(3):
        circuit.cx(qubit, qubit + 1)
    for qubit in range(4):
        circuit.rx(angles[4 + qubit], qubit)
    return circuit, np.random.default_rng(3).uniform(-np.pi, np.pi, (6, 8))


OBSERVABLES = tuple(map(SparsePauliOp, ("IIIZ", "IIZI", "IZII", "ZIII", "IIXX", "YIYI")))


@pytest.fixture(scope="module")
def exact() -> NDArray[np.float64]:
    """Expectations of `OBSERVABLES` in the rows of `layer`, (observables, rows)."""
    circuit, rows = layer()
    states = [Statevector(circuit.assign_parameters(row)) for row in rows]
    return np.array([[s.expectation_value(o).real for s in states] for o in OBSERVABLES])


@pytest.fixture(scope="module")
def exact_server() -> Iterator[LoopbackServer]:
    machine = Machine.load("ibm_exact", n_qubits=8, noisy=False)
    with served([machine]) as running:
        yield running


@pytest.fixture(scope="module")
def exact_backend(exact_server: LoopbackServer) -> IBMBackend:
    return connect("ibm_exact")


def compiled(backend: IBMBackend, circuit: QuantumCircuit) -> QuantumCircuit:
    return generate_preset_pass_manager(1, backend, seed_transpiler=1).run(circuit)


@pytest.mark.parametrize("sampler", [SamplerV2, Sampler])
def test_samplers_agree_with_exact_values(
    exact_backend: IBMBackend,
    exact_server: LoopbackServer,
    exact: NDArray[np.float64],
    sampler: type[SamplerV2 | Sampler],
) -> None:
    circuit, rows = layer()
    circuit.measure_all()
    pub = (compiled(exact_backend, circuit), rows)
    result = sampler(mode=exact_backend).run([pub], shots=4096).result()
    bits = result[0].data.meas.to_bool_array(order="little")
    assert bits.shape == (6, 4096, 4)
    values = 1 - 2 * bits.mean(axis=1).T
    errors = np.sqrt((1 - exact[:4] ** 2) / 4096)
    assert (np.abs(values - exact[:4]) < 5 * errors).all()
    job = exact_server.jobs[-1]
    assert (job.pubs, job.rows, job.shots, job.executions) == (1, 6, (4096,), 6 * 4096)


@pytest.mark.parametrize("estimator", [EstimatorV2, Estimator])
def test_estimators_agree_with_exact_values(
    exact_backend: IBMBackend,
    exact_server: LoopbackServer,
    exact: NDArray[np.float64],
    estimator: type[EstimatorV2 | Estimator],
) -> None:
    circuit, rows = layer()
    isa = compiled(exact_backend, circuit)
    observables = [[o.apply_layout(isa.layout)] for o in OBSERVABLES]
    primitive = estimator(mode=exact_backend)
    result = primitive.run([(isa, observables, rows)], precision=1 / 64).result()
    data = result[0].data
    assert data.evs.shape == exact.shape
    # TREX divides by calibrated values near 1: the bound is that of the shots, with its margin.
    errors = np.sqrt(np.maximum(1 - exact**2, 1 / 4096) / 4096)
    assert (np.abs(data.evs - exact) < 5 * np.maximum(errors, data.stds)).all()
    job = exact_server.jobs[-1]
    bases = 3
    if estimator is EstimatorV2:
        assert (job.pubs, job.rows, job.executions) == (1, 6, bases * 6 * 4096)
    else:  # bases are rows, and one row more calibrates the readout
        assert (job.pubs, job.rows) == (2, bases * 6 + 1)
        assert job.executions == job.rows * 4096


@given(seed=st.integers(0, 2**32 - 1), n_qubits=st.integers(1, 5))
def test_a_circuit_is_the_product_of_its_parts(seed: int, n_qubits: int) -> None:
    circuit = QuantumCircuit(n_qubits, n_qubits)
    circuit.compose(random_circuit(n_qubits, 2, max_operands=2, seed=seed), inplace=True)
    whole = np.abs(Statevector(circuit).data) ** 2
    circuit.barrier()
    circuit.measure(range(n_qubits), range(n_qubits))
    parts = independent_parts(circuit)
    assert sorted(c for part in parts for c in part.clbits) == list(range(n_qubits))
    factors = []
    for part in parts:
        assert part.qubits == part.clbits
        unmeasured = part.circuit.remove_final_measurements(inplace=False)
        factors.append(Statevector(unmeasured).probabilities())
    for outcome, bits in enumerate(product((0, 1), repeat=n_qubits)):
        of_qubit = bits[::-1]
        joint = 1.0
        for part, factor in zip(parts, factors, strict=True):
            joint *= factor[sum(of_qubit[q] << place for place, q in enumerate(part.qubits))]
        assert joint == pytest.approx(whole[outcome], abs=ROUNDING)


def test_a_small_machine_has_the_snapshots_calibration() -> None:
    snapshot = Snapshot.load("fez")
    region = snapshot.region(8)
    small, whole = snapshot.cut(region).target(), FakeFez().target
    couplings = {(region[a], region[b]) for a, b in small["cz"]}
    assert couplings == {pair for pair in whole["cz"] if set(pair) <= set(region)}
    for a, b in small["cz"]:
        theirs = whole["cz"][(region[a], region[b])]
        assert small["cz"][(a, b)].error == theirs.error
        assert small["cz"][(a, b)].duration == theirs.duration
    for qubit, old in enumerate(region):
        assert small["measure"][(qubit,)].error == whole["measure"][(old,)].error
        assert small.qubit_properties[qubit].t1 == whole.qubit_properties[old].t1


def test_idle_qubits_carry_their_readout_error() -> None:
    machine = Machine.load("ibm_noisy", n_qubits=8)
    circuit = QuantumCircuit(8, 8)
    circuit.measure(range(8), range(8))
    with served([machine]):
        backend = connect("ibm_noisy")
        data = SamplerV2(mode=backend).run([(circuit,)], shots=20_000).result()[0].data
    ones = data.c.to_bool_array(order="little").mean(axis=0)
    reported = [machine.target["measure"][(qubit,)].error for qubit in range(8)]
    errors = np.sqrt(np.multiply(reported, np.subtract(1, reported)) / 20_000)
    assert (np.abs(ones - reported) < 5 * errors).all()
    assert ones.max() > 0


def test_equal_pubs_are_sampled_independently(exact_backend: IBMBackend) -> None:
    circuit = QuantumCircuit(8, 1)
    circuit.sx(0)
    circuit.measure(0, 0)
    result = SamplerV2(mode=exact_backend).run([(circuit,)] * 2, shots=4096).result()
    first, second = (each.data.c.to_bool_array().ravel() for each in result)
    assert abs(np.mean(first == second) - 0.5) < 5 * 0.5 / np.sqrt(4096)


def test_the_client_side_estimator_measures_a_whole_machine() -> None:
    """All 156 qubits, which no simulator holds at once."""
    with served([Machine.load("ibm_whole", n_qubits=None, noisy=False)]) as server:
        backend = connect("ibm_whole")
        circuit = QuantumCircuit(156)
        circuit.sx(3)
        circuit.rz(0.3, 3)
        circuit.sx(3)
        observable = SparsePauliOp.from_sparse_list([("Z", [3], 1.0)], 156)
        estimator = Estimator(mode=backend)
        value = estimator.run([(circuit, observable)], precision=1 / 32).result()[0].data.evs
        assert server.jobs[0].circuits[0].num_clbits == 156
    expected = Statevector(circuit_on_one(circuit)).expectation_value(SparsePauliOp("Z")).real
    assert abs(value - expected) < 5 / 32


def circuit_on_one(circuit: QuantumCircuit) -> QuantumCircuit:
    """The operations of a circuit that uses one qubit, on a register of one."""
    small = QuantumCircuit(1)
    for instruction in circuit.data:
        small.append(instruction.operation, [0])
    return small


@pytest.mark.parametrize("sampler", [SamplerV2, Sampler])
def test_a_job_has_several_circuits(
    exact_backend: IBMBackend,
    exact_server: LoopbackServer,
    exact: NDArray[np.float64],
    sampler: type[SamplerV2 | Sampler],
) -> None:
    """Each measures qubits of its own in a basis of its own, for the same rows."""
    circuit, rows = layer()
    plain = compiled(exact_backend, circuit)
    places = plain.layout.final_index_layout()
    pubs = []
    for qubits, turn in (((0, 1, 2, 3), None), ((0, 1), -np.pi / 2), ((3,), None)):
        measured = QuantumCircuit(*plain.qregs, ClassicalRegister(len(qubits), "c"))
        measured.compose(plain, inplace=True)
        for bit, qubit in enumerate(qubits):
            if turn is not None:
                for name, *angle in (
                    ("rz", 0.0),
                    ("sx",),
                    ("rz", np.pi + turn),
                    ("sx",),
                    ("rz", 0.0),
                ):
                    getattr(measured, name)(*angle, places[qubit])
            measured.measure(places[qubit], bit)
        pubs.append((measured, rows))
    result = sampler(mode=exact_backend).run(pubs, shots=4096).result()
    z, x, last = (1.0 - 2.0 * each.data.c.to_bool_array(order="little") for each in result)
    signals = (z[..., 0], z[..., 3], last[..., 0], x.prod(axis=-1))
    for signal, expected in zip(signals, exact[[0, 3, 3, 4]], strict=True):
        errors = np.sqrt((1 - expected**2) / 4096)
        assert (np.abs(signal.mean(axis=1) - expected) < 5 * errors).all()
    job = exact_server.jobs[-1]
    assert (job.pubs, job.rows, job.executions) == (3, 18, 18 * 4096)
