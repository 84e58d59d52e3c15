"""From Python as from the command line: nothing is sent without a yes, or without being wanted."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from models import QuantumPointwiseConv2d
from qbackend import QuantumLayer, get_backend
from qbackend.errors import ApprovalError, OptionError
from qbackend.machines import consent
from qbackend.machines.cost import MachineCost
from tests.ibm.calls import NAME, SPEC
from tests.loopback import LoopbackServer
from tests.support.distant import Distant

from .fakes import FakeService, ask, backend_of

ROWS = torch.linspace(0.1, 1.2, 12).reshape(3, 4)


def by_layer() -> None:
    QuantumLayer(SPEC, NAME, shots=64, seed=0)(ROWS)


def by_another_backend() -> None:
    QuantumLayer(SPEC, seed=0).to_backend(NAME, shots=64)(ROWS)


def by_a_backend_of_its_name() -> None:
    QuantumLayer(SPEC, get_backend(NAME, shots=64), seed=0)(ROWS)


def by_a_convolution() -> None:
    QuantumPointwiseConv2d(4, 2, 1, backend=NAME, shots=64, seed=0)(torch.ones(1, 4, 2, 2))


def by_the_network() -> None:
    layer = QuantumLayer(SPEC, NAME, shots=64, seed=0)
    layer.neural_network.forward(ROWS.numpy(), layer.weight.detach().numpy())


def by_its_derivatives() -> None:
    layer = QuantumLayer(SPEC, NAME, shots=64, seed=0)
    layer.neural_network.backward(ROWS.numpy(), layer.weight.detach().numpy())


WAYS = [
    by_layer,
    by_another_backend,
    by_a_backend_of_its_name,
    by_a_convolution,
    by_the_network,
    by_its_derivatives,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_nothing_is_sent_that_nobody_approved(
    server: LoopbackServer, way: Callable[[], None]
) -> None:
    with pytest.raises(ApprovalError, match=r"rows.* at 64 shots.* would take about .* QPU time"):
        way()
    assert not server.jobs


def test_what_is_approved_is_sent(server: LoopbackServer) -> None:
    shown: list[MachineCost] = []
    layer = QuantumLayer(
        SPEC, NAME, shots=64, seed=0, approve=lambda cost: shown.append(cost) or True
    )
    with torch.no_grad():
        layer(ROWS)
    assert [cost.rows for cost in shown] == [3]
    other = QuantumLayer(SPEC, seed=0).to_backend(NAME, shots=64, approve=lambda cost: False)
    with pytest.raises(ApprovalError, match="was not approved"):
        other(ROWS)
    assert len(server.jobs) == 1


@pytest.mark.parametrize("approve", [True, False, "ask", "yes", 1], ids=repr)
def test_an_approval_is_a_function(approve: Any) -> None:
    for name in (NAME, "fake_manila"):
        with pytest.raises(OptionError, match=rf"approve is a function.*got {approve!r}"):
            get_backend(name, approve=approve)


@pytest.mark.parametrize("answer", ["no", "yes", "", None, 1, [False]], ids=repr)
def test_only_true_is_a_yes(answer: Any) -> None:
    """`approve=lambda cost: input("Send? ")` would be a yes, whatever was typed."""
    service = FakeService()
    backend = backend_of(service, approve=lambda cost: answer)
    with pytest.raises(ApprovalError, match="neither True nor False"):
        backend.submit(ask(backend))
    assert not service.jobs
    allowed = backend_of(service, approve=lambda cost: np.float64(cost.qpu_seconds) < 60)
    allowed.submit(ask(allowed))
    assert len(service.jobs) == 1


def test_the_person_at_the_terminal_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(consent, "can_ask", lambda: True)
    service = FakeService()
    backend = backend_of(service, approve=None)
    request = ask(backend)
    for answer, n_jobs in (("n\n", 0), ("\n", 0), ("", 0), ("y\n", 1)):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        if n_jobs:
            backend.submit(request)
        else:
            with pytest.raises(ApprovalError, match="not approved"):
                backend.submit(request)
        question = capsys.readouterr().err
        assert "3 rows at 64 shots in 1 job" in question
        assert "2.1 s of QPU time" in question
        assert len(service.jobs) == n_jobs


def test_what_costs_nothing_needs_no_yes() -> None:
    with torch.no_grad():
        values = QuantumLayer(SPEC, "fake_manila", shots=64, seed=0)(ROWS)
    assert values.shape == (3, 2)


def test_simulators_take_no_approval() -> None:
    with pytest.raises(OptionError, match="takes no 'approve'"):
        QuantumLayer(SPEC, "aer", approve=lambda cost: True)
    with pytest.raises(OptionError, match="approve belong to the backend"):
        QuantumLayer(SPEC, get_backend("aer"), approve=lambda cost: True)


@pytest.mark.parametrize("gradient", ["auto", "parameter-shift", "spsa"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_derivatives_are_paid_for_once_somebody_wants_them(gradient: str, training: bool) -> None:
    """Whether or not the features need some, too."""
    backend = Distant(10_000)
    layer = QuantumLayer(SPEC, backend, seed=0, gradient=gradient).train(training).double()
    per_row = 2 if gradient == "spsa" else 2 * SPEC.n_weights
    values = layer(ROWS.double())
    at_once = training and gradient != "auto"
    assert backend.asked == ([3 + 3 * per_row] if at_once else [3])
    values.sum().backward()
    assert sum(backend.asked) == 3 + 3 * per_row
    assert layer.weight.grad.abs().max() > 0
    moved = ROWS.double().requires_grad_()
    with torch.no_grad():
        layer(moved)
    assert backend.asked[-1] == 3


def test_a_gradient_that_comes_later_is_the_same() -> None:
    exact = QuantumLayer(SPEC, "aer", seed=0).double()
    exact(ROWS.double()).sum().backward()
    for training in (True, False):
        layer = QuantumLayer(SPEC, Distant(10_000), seed=0).train(training).double()
        layer(ROWS.double()).sum().backward()
        # The sum of 3 images times 2 outputs of half differences of two values.
        bound = 5 * np.sqrt(3 * 2 * 2 * 2 / 10_000) / 2
        assert (layer.weight.grad - exact.weight.grad).abs().max() < bound


def test_a_training_step_says_what_it_costs_before_the_first(
    server: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    layer = QuantumLayer(
        SPEC,
        NAME,
        shots=64,
        seed=0,
        gradient="spsa",
        approve=lambda cost: bool(caplog.text) and not server.jobs,
    )
    with caplog.at_level(logging.WARNING, logger="qbackend"):
        layer(ROWS).sum().backward()
        said = r"a training step: 9 rows, 2 side by side, at 64 shots, 6 of them for derivatives"
        assert said in caplog.text
        with pytest.raises(ApprovalError):
            layer(2 * ROWS[:, [1, 0, 2, 3]])
    assert caplog.text.count("a training step") == 1
    assert len(server.jobs) == 1
