"""Readout mitigation against readout noise that is known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbackend import errors, get_backend
from qbackend.ibm import readout_mitigation as mitigation
from qbackend.ibm.readout_mitigation import Measured, Readout, mitigated, unmitigated
from qbackend.machines.options import ExecutionOptions
from qbackend.seam.uncertainty import standard_error

N_QUBITS = 3
OBSERVED = [[0], [1], [2], [0, 2], [0, 1, 2], []]
ROUNDING = 1e-12
SINGLE = 2**N_QUBITS * float(np.finfo(np.float32).eps)
"""Rounding of mthree, which keeps its matrices in single precision."""


def read(bits: np.ndarray, observed: Sequence[Sequence[int]] = OBSERVED) -> list[Measured]:
    """Bits of one basis, in which each observable is one string."""
    return [Measured(bits, range(N_QUBITS), [[(1.0, tuple(each))] for each in observed])]


def outcomes() -> np.ndarray:
    return np.array(list(product((0, 1), repeat=N_QUBITS)), dtype=np.uint8)


def expectations(probabilities: np.ndarray) -> np.ndarray:
    signs = 1 - 2 * outcomes().astype(int)
    return np.array([probabilities @ signs[:, each].prod(axis=1) for each in OBSERVED])


def misread(probabilities: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Probabilities of what is read, (2^Q,), where rates (Q, 2) are those of 0 and of 1."""
    matrix = np.eye(1)
    for e0, e1 in rates:
        matrix = np.kron(matrix, np.array([[1 - e0, e1], [e0, 1 - e1]]))
    return matrix @ probabilities


def draw(generator: np.random.Generator, probabilities: np.ndarray, shots: int) -> np.ndarray:
    return outcomes()[generator.choice(len(probabilities), size=shots, p=probabilities)]


