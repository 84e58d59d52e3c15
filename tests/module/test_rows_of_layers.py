"""A layer answers every row as if it were alone, with the gradients that belong to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from qbackend import LayerSpec, QuantumLayer, get_backend
from qbackend.gradients.noisy_preparation import VANISHING

from ..support.cases import MACHINE
from ..support.structured import structured_rows

DEVICE = "fake_brisbane"

LARGEST = {torch.float32: 1e30, torch.float64: 1e200}
"""Squares of it overflow."""
ROUNDING = {torch.float32: 1e-5, torch.float64: MACHINE}
"""Some hundred gates in single precision."""


@dataclass(frozen=True)
class Case:
    name: str
    preparation: str | None = None
    n_wires: int = 4
    per_kind: int = 2

    def layer(self, dtype: torch.dtype, encoding: str = "amplitude") -> QuantumLayer:
        backend = get_backend(self.name, preparation=self.preparation)
        return QuantumLayer(LayerSpec(self.n_wires, encoding), backend, seed=1).to(dtype)


CASES = {
    "native": Case("native"),
    "aer": Case("aer"),
    "native, eight wires": Case("native", n_wires=8),
    "aer, seven wires": Case("aer", n_wires=7, per_kind=1),
    "compact": Case(f"native:{DEVICE}", "compact"),
    "textbook": Case(f"native:{DEVICE}", "textbook"),
    "aer, compact": Case(f"aer:{DEVICE}", "compact", n_wires=3, per_kind=1),
}


ANGLES = {name: case for name, case in CASES.items() if case.preparation is None}
"""Where features turn wires, there is no preparation to choose under noise."""
BY_BATCH = {name: case for name, case in CASES.items() if not case.name.startswith("aer:")}
"""Simulators that go other ways with a large batch."""


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


def features_of(case: Case, dtype: torch.dtype) -> torch.Tensor:
    """Some rows of every kind but one, whose smallest features single precision rounds away."""
    kinds = structured_rows(case.n_wires, case.per_kind)
    del kinds["tiny"]
    return torch.from_numpy(np.concatenate(list(kinds.values()))).to(dtype)


def answers(layer: QuantumLayer, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Outputs, and gradients by features and weights of their differences."""
    given = features.clone().requires_grad_()
    layer.zero_grad()
    outputs = layer(given)
    signs = 1.0 - 2.0 * (torch.arange(outputs.shape[1]) % 2)
    (outputs * signs).sum().backward()
    return outputs.detach(), given.grad, layer.weight.grad.clone()


def assert_neighbours_do_not_matter(layer: QuantumLayer, features: torch.Tensor) -> None:
    outputs, of_features, of_weights = answers(layer, features)
    alone = [answers(layer, row[None]) for row in features]
    atol = ROUNDING[features.dtype]
    torch.testing.assert_close(torch.cat([one[0] for one in alone]), outputs, atol=atol, rtol=0)
    scale = 1 + of_features.abs().max().item()
    of_each = torch.cat([one[1] for one in alone])
    torch.testing.assert_close(of_each, of_features, atol=atol * scale, rtol=0)
    of_all = sum(one[2] for one in alone)
    torch.testing.assert_close(of_all, of_weights, atol=atol * len(features), rtol=0)


def test_neighbours(case: Case, dtype: torch.dtype) -> None:
    assert_neighbours_do_not_matter(case.layer(dtype), features_of(case, dtype))


@pytest.mark.parametrize("case", ANGLES.values(), ids=ANGLES.keys())
def test_neighbours_as_angles(case: Case, dtype: torch.dtype) -> None:
    layer = case.layer(dtype, "angle")
    assert_neighbours_do_not_matter(layer, features_of(case, dtype)[:, : case.n_wires])


def test_order(case: Case, dtype: torch.dtype) -> None:
    layer, features = case.layer(dtype), features_of(case, dtype)
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    outputs, of_features, _ = answers(layer, features)
    moved, of_moved, _ = answers(layer, features[order])
    atol = ROUNDING[dtype]
    torch.testing.assert_close(moved, outputs[order], atol=atol, rtol=0)
    scale = 1 + of_features.abs().max().item()
    torch.testing.assert_close(of_moved, of_features[order], atol=atol * scale, rtol=0)


