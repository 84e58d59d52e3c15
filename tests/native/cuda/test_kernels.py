"""The fused kernels agree with the compiled ones of the CPU, through the layer's own passes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from qbackend import LayerSpec, QuantumLayer
from qbackend.errors import InputError
from qbackend.layers.ansatze import ANSATZE
from qbackend.native.cuda.engine import Engine
from qbackend.native.cuda.spec_plan import spec_task
from qbackend.native.exact import NativeBackend

from .agreement import EXACT, Fused
from .emulator import Emulator, needs_compiler

pytestmark = needs_compiler


def outputs_and_gradients(
    backend: NativeBackend | str, spec: LayerSpec, n_rows: int, dtype: torch.dtype
) -> tuple[torch.Tensor, ...]:
    """Of rows of length 2: the shorter a row, the larger is its gradient's rounding."""
    torch.manual_seed(n_rows)
    layer = QuantumLayer(spec, backend, seed=1).to(dtype)
    rows = torch.randn(n_rows, spec.n_features, dtype=torch.float64)
    features = (2 * functional.normalize(rows)).to(dtype).requires_grad_(True)
    outputs = layer(features)
    wanted = (features, layer.weight)
    cotangent = torch.randn(n_rows, spec.n_outputs, dtype=torch.float64).to(dtype)
    return (outputs.detach(), *torch.autograd.grad(outputs, wanted, cotangent))


def check(
    spec: LayerSpec, n_rows: int, dtype: torch.dtype, emulator: Emulator | None = None
) -> None:
    found = outputs_and_gradients(Fused(emulator or Emulator()), spec, n_rows, dtype)
    wanted = outputs_and_gradients("native", spec, n_rows, torch.float64)
    for mine, reference in zip(found, wanted, strict=True):
        scale = max(1.0, float(reference.abs().max()))
        assert (mine - reference).abs().max() <= EXACT[dtype] * scale


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("encoding", ["amplitude", "angle"])
@pytest.mark.parametrize("ansatz", list(ANSATZE))
@pytest.mark.parametrize("n_wires", [1, 2, 4, 7])
def test_layers_of_one_block(n_wires: int, ansatz: str, encoding: str, dtype: torch.dtype) -> None:
    check(LayerSpec(n_wires, encoding, ansatz, 2), 70 if n_wires < 5 else 9, dtype)


