"""The fused kernels for noise agree with the compiled ones of the CPU, and with torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qbackend import CircuitLayer, LayerSpec, QuantumLayer
from qbackend.circuits.preparation import CompactPreparation
from qbackend.devices.snapshots import load_snapshot
from qbackend.errors import InputError
from qbackend.native.cuda.driver import Machine
from qbackend.native.noisy import NativeNoisy
from qbackend.native.pauli import fused
from qbackend.native.pauli.compact import FusedPreparation
from qbackend.native.pauli.fused import FusedProgram
from qbackend.native.pauli.tensors import TorchProgram

from ...support import own_circuit
from ...support.no_synchronisation import no_synchronisation
from ..test_noisy_on_device import CASES, EXACT, OnDevice, backend, rows_of, step
from ..test_pauli import program_of
from .emulator import Emulator, needs_compiler

pytestmark = needs_compiler

MACHINE = Emulator()
"""As long as there are programs: what their launches read is kept by the machine."""


class Fused(OnDevice):
    """`native:DEVICE` as it runs on CUDA, its kernels on an emulator."""

    machine = MACHINE

    def _machine_on(self, device: torch.device) -> Machine:
        return self.machine


def programs(n_qubits: int, dtype: torch.dtype) -> tuple[FusedProgram, TorchProgram, int, int, int]:
    """A random circuit both ways, and how many turns head and tail have, and observables."""
    program, *_ = program_of(3, n_qubits)
    numbers = len(program.head.offsets), len(program.tail.offsets), len(program.observables)
    reference = TorchProgram(program, torch.float64, torch.device("cpu"))
    return FusedProgram(MACHINE, program, dtype), reference, *numbers


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("case", CASES)
def test_layers_are_those_of_the_cpu(case: str, dtype: torch.dtype) -> None:
    spec, *where = CASES[case]
    found = []
    for kind, precision in ((Fused, dtype), (NativeNoisy, torch.float64)):
        layer = QuantumLayer(spec, backend(kind, *where), seed=0).to(precision)
        features = rows_of(spec, 30).to(dtype).to(precision).requires_grad_()
        cotangent = torch.linspace(-1, 1, 30 * spec.n_outputs).reshape(30, -1).to(precision)
        found.append(step(layer, features, cotangent))
    for ours, theirs in zip(*found, strict=True):
        scale = max(1.0, float(theirs.abs().max()))
        torch.testing.assert_close(ours.double(), theirs, atol=EXACT[dtype] * scale, rtol=0)


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4, 5])
def test_any_noisy_circuit_is_that_of_torch(n_qubits: int, dtype: torch.dtype) -> None:
    """Of every kind of word, by rows that fill no block."""
    mine, reference, n_turns, n_tail, n_outputs = programs(n_qubits, dtype)
    drawn = torch.Generator().manual_seed(n_qubits)
    turns = torch.randn(21, n_turns, generator=drawn, dtype=torch.float64)
    tail = torch.randn(n_tail, generator=drawn, dtype=torch.float64)
    cotangent = torch.randn(21, n_outputs, generator=drawn, dtype=torch.float64)
    forms = reference.forms(tail)
    of_angles, of_forms = reference.gradients(forms, turns, cotangent)
    of_mine = mine.gradients(forms, turns, cotangent)
    pairs = [
        (mine.forms(tail), forms, torch.float64),
        (mine.pull_forms(tail, of_forms), reference.pull_forms(tail, of_forms), torch.float64),
        (mine.values(forms, turns), reference.values(forms, turns), dtype),
        (of_mine[0], of_angles, dtype),
        (of_mine[1], of_forms, dtype),
    ]
    for found, expected, precision in pairs:
        scale = max([1.0, *expected.abs().flatten().tolist()])
        torch.testing.assert_close(found.double(), expected, atol=EXACT[precision] * scale, rtol=0)


def test_a_vector_of_many_qubits() -> None:
    """Threads that have several groups each, and blocks that have a row each."""
    mine, reference, n_turns, _, n_outputs = programs(6, torch.float64)
    turns = torch.randn(2, n_turns, dtype=torch.float64)
    cotangent = torch.randn(2, n_outputs, dtype=torch.float64)
    forms = torch.randn(n_outputs, 4**6, dtype=torch.float64)
    pairs = zip(
        (mine.values(forms, turns), *mine.gradients(forms, turns, cotangent)),
        (reference.values(forms, turns), *reference.gradients(forms, turns, cotangent)),
        strict=True,
    )
    for found, expected in pairs:
        atol = EXACT[torch.float64] * max(1.0, float(expected.abs().max()))
        torch.testing.assert_close(found, expected, atol=atol, rtol=0)


@pytest.mark.parametrize("most", [1, 2**40])
def test_memory_for_the_way_back_bounds_the_blocks(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "KEPT_BYTES", most)
    mine, reference, n_turns, _, n_outputs = programs(3, torch.float64)
    turns = torch.randn(90, n_turns, dtype=torch.float64)
    cotangent = torch.randn(90, n_outputs, dtype=torch.float64)
    forms = torch.randn(n_outputs, 64, dtype=torch.float64)
    found = mine.gradients(forms, turns, cotangent)
    for ours, theirs in zip(found, reference.gradients(forms, turns, cotangent), strict=True):
        atol = EXACT[torch.float64] * float(theirs.abs().max())
        torch.testing.assert_close(ours, theirs, atol=atol, rtol=0)
    again = mine.gradients(forms, turns, cotangent)
    assert all(torch.equal(*pair) for pair in zip(found, again, strict=True))


@pytest.mark.parametrize("case", ["compact", "textbook", "angle", "own"])
def test_nothing_waits(case: str) -> None:
    spec, *where = CASES[case]
    layer = QuantumLayer(spec, backend(Fused, *where), seed=0)
    features, cotangent = rows_of(spec).float().requires_grad_(), torch.ones(6, spec.n_outputs)
    expected = step(layer, features, cotangent)
    with no_synchronisation():
        found = step(layer, features, cotangent)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_it_is_told_once_for_all_readouts_and_both_ways() -> None:
    circuit = own_circuit.circuit()
    features, weights = ([p for p in circuit.parameters if p.name[0] == x] for x in "xw")
    strings = [letter + "I" * (circuit.num_qubits - 1) for letter in "ZX"]
    spec = CircuitLayer(circuit, features=features, weights=weights, observables=strings)
    layer = QuantumLayer(spec, backend(Fused, "fake_brisbane", "auto"), seed=0)
    rows = torch.randn(3, spec.n_features)
    rows[1, 0] = torch.nan
    outputs = layer(rows.requires_grad_())
    with pytest.raises(InputError, match="features row 1 of an earlier call"):
        layer(rows[:1])
    layer(rows[:1])
    outputs.sum().backward()
    layer(rows[:1])


@pytest.mark.parametrize("case", ["compact", "angle", "own"])
def test_what_is_not_finite_is_told_by_the_next_call(case: str) -> None:
    spec, *where = CASES[case]
    layer = QuantumLayer(spec, backend(Fused, *where), seed=0)
    features = torch.randn(30, spec.n_features)
    features[20, 1] = torch.inf
    outputs = layer(features)
    assert outputs[20].isnan().all()
    assert not outputs[:20].isnan().any()
    with pytest.raises(InputError, match="features row 20 of an earlier call"):
        layer(features[:2])
    with torch.no_grad():
        layer.weight[0] = torch.nan
    assert layer(features[:2]).isnan().all()
    # Where a weight turns a row between its features, the row is all that is known.
    what = "features row" if case == "own" else "the weights"
    with pytest.raises(InputError, match=f"{what}.* of an earlier call"):
        layer(features[:2])


def test_vectors_without_room_are_left_to_torch() -> None:
    program, *_ = program_of(3, 4)
    assert FusedProgram.takes(Emulator(), program, torch.float32)
    assert not FusedProgram.takes(Emulator(1024), program, torch.float32)
    assert not FusedProgram.takes(Emulator(), program, torch.float16)
    small = Fused(load_snapshot("fake_brisbane"), None, "textbook")
    small.machine = Emulator(1024)
    spec = LayerSpec(2)
    layer = QuantumLayer(spec, small, seed=0)
    there = QuantumLayer(spec, backend(OnDevice, "fake_brisbane", "textbook"), seed=0)
    features = torch.randn(3, 4)
    assert torch.equal(layer(features), there(features))


@pytest.mark.parametrize("kind", ["any", "few", "one", "equal", "pairs", "Bell pairs", "long"])
def test_the_compact_preparation_is_that_of_the_cpu(kind: str) -> None:
    """Its angles, where they are open as well: by the same rules."""
    drawn = np.random.default_rng(0)
    features = {
        "any": drawn.normal(size=(70, 16)),
        "few": drawn.integers(-1, 2, size=(70, 16)).astype(float),
        "one": np.concatenate([np.eye(16), -np.eye(16), np.zeros((1, 16))]),
        "equal": np.ones((1, 16)),
        "pairs": np.tile([0.0, 0.0, 1.0, -1.0], (1, 4)),
        "Bell pairs": np.eye(4).reshape(1, 16),
        "long": drawn.normal(size=(5, 16)) * 10.0 ** np.array([[-11], [150], [200], [307], [-13]]),
    }[kind]
    order = tuple(drawn.permutation(16).tolist())
    angles = FusedPreparation(MACHINE, order)(torch.from_numpy(features)).numpy()
    expected = CompactPreparation(order)(features)
    np.testing.assert_allclose(angles, expected, atol=EXACT[torch.float64], rtol=0)
