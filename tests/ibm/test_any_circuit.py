"""A circuit of the user's own, as jobs: what is put to the primitives, and what comes back."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from qiskit.circuit import QuantumCircuit
from qiskit.primitives import PrimitiveResult
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime import RuntimeDecoder

from qbackend import CircuitLayer, errors
from qbackend.aer.noisy import AerNoisy
from qbackend.circuits.device_form import compile_for_target
from qbackend.devices.noise_spec import NoiseSpec
from qbackend.devices.snapshots import load_snapshot
from qbackend.ibm.primitives import pubs
from qbackend.ibm.results import decode, encode_result
from qbackend.layers.inputs import Array
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.service import Call
from qbackend.seam.requests import CompiledLayer, Request
from tests.machines.fakes import estimated, small_target
from tests.machines.fakes import executed as sampled
from tests.support.any_circuit import BASES, FEATURES, MIXED, WEIGHTS, bell, own_layer

from .local_calls import FAKE, SHOTS, executed

ROUNDING = 1e-12
SAMPLERS = (
    ExecutionOptions(),
    ExecutionOptions(generation="client"),
    ExecutionOptions(readout_mitigation="tensored"),
    ExecutionOptions(readout_mitigation="m3"),
    ExecutionOptions(generation="client", measurement_twirling=True, readout_mitigation="tensored"),
)
ESTIMATORS = (
    ExecutionOptions("estimator"),
    ExecutionOptions("estimator", "client"),
    ExecutionOptions("estimator", "client", readout_mitigation="trex"),
    ExecutionOptions("estimator", "client", zne=(1, 3)),
)


def name(options: ExecutionOptions) -> str:
    """The words of an execution's options."""
    chosen = (options.primitive, options.generation, options.readout_mitigation)
    return "-".join([*chosen, "zne"] if options.zne else chosen)


@cache
def compiled(layer: CircuitLayer) -> CompiledLayer:
    return compile_for_target(layer, load_snapshot(FAKE).target, device=FAKE)


def call(
    layer: CircuitLayer, options: ExecutionOptions | None = None, *, repeated: int = 1
) -> Call:
    """Rows of the layer, each so many times."""
    found, weights = compiled(layer), WEIGHTS[: layer.n_weights]
    rows = found.rows(np.tile(FEATURES[:, : layer.n_features], (repeated, 1)), weights)
    return Call(found, rows, SHOTS, 0, options or ExecutionOptions())


def noisy(asked: Call) -> Array:
    """What the device gives without shot noise, (N, M)."""
    readout = 1.0 if asked.options.readout_mitigation == "none" else 0.0
    aer = AerNoisy(load_snapshot(FAKE), NoiseSpec(readout=readout))
    return aer.evaluate(Request(aer.compile(asked.compiled.spec), asked.parameters)).values


def measured(circuit: QuantumCircuit) -> list[int]:
    return [circuit.find_bit(i.qubits[0]).index for i in circuit if i.name == "measure"]


def test_every_basis_is_a_pub_that_measures_its_qubits() -> None:
    layer = own_layer((SparsePauliOp("IZZ"), SparsePauliOp("XIX")))
    asked = call(layer, ExecutionOptions(readout_mitigation="m3"))
    *read, (zeros,), (ones,) = pubs(asked)
    readouts, union = asked.compiled.readouts, asked.compiled.observed
    assert [measured(circuit) for circuit, _ in read] == [each.qubits for each in readouts]
    assert [len(each.qubits) for each in readouts] == [2, 2]
    assert measured(zeros) == measured(ones) == union
    assert ones.count_ops()["x"] == len(union) == 3
    for circuit, values in read:
        assert values.shape == (3, circuit.num_parameters)
        native = set(load_snapshot(FAKE).target.operation_names)
        assert set(circuit.count_ops()) <= native
    plain = read[0][0].remove_final_measurements(inplace=False)
    assert plain.count_ops() == asked.compiled.circuit.count_ops()


