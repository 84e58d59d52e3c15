"""A model of the user's own on simulators: what it answers, what is kept, what is left alone."""

from __future__ import annotations

import copy
import json
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from qiskit.providers.fake_provider import GenericBackendV2
from safetensors.torch import load_file
from torch import Tensor, nn

from qbackend import LayerSpec, QuantumLayer, QuantumPointwiseConv2d, get_backend, validate
from qbackend.errors import InputError, OptionError, RunFolderError
from qbackend.seam.jobs import Job
from qbackend.seam.requests import Request
from qbackend.validation.folder import OwnRun
from qbackend.validation.result import Validation

from .nets import N_ITEMS, OneLayer, TwoLayers, batches, own_circuit, plain_outputs

CLOSE = 1e-5
"""Of float32 networks around circuits in float64."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Counted:
    """Counts the requests of a backend, and their rows."""

    def __init__(self, backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[int] = []
        submit = backend.submit

        def counted(request: Request) -> Job:
            self.rows.append(len(request.parameters))
            return submit(request)

        monkeypatch.setattr(backend, "submit", counted)


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


class Pixels(nn.Module):
    """Convolutions by circuits, one behind the other."""

    def __init__(self) -> None:
        super().__init__()
        self.one = QuantumPointwiseConv2d(2, 2, depth=1, seed=1)
        self.two = QuantumPointwiseConv2d(2, 3, depth=1, seed=2, length=True)

    def forward(self, images: Tensor) -> Tensor:
        return self.two(self.one(images)).mean(dim=(2, 3))


def test_layers_on_every_pixel() -> None:
    images = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    data, model = [(images, torch.tensor([0, 1]))], Pixels()
    found = validate(model, data, ["aer", "aer:fake_manila"], run="a")
    assert torch.allclose(found.outputs("aer"), plain_outputs(model, data), atol=CLOSE)
    assert {layer.rows for layer in found.stages[1].layers} == {18}


class Twice(nn.Module):
    """One layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = QuantumLayer(own_circuit(), backend="aer", seed=1)

    def forward(self, features: Tensor) -> Tensor:
        return self.layer(self.layer(features[:, :2]))


def test_a_layer_that_is_called_twice() -> None:
    model, data = Twice(), batches(torch.zeros(N_ITEMS, 2) + 0.5)
    found = validate(model, data, ["aer", "aer:fake_manila"], run="a")
    assert torch.allclose(found.outputs("aer"), plain_outputs(model, data), atol=CLOSE)
    assert found.stages[0].layers[0].rows == 2 * N_ITEMS


