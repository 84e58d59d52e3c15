"""A model of the user's own on simulators: what it answers, what is kept, what is left alone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from qiskit.providers.fake_provider import GenericBackendV2
from torch import Tensor

from qbackend import get_backend, validate
from qbackend.errors import OptionError
from qbackend.validation.folder import OwnRun

from .nets import CLOSE, N_ITEMS, Counted, OneLayer, TwoLayers, batches, plain_outputs


def test_two_layers_in_order_answer_as_the_model_does() -> None:
    model, data = TwoLayers(), batches()
    found = validate(model, data, run="a")
    assert torch.allclose(found.outputs("aer"), plain_outputs(model, data), atol=CLOSE)
    assert found.task == "classification"
    (stage,) = found.stages
    assert [(layer.name, layer.rows) for layer in stage.layers] == [
        ("first", N_ITEMS),
        ("second", N_ITEMS),
    ]


def test_noise_is_that_of_the_layers_moved_there() -> None:
    model, data = TwoLayers(), batches()
    found = validate(model, data, ["aer:fake_manila"], run="a")
    moved = copy.deepcopy(model)
    for layer in (moved.first, moved.second):
        layer.to_backend("aer:fake_manila")
    expected = plain_outputs(moved, data)
    assert torch.allclose(found.outputs("aer:fake_manila"), expected, atol=CLOSE)
    # Nobody named it, and everything is compared with it.
    reference, noisy = found.stages
    assert (reference.stage, reference.is_reference) == ("aer", True)
    assert all(layer.rmse and layer.rmse > 0.001 for layer in noisy.layers)
    first, second = noisy.layers
    assert first.own_rmse == first.rmse
    # What it was given differs too.
    assert second.own_rmse
    assert second.own_rmse != second.rmse


def test_each_layer_is_asked_for_all_items_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = get_backend("aer", shots=200, seed=1)
    asked = Counted(backend, monkeypatch)
    found = validate(TwoLayers(), batches(size=2), [backend], run="a")
    assert asked.rows == [N_ITEMS, N_ITEMS]
    assert found.stages[1].shots == 200
    errors = [layer.shot_error for layer in found.stages[1].layers]
    assert all(error and 0.03 < error < 0.08 for error in errors)


def test_batches_make_no_difference() -> None:
    backend = GenericBackendV2(3, seed=1)
    one = validate(TwoLayers(), batches(size=12), [backend], run="a", shots=100)
    other = validate(TwoLayers(), batches(size=5), [backend], run="b", shots=100)
    names = [stage.stage for stage in one.stages]
    assert torch.allclose(one.outputs(names[1]), other.outputs(names[1]), atol=CLOSE)


def test_everything_is_left_as_it_was() -> None:
    model = TwoLayers()
    model.train()
    model.front.eval()
    modes = [module.training for module in model.modules()]
    networks = [model.first.neural_network, model.second.neural_network]
    state = {name: each.clone() for name, each in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)

    def broken(outputs: Tensor, targets: Tensor) -> float:
        raise RuntimeError("broken")

    for metrics in ({}, {"broken": broken}):
        if metrics:
            with pytest.raises(OptionError, match="'broken' fails"):
                validate(model, batches(), ["aer", "aer:fake_manila"], run="b", metrics=metrics)
            # What the user's own error says may be more than a record should tell.
            assert (OwnRun(Path("b")).state.error or "").endswith("and targets (12,): RuntimeError")
        else:
            validate(model, batches(), ["aer", "aer:fake_manila"], run="a")
        assert [module.training for module in model.modules()] == modes
        assert model.first.neural_network is networks[0]
        assert model.second.neural_network is networks[1]
    assert all(torch.equal(model.state_dict()[name], each) for name, each in state.items())
    assert torch.equal(torch.rand(2), expected)


def test_a_model_that_fails_leaves_its_layers() -> None:
    model = OneLayer()
    network = model.circuit.neural_network
    with pytest.raises(RuntimeError):
        validate(model, [(torch.randn(2, 9), torch.zeros(2))], run="a")
    assert model.circuit.neural_network is network
    assert not Path("a").exists()


def test_double_precision_stays() -> None:
    model = OneLayer().double()
    data = [(x.double(), y.double()) for x, y in batches(torch.randn(N_ITEMS))]
    found = validate(model, data, run="a")
    assert torch.allclose(found.outputs("aer").double(), plain_outputs(model, data), atol=1e-6)
    assert next(model.parameters()).dtype == torch.float64


def test_regression_and_own_metrics() -> None:
    data = batches(torch.linspace(-1, 1, N_ITEMS))

    def worst(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.squeeze(1) - targets).abs().max()

    model = OneLayer()
    found = validate(model, data, run="a", metrics={"worst": worst})
    assert found.task == "regression"
    truth = torch.cat([targets for _, targets in data])
    expected = float(worst(plain_outputs(model, data), truth))
    assert found.score("worst", "aer") == pytest.approx(expected, abs=CLOSE)
    assert set(found.stage("aer").scores) == {"RMSE", "MAE", "R²", "worst"}


def test_multi_label() -> None:
    targets = (torch.arange(2 * N_ITEMS).reshape(N_ITEMS, 2) % 3 == 0).float()
    model = OneLayer(2)
    with pytest.raises(OptionError, match="task='classification'"):
        validate(model, batches(targets), run="a")
    found = validate(model, batches(targets), ["aer", "native"], run="a", task="multi-label")
    assert {"F1", "F1 of label 0", "F1 of label 1"} < set(found.stage("aer").scores)
    agreement = found.stage("native").agreement
    assert agreement is not None
    assert agreement.value == 1


def test_bfloat16_targets_are_kept() -> None:
    targets = torch.linspace(0, 1, N_ITEMS).bfloat16()
    found = validate(OneLayer(), batches(targets), run="a")
    assert found.score("RMSE", "aer") is not None
    assert OwnRun(Path("a")).arrays()["targets"].dtype == "float32"


def test_calibration_brings_outputs_nearer() -> None:
    training = batches(size=3)
    found = validate(
        TwoLayers(),
        [(x + 0.1, y) for x, y in batches()],
        ["aer:fake_manila"],
        run="a",
        calibrate=8,
        calibration_data=training,
    )
    raw, corrected = found.stages[1:]
    assert corrected.stage == "aer:fake_manila, calibrated"
    assert corrected.calibrated == 8
    for before, after in zip(raw.layers, corrected.layers, strict=True):
        assert before.rmse
        assert after.rmse
        assert after.rmse < before.rmse / 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"calibrate": 8}, "needs calibration_data"),
        ({"calibration_data": batches()}, "without calibrate=N"),
        ({"calibrate": 8, "calibration_data": batches()}, "no noise to calibrate"),
        ({"options": {"copy": 1}}, "unknown option 'copy'"),
        ({"shots": 0}, "shots"),
        ({"metrics": [max]}, "a dict of functions of outputs and targets by name, got a list"),
    ],
)
def test_options_without_a_meaning_are_refused(given: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        validate(TwoLayers(), batches(), run="a", **given)


def test_outputs_have_the_precision_of_the_model() -> None:
    data = [(inputs.double(), truth) for inputs, truth in batches()]
    model = TwoLayers().double()
    found = validate(model, data, run="a").outputs("aer")
    assert found.dtype == torch.float64
    assert torch.allclose(found, plain_outputs(model, data), rtol=0, atol=1e-12)
    assert validate(TwoLayers(), batches(), run="b").outputs("aer").dtype == torch.float32