@pytest.mark.parametrize("n_wires", [8, 10])
def test_threads_that_hold_more(n_wires: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qbackend.native.cuda.engine.MANY_AMPLITUDES", 0)
    check(LayerSpec(n_wires, "amplitude", "strongly_entangling", 2), 5, torch.float64)


@pytest.mark.parametrize("encoding", ["amplitude", "angle"])
@pytest.mark.parametrize("ansatz", ["basic_entangler", "strongly_entangling"])
def test_rows_wider_than_a_block(
    ansatz: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qbackend.native.cuda.launches.LARGEST_TILE", 7)
    check(LayerSpec(9, encoding, ansatz, 2), 5, torch.float64)


def test_more_rotations_than_a_launch_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qbackend.native.cuda.passes.MOST_TURNS", 7)
    check(LayerSpec(3, "amplitude", "strongly_entangling", 3), 40, torch.float64)
    check(LayerSpec(3, "angle", "strongly_entangling", 3), 40, torch.float64)


def test_words_that_are_read_from_memory() -> None:
    spec = LayerSpec(5, "angle", "strongly_entangling", 2)
    check(spec, 20, torch.float64, Emulator(has_long_launches=False))


def test_observables_of_several_wires_and_of_none() -> None:
    spec = LayerSpec(4, observables=("ZZII", "IIII", "ZZZZ", "IIIZ"))
    check(spec, 20, torch.float64)


def test_less_shared_memory_means_smaller_blocks() -> None:
    spec = LayerSpec(10)
    shape = spec_task(spec).shape(Emulator(48 * 1024), torch.float64, is_large=False)
    assert shape is not None
    assert shape.tile < 10
    check(spec, 3, torch.float64, Emulator(48 * 1024))
    assert not Engine(Emulator(1024)).takes(LayerSpec(10), torch.float32)


@pytest.mark.parametrize("tiny", [0.0, 1e-39, 5e-39, 1e-30])
@pytest.mark.parametrize("n_wires", [3, 8])
def test_rows_that_encode_nothing(n_wires: int, tiny: float) -> None:
    layer = QuantumLayer(LayerSpec(n_wires), Fused(Emulator()), seed=0)
    features = torch.randn(4, 2**n_wires)
    # Of denormal numbers reciprocals overflow.
    features[1], features[2] = tiny, 0
    features[2, 0] = tiny
    features.requires_grad_(True)
    outputs = layer(features)
    outputs.sum().backward()
    assert features.grad is not None
    assert not outputs[1:3].any()
    assert not features.grad[1:3].any()
    assert outputs[0].all()
    layer(features)


@pytest.mark.parametrize("scale", [1e-11, 1e15, 1e30])
def test_a_rows_scale_does_not_matter(scale: float) -> None:
    layer = QuantumLayer(LayerSpec(4), Fused(Emulator()), seed=0)
    features = torch.randn(3, 16)
    torch.testing.assert_close(layer(features * scale), layer(features), rtol=0, atol=1e-6)


@pytest.mark.parametrize("encoding", ["amplitude", "angle"])
@pytest.mark.parametrize("entry", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_is_told_by_the_next_call(encoding: str, entry: float) -> None:
    layer = QuantumLayer(LayerSpec(4, encoding), Fused(Emulator()), seed=0)
    features = torch.randn(40, layer.spec.n_features)
    features[33, 2] = entry
    outputs = layer(features)
    assert outputs[33].isnan().all()
    assert not outputs[:33].isnan().any()
    with pytest.raises(InputError, match="features row 33 of an earlier call"):
        layer(features[:2])
    layer(features[:2])


def test_one_that_is_wider_than_a_block_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qbackend.native.cuda.launches.LARGEST_TILE", 7)
    layer = QuantumLayer(LayerSpec(9), Fused(Emulator()), seed=0)
    features = torch.randn(3, 512)
    features[1, 5] = float("inf")
    assert layer(features)[1].isnan().all()
    with pytest.raises(InputError, match="features row 1 of an earlier call"):
        layer(features[:1])


def test_it_is_told_once_and_of_the_layer_that_had_it() -> None:
    emulator = Emulator()
    layer, other = (QuantumLayer(LayerSpec(4), Fused(emulator), seed=0) for _ in range(2))
    features = torch.randn(3, 16)
    features[1, 5] = float("nan")
    engine = layer.backend.engine  # type: ignore[attr-defined]
    done = engine.forward(layer.spec, features, layer.weight, True)
    other(features[:1])
    with pytest.raises(InputError, match="features row 1"):
        layer(features[:1])
    # A backward pass that was under way by then does not tell it again.
    done.pullback(torch.ones(3, 4))
    layer(features[:1])


@pytest.mark.parametrize("encoding", ["amplitude", "angle"])
def test_outputs_can_be_changed_in_place(encoding: str) -> None:
    layer = QuantumLayer(LayerSpec(4, encoding), Fused(Emulator()), seed=0)
    features = torch.randn(3, layer.spec.n_features, requires_grad=True)
    layer(features).mul_(2).sum().backward()
    assert features.grad is not None


def test_a_large_batch_that_needs_more_room_runs_as_a_small_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qbackend.native.cuda.engine.MANY_AMPLITUDES", 0)
    spec, emulator = LayerSpec(8, ansatz="strongly_entangling", n_layers=45), Emulator(64 * 1024)
    engine = Engine(emulator)
    assert engine.takes(spec, torch.float64)
    assert engine._plan(spec, True, torch.float64) is None
    check(spec, 1, torch.float64, emulator)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_other_kinds_of_numbers_are_not_taken(dtype: torch.dtype) -> None:
    assert not Engine(Emulator()).takes(LayerSpec(2), dtype)


def test_a_weight_that_is_not_finite_is_told() -> None:
    layer = QuantumLayer(LayerSpec(4), Fused(Emulator()), seed=0)
    with torch.no_grad():
        layer.weight[5] = float("nan")
    assert layer(torch.randn(2, 16)).isnan().any()
    with pytest.raises(InputError, match="weight 5 of an earlier call"):
        layer(torch.randn(2, 16))


def test_no_rows() -> None:
    layer = QuantumLayer(LayerSpec(4), Fused(Emulator()), seed=0)
    features = torch.empty(0, 16, requires_grad=True)
    layer(features).sum().backward()
    assert layer.weight.grad is not None
    assert not layer.weight.grad.any()


def test_a_backward_pass_can_be_had_twice() -> None:
    layer = QuantumLayer(LayerSpec(4, n_layers=3), Fused(Emulator()), seed=0)
    outputs = layer(torch.randn(5, 16)).sum()
    first = torch.autograd.grad(outputs, layer.weight, retain_graph=True)
    assert torch.equal(first[0], torch.autograd.grad(outputs, layer.weight)[0])