class Lent(nn.Module):
    """A layer that is called with weights of the model's in the place of its own."""

    def __init__(self, *, by_batch: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        spec = LayerSpec(n_wires=2, encoding="angle", ansatz="basic_entangler", n_layers=1)
        self.layer = QuantumLayer(spec, backend="aer", seed=1)
        self.lent = nn.Parameter(6 * torch.rand(2, spec.n_weights))
        self.by_batch = by_batch

    def forward(self, features: Tensor) -> Tensor:
        found = features[:, :2]
        for weights in self.lent:
            moved = weights + found[0, 0] if self.by_batch else weights
            found = torch.func.functional_call(self.layer, {"weight": moved}, (found,))
        return found


def test_weights_are_those_that_the_model_computes_with() -> None:
    model, data = Lent(), batches(torch.zeros(N_ITEMS, 2) + 0.5)
    found = validate(model, data, ["aer", "aer:fake_manila"], run="a")
    for stage, name in zip(found.stages, ("aer", "aer:fake_manila"), strict=True):
        model.layer.to_backend(name)
        assert torch.allclose(found.outputs(name), plain_outputs(model, data), atol=CLOSE)
        assert stage.layers[0].rows == 2 * N_ITEMS
    with pytest.raises(InputError, match="differ from batch to batch"):
        validate(Lent(by_batch=True), data, run="b")


class Drifting(nn.Module):
    """Its features change from call to call."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.layer = QuantumLayer(LayerSpec(n_wires=2, encoding="angle"), backend="aer", seed=1)
        self.calls, self.size = 0, size

    def forward(self, features: Tensor) -> Tensor:
        self.calls += 1
        noise = 0.1 * torch.rand_like(features[:, :2])
        return self.layer(features[:, :2] + noise + self.size * self.calls)


def test_what_is_random_is_the_same_each_time_and_what_drifts_is_refused() -> None:
    data = batches(torch.zeros(N_ITEMS, 2) + 0.5)
    one = validate(Drifting(0.0), data, run="a").outputs("aer")
    assert torch.equal(one, validate(Drifting(0.0), data, run="b").outputs("aer"))
    with pytest.raises(InputError, match="not the same from call to call"):
        validate(Drifting(0.1), data, run="c")


class Unused(nn.Module):
    """Has a layer, and never calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = QuantumLayer(LayerSpec(n_wires=2), backend="aer", seed=1)

    def forward(self, features: Tensor) -> Tensor:
        return features


class Catching(nn.Module):
    """Catches whatever goes past it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = QuantumLayer(LayerSpec(n_wires=2, encoding="angle"), backend="aer", seed=1)

    def forward(self, features: Tensor) -> Tensor:
        try:
            return self.layer(features[:, :2])
        except:  # noqa: E722
            return features[:, :2]


def test_bfloat16_targets_are_kept() -> None:
    targets = torch.linspace(0, 1, N_ITEMS).bfloat16()
    found = validate(OneLayer(), batches(targets), run="a")
    assert found.score("RMSE", "aer") is not None
    assert OwnRun(Path("a")).arrays()["targets"].dtype == "float32"


@pytest.mark.parametrize(
    ("model", "backends", "words"),
    [
        (nn.Linear(5, 3), ["aer"], "no quantum layer"),
        (Unused(), ["aer"], "never calls its quantum layers"),
        (Catching(), ["aer"], "an `except` without a name"),
        (TwoLayers(), "aer", "a list of names"),
        (TwoLayers(), [], "a list of names"),
        (TwoLayers(), ["aer", "aer"], "more than once"),
        (TwoLayers(), ["fake_manila", "ibm_fez"], "different services"),
        (len, ["aer"], "torch.nn.Module"),
    ],
    ids=["classical", "unused", "catching", "text", "none", "twice", "services", "function"],
)
def test_what_cannot_be_validated_is_told(model: Any, backends: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        validate(model, batches(), backends, run="a")
    assert not Path("a").exists()


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


def test_a_finished_run_is_read_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = get_backend("aer", shots=50, seed=1)
    asked = Counted(backend, monkeypatch)
    first = validate(TwoLayers(), batches(), [backend], run="a")
    again = validate(TwoLayers(), batches(), [backend], run="a")
    assert len(asked.rows) == 2
    assert again == first == Validation.read("a")
    assert json.loads(json.dumps(again.to_dict()))["task"] == "classification"
    text = str(again)
    assert "accuracy" in text
    assert "RMSE of second" in text
    kept = load_file("a/checkpoint.safetensors")
    assert torch.equal(kept["head.weight"], TwoLayers().head.weight)


def test_a_call_for_something_else_is_told_what_differs() -> None:
    validate(TwoLayers(), batches(), run="a")
    calls: dict[str, Any] = {
        "model.sha256": (TwoLayers(seed=1), batches(), ["aer"], {}),
        "data.sha256": (TwoLayers(), batches(torch.ones(N_ITEMS).long()), ["aer"], {}),
        "run.backends": (TwoLayers(), batches(), ["aer", "native"], {}),
        "run.seed: 0 there, 4 now": (TwoLayers(), batches(), ["aer"], {"seed": 4}),
        "judged.metrics": (TwoLayers(), batches(), ["aer"], {"metrics": {"a": max}}),
    }
    for words, (model, data, backends, given) in calls.items():
        with pytest.raises(RunFolderError, match="It differs in") as told:
            validate(model, data, backends, run="a", **given)
        assert words in str(told.value)
    Path("b").mkdir()
    (Path("b") / "notes.txt").write_text("mine")
    for taken in ("b", "b/notes.txt"):
        # Before anything else is looked at.
        with pytest.raises(RunFolderError, match="not an empty folder"):
            validate(nn.Linear(1, 1), batches(), run=taken)


def other_forward(code: str) -> type[nn.Module]:
    """A class `Own` whose source, in a file, has that last line."""
    path = Path(f"own_{abs(hash(code))}.py")
    path.write_text(
        "from tests.validation.nets import OneLayer\n\n"
        f"class Own(OneLayer):\n    def forward(self, features):\n        {code}\n"
    )
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    # The source of a class is found by its module.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module.Own


def test_a_model_that_computes_something_else_is_another() -> None:
    data = batches(torch.randn(N_ITEMS, 1))
    own = other_forward("return super().forward(features)")
    found = validate(own(), data, run="a")
    commented = other_forward("return super().forward(features)  # as it is")
    assert validate(commented(), data, run="a") == found
    with pytest.raises(RunFolderError, match="the source of the class Own has changed"):
        validate(other_forward("return -super().forward(features)")(), data, run="a")
    model = own()
    model.drop = nn.Identity()
    with pytest.raises(RunFolderError, match=r"model: its modules are of other classes"):
        validate(model, data, run="a")


def test_a_run_of_before_the_source_was_recorded_goes_on() -> None:
    data = batches(torch.randn(N_ITEMS, 1))
    found = validate(OneLayer(), data, run="a")
    config = tomllib.loads(Path("a/config.toml").read_text())
    assert config["model"].pop("code")
    Path("a/config.toml").write_text(tomli_w.dumps(config))
    assert validate(OneLayer(), data, run="a") == found


def test_outputs_have_the_precision_of_the_model() -> None:
    data = [(inputs.double(), truth) for inputs, truth in batches()]
    model = TwoLayers().double()
    found = validate(model, data, run="a").outputs("aer")
    assert found.dtype == torch.float64
    assert torch.allclose(found, plain_outputs(model, data), rtol=0, atol=1e-12)
    assert validate(TwoLayers(), batches(), run="b").outputs("aer").dtype == torch.float32


def test_a_lazy_model_is_called_once_before() -> None:
    model = TwoLayers()
    model.head = nn.LazyLinear(3)
    with pytest.raises(OptionError, match=r"without a shape \(head\.weight, head\.bias\)"):
        validate(model, batches(), run="a")
    model(batches()[0][0])
    assert validate(model, batches(), run="a").task == "classification"


def test_an_interrupted_run_goes_on_with_the_next_stage() -> None:
    calls = []

    def count(outputs: Tensor, targets: Tensor) -> float:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 0.0

    given: Any = (TwoLayers(), batches(), ["aer", "aer:fake_quito", "aer:fake_manila"])
    with pytest.raises(KeyboardInterrupt):
        validate(*given, run="a", metrics={"count": count})
    folder = OwnRun.open(Path("a"))
    assert folder.status == "interrupted"
    assert [stage.stage for stage in folder.stages()] == ["aer"]
    found = validate(*given, run="a", metrics={"count": count})
    assert [stage.stage for stage in found.stages] == ["aer", "aer:fake_quito", "aer:fake_manila"]
    assert folder.status == "finished"
    assert len(Path("a/validation.csv").read_text().splitlines()) == 1 + 3 * N_ITEMS


def test_a_repetition_is_set_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    data = batches()

    def sampled(seed: int) -> Any:
        return [get_backend("aer", shots=1000, seed=seed)]

    validate(TwoLayers(), data, sampled(1), run="a")
    found = validate(TwoLayers(), data, sampled(2), run="b", seed=5, repeats="a")
    (moved,) = found.moved
    first, second = moved.layers
    assert first.by_chance
    # Of so many values the root mean square is within five standard errors of its own.
    assert 0 < first.rmse < first.by_chance * (1 + 5 / (2 * N_ITEMS) ** 0.5)
    # It was given what the first has answered, which the shots have moved.
    assert second.by_chance is None
    assert second.rmse > 0
    assert "by chance" in str(found)
    with pytest.raises(RunFolderError, match=r"model\.sha256"):
        validate(TwoLayers(seed=1), data, sampled(2), run="c", repeats="a")
