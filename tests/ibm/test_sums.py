"""Observables that are sums over several bases, from bits whose distribution is known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from qbackend.ibm.readout_mitigation import Measured, mitigated, unmitigated
from qbackend.layers.inputs import Array
from qbackend.layers.readout import Term

from .test_readout_mitigation import SINGLE, draw, misread, outcomes

SHOTS, REPETITIONS = 500, 400
ONE_BASIS: tuple[tuple[Term, ...], ...] = (
    ((0.2, ()), (0.5, (0,)), (1.0, (0, 1)), (-0.3, (2,))),
    tuple((1 / 8, tuple(q for q in range(3) if subset >> q & 1)) for subset in range(8)),
    ((-2.0, (1,)),),
    ((3.0, ()),),
    ((0.0, ()),),
)
"""A sum, a projector, a string that is scaled, a constant, and nothing."""
OTHER_BASIS: tuple[tuple[Term, ...], ...] = (
    ((0.8, (0,)), (-0.6, (0, 1))),
    (),
    ((0.7, (1,)),),
    (),
    (),
)
"""What of them is read in a basis of the first and the last qubit."""
RATES = np.array([[0.02, 0.08], [0.05, 0.1], [0.01, 0.15]])


def agreeing() -> Array:
    """Probabilities of three bits that mostly agree: their signs are far from independent."""
    probabilities = np.full(8, 0.025)
    probabilities[[0, 7]] += 0.5, 0.3
    return probabilities


def value(probabilities: Array, bits: Array, terms: tuple[tuple[Term, ...], ...]) -> Array:
    signs = 1.0 - 2.0 * bits
    return np.array(
        [
            sum(c * (probabilities @ signs[:, list(qubits)].prod(axis=1)) for c, qubits in each)
            for each in terms
        ]
    )


def measure(generator: np.random.Generator, method: str) -> tuple[Array, Array]:
    """Values (M,) and standard errors (M,) with a calibration of their own."""
    rates = np.zeros((3, 2)) if method == "none" else RATES
    first, second = (draw(generator, misread(agreeing(), rates), SHOTS)[None] for _ in range(2))
    measured = [
        Measured(first, (0, 1, 2), ONE_BASIS),
        Measured(second[..., [0, 2]], (0, 2), OTHER_BASIS),
    ]
    if method == "none":
        values, stderr = unmitigated(measured)
    else:
        perfect = np.eye(8)[[0, -1]]
        zeros, ones = (draw(generator, misread(p, rates), SHOTS) for p in perfect)
        values, stderr = mitigated(method, measured, zeros, ones)
    return values[0], stderr[0]


@pytest.mark.parametrize("method", ["none", "tensored", "m3"])
def test_standard_errors_of_sums_are_those_of_repetitions(method: str) -> None:
    """Over R repetitions the scaled mean square is 1; a squared normal deviate has variance 2."""
    generator = np.random.default_rng(5)
    exact = value(agreeing(), outcomes(), ONE_BASIS)
    exact += value(agreeing(), outcomes()[:, [0, 2]], OTHER_BASIS)
    repeated = [measure(generator, method) for _ in range(REPETITIONS)]
    values, stderr = (np.array(each) for each in zip(*repeated, strict=True))
    squares = (((values - exact)[:, :3] / stderr[:, :3]) ** 2).mean(axis=0)
    assert (np.abs(squares - 1) < 5 * np.sqrt(2 / REPETITIONS)).all()
    assert (values[:, 3:] == [3.0, 0.0]).all()
    assert (stderr[:, 3:] == 0).all()


def test_the_methods_agree_on_sums_where_every_outcome_was_seen() -> None:
    generator = np.random.default_rng(0)
    bits = np.concatenate([outcomes(), draw(generator, np.full(8, 1 / 8), SHOTS)])[None]
    measured = [
        Measured(bits, (0, 1, 2), ONE_BASIS),
        Measured(bits[..., [0, 2]], (0, 2), OTHER_BASIS),
    ]
    perfect = np.eye(8)[[0, -1]]
    zeros, ones = (draw(generator, misread(p, RATES), SHOTS) for p in perfect)
    tensored = mitigated("tensored", measured, zeros, ones)
    m3 = mitigated("m3", measured, zeros, ones)
    np.testing.assert_allclose(m3, tensored, atol=30 * SINGLE)


@pytest.mark.parametrize("method", ["none", "tensored"])
def test_twirled_sums_spread_as_their_randomisations_do(method: str) -> None:
    """Whose signs all move together: the mean square is that of Student's t."""
    generator, parts, each, repetitions = np.random.default_rng(3), 32, 32, 200
    terms = (((1.0, (0,)), (1.0, (1,)), (-0.5, ())),)
    perfect, squares = np.zeros((parts * each, 2), dtype=np.uint8), []
    for _ in range(repetitions):
        tilts = generator.choice([0.1, 0.5], size=parts)
        both = (generator.random((parts, each)) < tilts[:, None]).reshape(1, -1, 1)
        measured = [Measured(both.repeat(2, axis=2).astype(np.uint8), (0, 1), terms)]
        if method == "none":
            values, stderr = unmitigated(measured, parts)
        else:
            values, stderr = mitigated(method, measured, perfect, perfect + 1, parts)
        squares.append(((values[0, 0] - (2 * 0.4 - 0.5)) / stderr[0, 0]) ** 2)
    freedom = parts - 1
    mean = freedom / (freedom - 2)
    deviation = np.sqrt(2 * mean**2 * (freedom - 1) / (freedom - 4))
    # What is left open of a calibration that saw no error makes the errors a little larger.
    margin = 0.0 if method == "none" else 0.05
    assert abs(np.mean(squares) - mean) < 5 * deviation / np.sqrt(repetitions) + margin
