"""What is put to Runtime's primitives, and what their results mean."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime.decoders.executor_sampler.utils import flatten_twirling_axes

from qbackend import LayerSpec, errors
from qbackend.aer.noisy import AerNoisy
from qbackend.circuits.device_form import compile_for_target
from qbackend.circuits.logical import compile_layer
from qbackend.devices.noise_spec import NoiseSpec
from qbackend.devices.snapshots import load_snapshot
from qbackend.ibm import primitives
from qbackend.ibm.limits import randomisations
from qbackend.ibm.local import LocalService
from qbackend.ibm.primitives import decode, encode_result, local_seed, pubs, spelled
from qbackend.machines.layout import measured_qubits, observed_qubits
from qbackend.machines.options import ExecutionOptions
from qbackend.machines.service import Call
from qbackend.seam.jobs import JobStatus
from qbackend.seam.requests import CompiledLayer, Request
from qbackend.seam.uncertainty import standard_error
from tests.support.cases import features, weights

FAKE = "fake_brisbane"
SPEC = LayerSpec(3)
SHOTS = 1000


@cache
def layer() -> CompiledLayer:
    return compile_for_target(SPEC, LocalService().device(FAKE).target, device=FAKE)


def call(options: ExecutionOptions | None = None, *, seed: int | None = 0, rows: int = 3) -> Call:
    chosen = options or ExecutionOptions()
    parameters = layer().rows(features(SPEC, rows, 0), weights(SPEC, 0))
    return Call(layer(), parameters, SHOTS, seed, chosen, calibration=chosen.calibrates)


def executed(asked: Call) -> tuple[np.ndarray, np.ndarray]:
    service = LocalService()
    return decode(service.fetch(service.start(FAKE, asked, "tag", None)), asked)


def test_a_call_is_one_pub_with_all_rows_that_measures_the_layers_qubits() -> None:
    ((circuit, values),) = pubs(call())
    assert values.shape == (3, len(layer().parameters))
    assert circuit.count_ops()["measure"] == circuit.num_clbits == 3
    measured = [circuit.find_bit(i.qubits[0]).index for i in circuit if i.name == "measure"]
    assert measured == measured_qubits(layer())
    column = {p: index for index, p in enumerate(layer().parameters)}
    for index, parameter in enumerate(circuit.parameters):
        np.testing.assert_array_equal(values[:, index], call().parameters[:, column[parameter]])


def test_calibrating_circuits_travel_with_the_rows() -> None:
    options = ExecutionOptions(readout_mitigation="tensored")
    (circuit, _), (zeros,), (ones,) = pubs(call(options))
    assert dict(zeros.count_ops()) == {"measure": 3}
    assert dict(ones.count_ops()) == {"x": 3, "measure": 3}
    qubits = [
        [c.find_bit(i.qubits[0]).index for i in c if i.name == "measure"]
        for c in (circuit, zeros, ones)
    ]
    assert qubits[0] == qubits[1] == qubits[2]


def test_the_estimator_is_asked_for_every_observable_in_every_row() -> None:
    ((circuit, observables, values),) = pubs(call(ExecutionOptions(primitive="estimator")))
    assert [len(row) for row in observables] == [1, 1, 1]
    assert values.shape == (3, len(layer().parameters))
    assert not circuit.num_clbits


FULL = {
    "dynamical_decoupling": "XY4",
    "gate_twirling": True,
    "measurement_twirling": True,
    "max_execution_time": 300,
}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"default_shots": SHOTS}),
        (
            FULL,
            {
                "dynamical_decoupling": {"enable": True, "sequence_type": "XY4"},
                "twirling": {"enable_gates": True, "enable_measure": True},
                "max_execution_time": 300,
            },
        ),
        (
            {"primitive": "estimator", "readout_mitigation": "trex", **FULL},
            {"resilience_level": 0, "twirling": {"enable_gates": True, "enable_measure": True}},
        ),
        ({"primitive": "estimator", "precision": 0.05}, {"default_precision": 0.05}),
        (
            {"primitive": "estimator", "zne": (1, 3)},
            {
                "resilience": {
                    "measure_mitigation": False,
                    "zne_mitigation": True,
                    "zne": {"noise_factors": (1, 3), "extrapolator": "linear"},
                }
            },
        ),
    ],
)
@pytest.mark.parametrize("generation", ["server", "client"])
def test_options_are_those_of_the_primitive(
    options: dict[str, Any], expected: dict[str, Any], generation: Any
) -> None:
    asked = call(ExecutionOptions(generation=generation, **options))
    chosen = spelled(asked, "tag")
    assert expected.items() <= chosen.items()
    assert chosen["environment"] == {"job_tags": ["tag"]}
    assert "simulator" not in chosen
    # The classes forbid unknown names, and check the values.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        kind = primitives._CLASSES[asked.options.primitive, generation]
        made = kind(mode=BasicSimulator(), options=chosen).options
    assert made.environment.job_tags == ["tag"]


@given(st.integers(0, 2**40))
def test_a_local_seed_is_never_zero(seed: int) -> None:
    assert 1 <= local_seed(seed) <= 2**31


def noisy(asked: Call, noise: NoiseSpec) -> np.ndarray:
    """What the fake device gives without shot noise, (N, M)."""
    aer = AerNoisy(load_snapshot(FAKE), noise)
    return aer.evaluate(Request(aer.compile(SPEC), asked.parameters)).values


@pytest.mark.parametrize(
    "options",
    [
        ExecutionOptions(),
        ExecutionOptions(generation="client"),
        ExecutionOptions("estimator"),
        ExecutionOptions("estimator", precision=1 / 32),
        ExecutionOptions("estimator", "client"),
        ExecutionOptions(readout_mitigation="tensored"),
        ExecutionOptions("estimator", "client", readout_mitigation="trex"),
    ],
)
def test_a_fake_device_gives_its_noisy_values(options: ExecutionOptions) -> None:
    asked = call(options)
    values, stderr = executed(asked)
    readout = 1.0 if options.readout_mitigation == "none" else 0.0
    expected = noisy(asked, NoiseSpec(readout=readout))
    assert (stderr > 0).all()
    assert (np.abs(values - expected) <= 5 * stderr).all()


@pytest.mark.parametrize(
    "options",
    [
        ExecutionOptions(generation="client", gate_twirling=True),
        ExecutionOptions(
            generation="client",
            dynamical_decoupling="XX",
            gate_twirling=True,
            measurement_twirling=True,
            readout_mitigation="tensored",
        ),
        ExecutionOptions("estimator", "client", zne=(1, 3), dynamical_decoupling="XY4"),
    ],
)
def test_a_fake_device_does_what_changes_the_circuit(options: ExecutionOptions) -> None:
    asked = call(options)
    values, stderr = executed(asked)
    # However the gates' noise is turned, it moves a value by at most twice the probability of an
    # error, which is 1 + 1/2 times the infidelity of a qubit's gates, and grows with the factors.
    infidelity = 1 - layer().record["gate_fidelity"]
    bound = 2 * 1.5 * infidelity * max(options.zne, default=1.0)
    expected = noisy(asked, NoiseSpec(readout=0.0 if options.calibrates else 1.0))
    assert (np.abs(values - expected) <= bound + 5 * stderr).all()


def test_seed_zero_is_a_seed_like_any_other() -> None:
    first, again, other, unseeded = (executed(call(seed=seed))[0] for seed in (0, 0, 1, None))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first != unseeded).any()


@pytest.mark.parametrize("generation", ["server", "client"])
def test_deprecations_are_silenced_at_the_call_only(generation: Any) -> None:
    service = LocalService()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        service.fetch(service.start(FAKE, call(ExecutionOptions(generation=generation)), "t", None))
        assert not [w for w in caught if "SamplerV2" in str(w.message)]
        warnings.warn("of somebody else", DeprecationWarning, stacklevel=1)
    assert [w for w in caught if "somebody else" in str(w.message)]


def test_a_local_job_lives_its_life() -> None:
    service = LocalService()
    job = service.start(FAKE, call(), "mine", None)
    assert list(service.find("mine")) == [job]
    assert not service.find("other")
    while not service.state(job).status.is_final:
        pass
    assert service.state(job).status is JobStatus.DONE
    assert service.fetch(job) == service.fetch(job)
    service.cancel(job)
    assert service.state(job).status is JobStatus.DONE
    assert service.usage(job) == 0
    with pytest.raises(errors.BackendError, match="another process"):
        LocalService().state(job)


def test_an_unknown_fake_device_is_an_error() -> None:
    with pytest.raises(errors.MachineError, match="did you mean 'fake_brisbane'"):
        LocalService().device("fake_brisbne")


@pytest.mark.parametrize("garbage", ["<html>", None, {}, PubResult(DataBin())])
def test_what_is_not_a_result_is_fetched_again(garbage: object) -> None:
    with pytest.raises(errors.TransientError, match="not a result"):
        encode_result(garbage)


def counted(rows: int = 3, bits: int = 3, shots: int = SHOTS, register: str = "c") -> PubResult:
    array = BitArray(np.zeros((rows, shots, 1), dtype=np.uint8), bits)
    return PubResult(DataBin(**{register: array}, shape=(rows,)))


@pytest.mark.parametrize(
    "damaged",
    [
        [],
        [counted(), counted()],
        [counted(rows=2)],
        [counted(bits=2)],
        [counted(shots=SHOTS - 1)],
        [counted(register="meas")],
    ],
)
def test_a_result_of_another_shape_is_an_error(damaged: list[PubResult]) -> None:
    with pytest.raises(errors.BackendError, match="the result"):
        decode(encode_result(PrimitiveResult(damaged)), call())
    decode(encode_result(PrimitiveResult([counted()])), call())


def estimated(values: np.ndarray) -> bytes:
    data = DataBin(evs=values, stds=np.full(values.shape, 0.1), shape=values.shape)
    return encode_result(PrimitiveResult([PubResult(data)]))


def test_estimated_values_are_turned_to_rows_and_checked() -> None:
    asked = call(ExecutionOptions(primitive="estimator"), rows=2)
    array = np.linspace(-1, 1, 6).reshape(3, 2)
    values, stderr = decode(estimated(array), asked)
    np.testing.assert_array_equal(values, array.T)
    np.testing.assert_allclose(stderr, np.sqrt(0.1**2 + 8 / (SHOTS + 2) / (SHOTS + 3)), rtol=1e-12)
    with pytest.raises(errors.BackendError, match="shape"):
        decode(estimated(array.T), asked)


def test_text_that_is_no_result_is_an_error() -> None:
    for raw in (b"", b"{}", b'{"a"', b"<html>"):
        with pytest.raises(errors.BackendError):
            decode(raw, call())


def test_values_are_extrapolated_by_a_line() -> None:
    asked = call(ExecutionOptions(primitive="estimator", zne=(1, 3, 5)), rows=2)
    at_zero, slope = np.random.default_rng(0).normal(size=(2, 3, 2))
    factors = np.array([1.0, 3.0, 5.0])
    data = DataBin(
        evs=np.zeros((3, 2)),
        stds=np.full((3, 2), np.inf),
        evs_noise_factors=at_zero[..., None] + slope[..., None] * factors,
        stds_noise_factors=np.full((3, 2, 3), 0.1),
        ensemble_stds_noise_factors=np.full((3, 2, 3), 0.05),
        shape=(3, 2),
    )
    values, stderr = decode(encode_result(PrimitiveResult([PubResult(data)])), asked)
    np.testing.assert_allclose(values, at_zero.T, atol=1e-12)
    # At distance 3 from the mean of three points with a spread of 8.
    each = np.sqrt(0.1**2 + 8 / (SHOTS + 2) / (SHOTS + 3))
    np.testing.assert_allclose(stderr, each * np.sqrt(1 / 3 + 9 / 8), rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"zne": (1, 3, 5)}])
@pytest.mark.parametrize("twirled", [False, True])
def test_an_estimate_whose_shots_all_agree_has_an_error(
    options: dict[str, Any], twirled: bool
) -> None:
    """Whatever the primitive reports; that of the randomisations counts where it is larger."""
    asked = call(ExecutionOptions("estimator", gate_twirling=twirled, **options), rows=2)
    shape = (3, 2, *([3] if options else []))
    spread = np.full(shape, 0.2 if twirled else 0.0)
    names = ("stds_noise_factors", "ensemble_stds_noise_factors", "evs_noise_factors")
    if not options:
        names = ("stds", "ensemble_standard_error", "evs")
    given = zip(names, (spread, np.zeros(shape), np.ones(shape)), strict=True)
    base = {"evs": np.ones((3, 2)), "stds": np.zeros((3, 2))}
    data = DataBin(**{**base, **dict(given)}, shape=(3, 2))
    _, stderr = decode(encode_result(PrimitiveResult([PubResult(data)])), asked)
    assert (stderr > (0.2 if twirled else 0.0)).all()


@pytest.mark.parametrize("generation", ["server", "client"])
@pytest.mark.parametrize("primitive", ["sampler", "estimator"])
def test_a_fake_device_has_errors_where_its_shots_agree(primitive: Any, generation: Any) -> None:
    """Of angles that leave every qubit 0, few shots are misread."""
    spec = LayerSpec(3, "angle")
    compiled = compile_for_target(spec, LocalService().device(FAKE).target, device=FAKE)
    options = ExecutionOptions(primitive, generation)
    asked = Call(compiled, np.zeros((20, len(compiled.parameters))), 4, 0, options)
    values, stderr = executed(asked)
    assert (values == 1).any()
    assert (stderr > 0).all()


def test_what_twirling_divides_is_where_the_client_puts_it() -> None:
    """A randomisation's shots stand together in the Sampler's result."""
    options = ExecutionOptions(generation="client", measurement_twirling=True)
    asked = call(options)
    parts = randomisations(SHOTS, options)
    drawn = np.random.default_rng(0).random((parts, 3, 3)) < 0.5
    bits = np.broadcast_to(drawn[..., None, :], (parts, 3, 64, 3))
    item = {"c": np.array(bits)}
    flatten_twirling_axes(item, (3,))
    array = BitArray.from_bool_array(item["c"], order="little")
    data = PubResult(DataBin(c=array, shape=(3,)))
    values, stderr = decode(encode_result(PrimitiveResult([data])), asked)
    # Its shots all alike, a randomisation's mean is ±1, and only as many are independent.
    variance = 64 * (1 - values**2) * parts / (parts - 1)
    np.testing.assert_allclose(stderr, standard_error(variance, 64 * parts), rtol=1e-9)


def test_an_observable_without_qubits_is_certain() -> None:
    spec = LayerSpec(2, observables=("II", "ZI"))
    compiled = compile_for_target(spec, LocalService().device(FAKE).target, device=FAKE)
    asked = replace(
        call(), compiled=compiled, parameters=compiled.rows(features(spec, 2, 0), weights(spec, 0))
    )
    values, stderr = executed(asked)
    assert (values[:, 0] == 1).all()
    assert (stderr[:, 0] == 0).all()
    assert (stderr[:, 1] > 0).any()


@pytest.mark.parametrize(
    "observable",
    [
        SparsePauliOp("XZ"),
        SparsePauliOp("YI"),
        SparsePauliOp("ZZ", 2),
        SparsePauliOp("ZZ", -1),
        SparsePauliOp("ZZ", 1j),
        SparsePauliOp(["ZI", "IZ"]),
    ],
    ids=str,
)
def test_counts_give_products_of_z_alone(observable: SparsePauliOp) -> None:
    layer = replace(compile_layer(LayerSpec(2)), observables=(observable,))
    with pytest.raises(errors.OptionError, match="primitive=estimator"):
        observed_qubits(layer)
    products = replace(layer, observables=tuple(map(SparsePauliOp, ("ZI", "ZZ", "II"))))
    assert observed_qubits(products) == [{1}, {0, 1}, set()]