@st.composite
def devices(draw_from) -> tuple[np.ndarray, np.ndarray, int]:
    """Probabilities of the outcomes, error rates, and a seed."""
    seed = draw_from(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    rates = generator.uniform(0.0, 0.15, (N_QUBITS, 2))
    return generator.dirichlet(np.ones(2**N_QUBITS)), rates, seed


@given(devices())
def test_the_functions_that_stand_for_z_undo_exact_readout_noise(device) -> None:
    probabilities, rates, _ = device
    readout = Readout(rates[:, 0], rates[:, 1], np.zeros((2, N_QUBITS)))
    functions = readout.functions(outcomes())
    seen = misread(probabilities, rates)
    values = [seen @ functions[:, each].prod(axis=1) for each in OBSERVED]
    np.testing.assert_allclose(values, expectations(probabilities), atol=ROUNDING)


@pytest.mark.parametrize("method", ["tensored", "m3"])
@given(devices())
def test_sampled_values_are_corrected(method: str, device) -> None:
    probabilities, rates, seed = device
    generator, shots = np.random.default_rng(seed), 4000
    zeros, ones = np.eye(2**N_QUBITS)[[0, -1]]
    bits = draw(generator, misread(probabilities, rates), shots)[None]
    calibrations = (draw(generator, misread(p, rates), shots) for p in (zeros, ones))
    values, stderr = mitigated(method, read(bits), *calibrations)
    assert values.shape == stderr.shape == (1, len(OBSERVED))
    deviation = np.abs(values[0] - expectations(probabilities))
    assert (deviation <= 5 * stderr[0] + SINGLE).all()
    assert stderr[0, -1] <= SINGLE


@pytest.mark.parametrize("method", ["tensored", "m3"])
def test_standard_errors_are_those_of_repetitions(method: str) -> None:
    """Over R repetitions with calibrations of their own the scaled mean square is 1."""
    generator, shots, repetitions = np.random.default_rng(5), 500, 400
    rates = np.array([[0.02, 0.08], [0.05, 0.1], [0.01, 0.15]])
    probabilities = generator.dirichlet(np.ones(2**N_QUBITS))
    zeros, ones = np.eye(2**N_QUBITS)[[0, -1]]
    exact, squares = expectations(probabilities)[:-1], []
    for _ in range(repetitions):
        bits = draw(generator, misread(probabilities, rates), shots)[None]
        calibrations = (draw(generator, misread(p, rates), shots) for p in (zeros, ones))
        values, stderr = mitigated(method, read(bits, OBSERVED[:-1]), *calibrations)
        squares.append(((values[0] - exact) / stderr[0]) ** 2)
    # A squared normal deviate has variance 2.
    assert (np.abs(np.mean(squares, axis=0) - 1) < 5 * np.sqrt(2 / repetitions)).all()


@given(devices())
def test_the_methods_agree_where_every_outcome_was_seen(device) -> None:
    _, rates, seed = device
    generator = np.random.default_rng(seed)
    bits = np.concatenate([outcomes(), draw(generator, np.full(8, 1 / 8), 500)])[None]
    zeros, ones = np.eye(2**N_QUBITS)[[0, -1]]
    calibrations = [draw(generator, misread(p, rates), 500) for p in (zeros, ones)]
    tensored = mitigated("tensored", read(bits), *calibrations)
    m3 = mitigated("m3", read(bits), *calibrations)
    np.testing.assert_allclose(m3[0], tensored[0], atol=10 * SINGLE)
    np.testing.assert_allclose(m3[1], tensored[1], atol=10 * SINGLE)


def test_without_mitigation_values_are_those_of_the_bits() -> None:
    bits = draw(np.random.default_rng(0), np.full(8, 1 / 8), 1000)[None]
    values, stderr = unmitigated(read(bits))
    signs = 1 - 2 * bits[0].astype(int)
    for index, each in enumerate(OBSERVED):
        samples = signs[:, each].prod(axis=1)
        assert values[0, index] == pytest.approx(samples.mean(), abs=ROUNDING)
        own = standard_error(samples.var(), 1000, 1.0 if each else 0.0)
        assert stderr[0, index] == pytest.approx(own, abs=ROUNDING)


@pytest.mark.parametrize("method", ["none", "tensored", "m3"])
@pytest.mark.parametrize("shots", [1, 5, 100])
def test_shots_that_all_agree_leave_an_error(method: str, shots: int) -> None:
    """Also of the rates of a readout that was never seen to err."""
    bits = np.zeros((2, shots, N_QUBITS), dtype=np.uint8)
    calibration = np.zeros((1000, N_QUBITS), dtype=np.uint8)
    values, stderr = (
        unmitigated(read(bits))
        if method == "none"
        else mitigated(method, read(bits), calibration, calibration + 1)
    )
    assert (values == 1).all()
    # What the shots alone leave open, sqrt(8 / ((n + 2)(n + 3))), or more with the rates' own.
    assert (stderr[:, :-1] >= np.sqrt(8 / ((shots + 2) * (shots + 3)))).all()
    assert (stderr[:, -1] == 0).all()


@pytest.mark.parametrize("method", ["none", "tensored", "m3"])
def test_twirled_shots_spread_as_their_randomisations_do(method: str) -> None:
    """Coherent errors move every randomisation by its own; Student's t has as many freedoms."""
    generator, parts, each, repetitions = np.random.default_rng(3), 32, 32, 200
    rates = np.array([[0.02, 0.08], [0.05, 0.1], [0.01, 0.15]])
    perfect = np.eye(2**N_QUBITS)[[0, -1]]
    squares = []
    for _ in range(repetitions):
        # The first qubit is 1 with a probability that is drawn anew in every randomisation.
        tilts = generator.choice([0.1, 0.5], size=parts)
        twirled = [
            np.kron(np.array([1 - tilt, tilt]), np.full(4, 0.25)) @ np.eye(8) for tilt in tilts
        ]
        noise = (lambda p: p) if method == "none" else (lambda p: misread(p, rates))
        bits = np.concatenate([draw(generator, noise(p), each) for p in twirled])[None]
        if method == "none":
            values, stderr = unmitigated(read(bits, OBSERVED[:1]), parts)
        else:
            zeros, ones = (draw(generator, noise(p), parts * each) for p in perfect)
            measured = read(bits, OBSERVED[:1])
            values, stderr = mitigated(method, measured, zeros, ones, parts)
        squares.append(((values[0, 0] - 0.4) / stderr[0, 0]) ** 2)
    # Moments of a squared t variable of 31 degrees of freedom.
    freedom = parts - 1
    mean = freedom / (freedom - 2)
    deviation = np.sqrt(2 * mean**2 * (freedom - 1) / (freedom - 4))
    assert abs(np.mean(squares) - mean) < 5 * deviation / np.sqrt(repetitions)


def test_a_qubit_that_tells_nothing_is_an_error() -> None:
    random = draw(np.random.default_rng(0), np.full(8, 1 / 8), 1000)
    with pytest.raises(errors.BackendError, match="readout_mitigation=none"):
        mitigated("tensored", read(random[None]), random, random)


def test_m3_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known before anything is sent."""
    monkeypatch.setattr(mitigation, "find_spec", lambda name: None)
    options = ExecutionOptions(readout_mitigation="m3")
    with pytest.raises(errors.OptionError, match=r"pip install 'qhc\[mitigation\]'"):
        get_backend("fake_brisbane", machine=options)
    get_backend("fake_brisbane", machine=ExecutionOptions(readout_mitigation="tensored"))
