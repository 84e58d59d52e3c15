"""Another package's backend takes one file, as this one: no more than the seam's duties."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch
from qiskit.quantum_info import Statevector

from qbackend import LayerSpec, QuantumLayer, registry
from qbackend.circuits.logical import compile_layer
from qbackend.errors import OptionError, UnknownNameError
from qbackend.seam.backend import Capabilities, QuantumBackend, check_width
from qbackend.seam.jobs import Job, LocalJob
from qbackend.seam.requests import CompiledLayer, Cost, Request, Result, local_cost

from .support.cases import ENCODINGS, MACHINE, features
from .support.command_line import Qhc, last_line


class Statevectors(QuantumBackend):
    """Qiskit's statevectors, a circuit per row; `acme:MOST` takes layers of so many wires."""

    name = "acme"

    def __init__(self, most_wires: int) -> None:
        self.most_wires = most_wires

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            exact=True,
            remote=False,
            vjp=False,
            max_wires=self.most_wires,
            gradient_methods=("parameter-shift",),
        )

    def compile(self, spec: LayerSpec) -> CompiledLayer:
        check_width(self, spec)
        return compile_layer(spec)

    def submit(self, request: Request) -> Job:
        return LocalJob(lambda job_id: self._run(request, job_id))

    def estimate(self, request: Request) -> Cost:
        return local_cost(request)

    def _run(self, request: Request, job_id: str) -> Result:
        compiled = request.compiled
        values = np.empty((len(request.parameters), len(compiled.observables)))
        for row, given in zip(values, request.parameters, strict=True):
            angles = dict(zip(compiled.parameters, given, strict=True))
            state = Statevector(compiled.circuit.assign_parameters(angles))
            row[:] = [state.expectation_value(each).real for each in compiled.observables]
        return Result(values, np.zeros_like(values), None, (job_id,), self.name)


def acme(argument: str | None, *, shots: int | None, seed: int | None) -> QuantumBackend:
    """What the entry point names."""
    return Statevectors(int(argument or 4))


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("acme", f"{__name__}:acme", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [entry] if group == entry.group else []
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_layers_run_on_it_with_their_derivatives(encoding: str) -> None:
    spec = LayerSpec(2, encoding, "strongly_entangling")
    rows = torch.tensor(features(spec, 3, seed=1), requires_grad=True)
    layer = QuantumLayer(spec, "acme:2", seed=5).double()
    answers = []
    for name in ("acme:2", "native"):
        values = layer.to_backend(name)(rows)
        answers.append((values, *torch.autograd.grad(values.square().sum(), (rows, layer.weight))))
    torch.testing.assert_close(*answers, atol=MACHINE, rtol=0)


def test_its_limits_and_its_name_are_told() -> None:
    with pytest.raises(OptionError, match="3 wires, but 'acme' takes at most 2"):
        QuantumLayer(LayerSpec(3), "acme:2")
    with pytest.raises(UnknownNameError, match="did you mean 'acme'"):
        QuantumLayer(LayerSpec(2), "acne")


def test_a_trained_model_is_validated_on_it(qhc: Qhc) -> None:
    few = ("--epochs", "1", "--train-limit", "64", "--limit", "6", "--json")
    assert "acme" in qhc("backends")[1]
    code, out, err = qhc("run", *few, "--backend", "native", "--out", "made")
    assert code == 0, err
    expected = last_line(out)["loss"]
    code, out, err = qhc(
        "run", "--checkpoint", "made", "--backend", "acme", "--limit", "6", "--json"
    )
    assert code == 0, err
    assert last_line(out)["backend"] == "acme"
    assert last_line(out)["loss"] == pytest.approx(expected, abs=1e-6)
