"""The fused kernels on a CUDA device, against the compiled ones of the CPU: for who has one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from experiments.bench.circuits import CIRCUITS, circuit_layer
from qbackend import CircuitLayer, LayerSpec, QuantumLayer
from qbackend.circuits.preparation import CompactPreparation
from qbackend.errors import InputError
from qbackend.layers.ansatze import ANSATZE
from qbackend.layers.program import Layer
from qbackend.native.cuda.driver import machine_of
from qbackend.native.noisy import NativeNoisy
from qbackend.native.pauli.compact import FusedPreparation

from ...support.any_circuit import own_layer
from ...support.random_circuits import layers
from ..test_noisy_on_device import CASES, backend, rows_of
from .test_circuit_angles import EXPRESSIONS, layer_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

CUDA = torch.device("cuda")
EXACT = {torch.float32: 2e-7, torch.float64: 1e-12}
DTYPES = list(EXACT)
AGAIN = 3
"""Calls that have to give the same bits."""


@contextmanager
def nothing_waits() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def step(layer: QuantumLayer, rows: Tensor, cotangent: Tensor) -> tuple[Tensor, ...]:
    features = rows.detach().clone().requires_grad_()
    outputs = layer(features)
    wanted = [each for each in (features, layer.weight) if each.numel()]
    found = torch.autograd.grad(
        outputs, wanted, cotangent, allow_unused=True, materialize_grads=True
    )
    return (outputs.detach(), *found)


def agree(spec: Layer, rows: Tensor, dtype: torch.dtype, given_backend: object = "native") -> None:
    """Outputs and gradients, the same bits each time, and nothing waits but for the first call."""
    rows = rows.to(dtype)
    cotangent = torch.linspace(-1, 1, len(rows) * spec.n_outputs).reshape(len(rows), -1)
    layer = QuantumLayer(spec, given_backend, seed=1).double()  # type: ignore[arg-type]
    with torch.no_grad():
        layer.weight.copy_(layer.weight.to(dtype))
    expected = step(layer, rows.double(), cotangent.to(dtype).double())
    there, moved, pull = layer.to(CUDA, dtype), rows.to(CUDA), cotangent.to(CUDA, dtype)
    found = step(there, moved, pull)
    # Every turn rounds once: its angle, and the state.
    reach = max(1, spec.program().circuit.num_parameters)
    if isinstance(spec, CircuitLayer):
        reach *= max(1.0, *(float(np.abs(each.coeffs).sum()) for each in spec.observables))
    # What every output's rounding adds up to: in a row, and over all of them.
    row, all_rows = float(cotangent.abs().sum(dim=1).max()), float(cotangent.abs().sum())
    for mine, reference, sums in zip(found, expected, (1.0, row, all_rows), strict=False):
        assert mine.is_cuda
        assert mine.dtype == dtype
        atol = EXACT[dtype] * max(1.0, sums, float(reference.abs().max())) * reach
        torch.testing.assert_close(mine.double().cpu(), reference, atol=atol, rtol=0)
    for _ in range(AGAIN):
        with nothing_waits():
            again = step(there, moved, pull)
        assert all(torch.equal(*pair) for pair in zip(again, found, strict=True))


def long_rows(n_rows: int, n_features: int) -> Tensor:
    rows = torch.randn(n_rows, n_features, dtype=torch.float64, generator=torch.manual_seed(n_rows))
    return 2 * torch.nn.functional.normalize(rows)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("encoding", ["amplitude", "angle"])
@pytest.mark.parametrize("ansatz", list(ANSATZE))
@pytest.mark.parametrize("n_wires", [1, 2, 4, 6, 8, 10, 13])
def test_layers(n_wires: int, ansatz: str, encoding: str, dtype: torch.dtype) -> None:
    spec = LayerSpec(n_wires, encoding, ansatz, 2)
    agree(spec, long_rows(37 if n_wires < 12 else 2, spec.n_features), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_many_rows(dtype: torch.dtype) -> None:
    agree(LayerSpec(4), long_rows(20000, 16), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_wires", [15, 16])
def test_rows_wider_than_a_block(n_wires: int, dtype: torch.dtype) -> None:
    agree(LayerSpec(n_wires, "angle"), long_rows(3, n_wires), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CIRCUITS)
def test_circuits(name: str, dtype: torch.dtype) -> None:
    spec = circuit_layer(name)
    agree(spec, long_rows(300, spec.n_features), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_angles(name: str, dtype: torch.dtype) -> None:
    rows = torch.tensor([[0.25], [0.5], [0.75]])
    spec, layer = layer_of(name), QuantumLayer(layer_of(name), "native", seed=1).double()
    with torch.no_grad():
        layer.weight.fill_(0.625)
    expected = step(layer, rows.double(), torch.ones(3, spec.n_outputs).double())
    found = step(
        layer.to(CUDA, dtype), rows.to(CUDA, dtype), torch.ones(3, spec.n_outputs).to(CUDA, dtype)
    )
    for mine, reference in zip(found, expected, strict=True):
        # At most six operations of an expression, and two turns.
        atol = 8 * EXACT[dtype] * max(1.0, float(reference.abs().max()))
        torch.testing.assert_close(mine.double().cpu(), reference, atol=atol, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_of_strings(dtype: torch.dtype) -> None:
    spec = own_layer()
    agree(spec, long_rows(7, spec.n_features), dtype)


@settings(max_examples=25, deadline=None)
@given(layers())
def test_random_circuits(drawn: tuple[CircuitLayer, int]) -> None:
    spec, seed = drawn
    rows = torch.from_numpy(np.random.default_rng(seed).uniform(-1.5, 1.5, (3, 3)))
    agree(spec, rows, torch.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [name for name in CASES if name != "compact 5"])
def test_under_noise(case: str, dtype: torch.dtype) -> None:
    spec, *where = CASES[case]
    agree(spec, rows_of(spec, 30), dtype, backend(NativeNoisy, *where))


@pytest.mark.parametrize("kind", ["any", "one", "equal", "Bell pairs", "long"])
def test_the_compact_preparation(kind: str) -> None:
    drawn = np.random.default_rng(0)
    features = {
        "any": drawn.normal(size=(3000, 16)),
        "one": np.concatenate([np.eye(16), -np.eye(16), np.zeros((1, 16))]),
        "equal": np.ones((1, 16)),
        "Bell pairs": np.eye(4).reshape(1, 16),
        "long": drawn.normal(size=(5, 16)) * 10.0 ** np.array([[-11], [150], [200], [307], [-13]]),
    }[kind]
    order = tuple(drawn.permutation(16).tolist())
    machine = machine_of(torch.device("cuda", 0))
    assert machine is not None
    angles = FusedPreparation(machine, order)(torch.from_numpy(features).to(CUDA)).cpu().numpy()
    expected = CompactPreparation(order)(features)
    np.testing.assert_allclose(angles, expected, atol=EXACT[torch.float64], rtol=0)


@pytest.mark.parametrize("name", ["native", "native:fake_brisbane"])
def test_a_row_that_is_not_finite_is_told_by_the_next_call(name: str) -> None:
    layer = QuantumLayer(LayerSpec(4), name, seed=0).to(CUDA)
    rows = torch.ones(5, 16, device=CUDA)
    layer(rows)
    rows[3, 2] = float("nan")
    assert layer(rows)[3].isnan().all()
    torch.cuda.synchronize()
    with pytest.raises(InputError, match="row 3"):
        layer(torch.ones(5, 16, device=CUDA))


def test_gradcheck() -> None:
    for spec in (LayerSpec(3, n_layers=1), own_layer()):
        layer = QuantumLayer(spec, "native", seed=0).to(CUDA, torch.float64)
        rows = torch.rand(2, spec.n_features, dtype=torch.float64, device=CUDA) + 0.3
        assert torch.autograd.gradcheck(layer, rows.requires_grad_())