@pytest.mark.parametrize("options", [*SAMPLERS, *ESTIMATORS[:3]], ids=name)
def test_a_fake_device_gives_sums_constants_and_nothing(options: ExecutionOptions) -> None:
    asked = call(own_layer(), options)
    values, stderr = executed(asked)
    assert (np.abs(values - noisy(asked)) <= 5 * stderr + ROUNDING).all()
    assert (values[:, 2:4] == [-2.0, 0.0]).all()
    assert (stderr[:, 2:4] == 0).all()
    assert (stderr[:, [0, 1, 4]] > 0).all()


@pytest.mark.filterwarnings("ignore:No positive, finite standard errors")
@pytest.mark.parametrize("options", [*SAMPLERS, *ESTIMATORS], ids=name)
def test_a_layer_of_constants_alone_is_certain(options: ExecutionOptions) -> None:
    asked = call(own_layer((SparsePauliOp("III", [2.5]), SparsePauliOp("ZIX", [0.0]))), options)
    values, stderr = executed(asked)
    assert (values == [2.5, 0.0]).all()
    assert (stderr == 0).all()


def test_a_circuit_without_gates_is_read_all_the_same() -> None:
    layer = CircuitLayer(QuantumCircuit(2), observables=(SparsePauliOp("II"),))
    values, stderr = executed(call(layer))
    assert (values == 1).all()
    assert (stderr == 0).all()


@pytest.mark.parametrize("options", SAMPLERS[:2], ids=lambda o: o.generation)
def test_errors_of_sums_over_bases_are_those_of_repetitions(options: ExecutionOptions) -> None:
    """The scaled mean square is 1, so that bases do not share their random numbers either."""
    repeated = 60
    asked = call(own_layer(MIXED[:2]), options, repeated=repeated)
    values, stderr = executed(asked)
    expected = np.tile(noisy(call(own_layer(MIXED[:2]), options)), (repeated, 1))
    squares = (((values - expected) / stderr) ** 2).mean(axis=0)
    assert (np.abs(squares - 1) < 5 * np.sqrt(2 / len(values))).all()


@pytest.mark.parametrize(("options", "mean"), [(ESTIMATORS[0], 0.5), (ESTIMATORS[1], 1.0)])
def test_errors_of_estimated_sums_cover(options: ExecutionOptions, mean: float) -> None:
    """Of two bits that agree, whose sum varies by twice as much as if they knew nothing of it.

    Local mode takes the server's errors for as large as that already, and the client's does not.
    """
    layer, repeated = bell(SparsePauliOp(["IZ", "ZI"])), 200
    asked = call(layer, options, repeated=repeated)
    values, stderr = executed(asked)
    squares = ((values - noisy(call(layer, options))[0]) / stderr) ** 2
    # Misread bits agree a little less.
    assert abs(squares.mean() / mean - 1) < 5 * np.sqrt(2 / len(values)) + 0.05


@pytest.mark.parametrize("size", [3.6, -3.6])
def test_an_estimate_reaches_the_sum_of_the_coefficients(size: float) -> None:
    asked = call(own_layer(), ExecutionOptions("estimator"))
    largest = np.sign(size) * np.array([3.6, 1.0, 2.0, 0.0, 3.0])
    whole = np.tile(largest[:, None], (1, 3))
    values, _ = decode(estimated(whole), asked)
    np.testing.assert_array_equal(values, whole.T)
    for column in (0, 1, 2, 4):
        over = whole.copy()
        over[column, 1] *= 1.001
        words = rf"not -{abs(largest[column]):g} to {abs(largest[column]):g}, .* in row 1"
        with pytest.raises(errors.BackendError, match=words):
            decode(estimated(over), asked)


@pytest.mark.parametrize("mitigation", ["none", "tensored"])
def test_a_result_with_a_basis_missing_is_refused(mitigation: Any) -> None:
    small = compile_for_target(own_layer(), small_target())
    options = ExecutionOptions(readout_mitigation=mitigation)
    asked = Call(small, small.rows(FEATURES, WEIGHTS), SHOTS, 0, options)
    whole = list(json.loads(sampled(asked), cls=RuntimeDecoder))
    assert len(whole) == BASES + (0 if mitigation == "none" else 2)
    decode(encode_result(PrimitiveResult(whole)), asked)
    for wrong in (whole[:-1], [*whole, whole[-1]]):
        with pytest.raises(errors.BackendError, match="does not consist of"):
            decode(encode_result(PrimitiveResult(wrong)), asked)