def test_scale(case: Case, dtype: torch.dtype) -> None:
    layer, features = case.layer(dtype), features_of(case, dtype)
    outputs, of_features, of_weights = answers(layer, features)
    atol = ROUNDING[dtype]
    for factor in (1.7, 0.1, 1e-6, 1e4, -1.0, LARGEST[dtype]):
        scaled, of_scaled, of_both = answers(layer, factor * features)
        torch.testing.assert_close(scaled, outputs, atol=atol, rtol=0)
        scale = 1 + of_features.abs().max().item()
        torch.testing.assert_close(factor * of_scaled, of_features, atol=atol * scale, rtol=0)
        torch.testing.assert_close(of_both, of_weights, atol=atol * len(features), rtol=0)


def test_precision(case: Case) -> None:
    layer, features = case.layer(torch.float64), features_of(case, torch.float64)
    for double, single in zip(
        answers(layer, features), answers(layer, features.float()), strict=True
    ):
        scale = 1 + double.abs().max().item()
        atol = ROUNDING[torch.float32] * scale
        torch.testing.assert_close(single.double(), double.double(), atol=atol, rtol=0)


@pytest.mark.parametrize("case", BY_BATCH.values(), ids=BY_BATCH.keys())
def test_a_large_batch(case: Case, dtype: torch.dtype) -> None:
    layer, features = case.layer(dtype), features_of(case, dtype)
    many = features.repeat(512 // len(features) + 1, 1)
    outputs = layer(many).detach()
    few = layer(features).detach().repeat(len(many) // len(features), 1)
    torch.testing.assert_close(outputs, few, atol=ROUNDING[dtype], rtol=0)


def test_nothing_but_zeros(case: Case, dtype: torch.dtype) -> None:
    outputs, of_features, of_weights = answers(case.layer(dtype), 0 * features_of(case, dtype)[:2])
    assert not outputs.any()
    assert not of_features.any()
    assert not of_weights.any()


@pytest.mark.parametrize("preparation", ["compact", "textbook"])
@pytest.mark.parametrize("n_wires", [2, 3, 4])
def test_gradients_where_choices_are(n_wires: int, preparation: str) -> None:
    """Finite by features; by weights that of the shift rule, which leaves the preparation alone."""
    layer = Case(f"native:{DEVICE}", preparation, n_wires).layer(torch.float64)
    kinds = structured_rows(n_wires, 4)
    features = torch.from_numpy(np.concatenate(list(kinds.values())))
    _, of_features, of_weights = answers(layer, features)
    assert of_features.isfinite().all()
    with torch.no_grad():
        for index in range(len(of_weights)):
            totals = []
            for turn in (np.pi / 2, -np.pi / 2):
                layer.weight[index] += turn
                outputs = layer(features)
                totals.append((outputs[:, 0::2].sum() - outputs[:, 1::2].sum()).item())
                layer.weight[index] -= turn
            expected = (totals[0] - totals[1]) / 2
            assert abs(of_weights[index].item() - expected) < MACHINE * len(features)


@pytest.mark.parametrize("n_wires", [2, 3, 4])
def test_gradients_at_zeros(n_wires: int) -> None:
    """A feature that passes zero beside one that does not, of either sign, turns smoothly."""
    layer = Case(f"native:{DEVICE}", "textbook", n_wires).layer(torch.float64)
    rng = np.random.default_rng(0)
    rows = rng.uniform(0.5, 1.0, size=(8, 2**n_wires)) * rng.choice([-1, 1], size=(8, 2**n_wires))
    rows[:, 1::2] = 0.0
    assert (np.abs(rows[:, 0::2]) > VANISHING * np.linalg.norm(rows, axis=1)[:, None]).all()
    features = torch.from_numpy(rows)
    _, of_features, _ = answers(layer, features)
    step = 1e-3
    for index, unit in enumerate(step * torch.eye(2**n_wires, dtype=torch.float64)):
        with torch.no_grad():
            moved = [layer(features + k * unit) for k in (1, -1, 2, -2)]
        # The error of the five-point formula is that of the fifth derivative times step^4 / 30.
        slopes = (8 * (moved[0] - moved[1]) - (moved[2] - moved[3])) / (12 * step)
        expected = slopes[:, 0::2].sum(dim=1) - slopes[:, 1::2].sum(dim=1)
        torch.testing.assert_close(of_features[:, index], expected, atol=1e-8, rtol=0)
