"""The same call again: what is finished, what is interrupted, what is another, what repeats."""

from __future__ import annotations

import json
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from qbackend import get_backend, validate
from qbackend.errors import RunFolderError
from qbackend.validation.folder import OwnRun
from qbackend.validation.result import Validation

from .nets import N_ITEMS, Counted, OneLayer, TwoLayers, batches


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
