"""Another kind of network takes one file: this one, and every command knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Unpack

import pytest
import torch
from torch import Tensor, nn

from experiments.assembly.construct import model_plan, trained_model
from experiments.assembly.thread_count import batch_work
from experiments.config.recipe import load_config
from experiments.records.folder import RunFolder
from experiments.report.write import write_report
from models import MODELS, ModelPlan, build_model
from models.plan import LayerOptions
from models.streams import weights_from
from qbackend import LayerSpec, QuantumLayer
from qbackend.errors import ConfigError, OptionError, SpecError

from ..report.pages import Page
from ..support.command_line import Qhc, last_line


@dataclass(frozen=True)
class TwinSpec:
    """As many circuits side by side as there are heads."""

    heads: int = 2
    n_layers: int = 1

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise SpecError(f"a twin network has at least one head, got {self.heads}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TwinSpec:
        return cls(**values)


class Twins(nn.Module):
    """Mean pixels to angles, to circuits side by side, to logits."""

    def __init__(self, reduce: nn.Module, circuits: list[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.reduce, self.circuits, self.head = reduce, nn.ModuleList(circuits), head

    def forward(self, images: Tensor) -> Tensor:
        angles = self.reduce(images.flatten(1))
        return self.head(torch.cat([circuit(angles) for circuit in self.circuits], dim=1))


@dataclass(frozen=True)
class TwinPlan(ModelPlan):
    """A reducer, circuits, a linear head; `side` is the images'."""

    side: int
    spec: TwinSpec = field(default=TwinSpec(), kw_only=True)

    arms = ("circuits", "angles")
    quantum_arms = ("circuits",)
    plain_arm = "angles"
    layer_keys = ("heads",)

    def describe(self, arm: str) -> str:
        return f"of {self.spec.heads} heads ({arm})"

    def build(self, arm: str, seed: int, **options: Unpack[LayerOptions]) -> nn.Module:
        heads = range(self.spec.heads)
        with weights_from(seed, "network"):
            reduce = nn.Linear(self.in_channels * self.side**2, 3)
            head = nn.Linear(3 * len(heads), self.n_classes)
        layer = LayerSpec(3, "angle", n_layers=self.spec.n_layers)
        circuits: list[nn.Module] = [
            QuantumLayer(layer, seed=seed + index, **options) if arm == "circuits" else nn.Tanh()
            for index in heads
        ]
        return Twins(reduce, circuits, head)


NAME = "twin-digits"
TRAINED = ("--set", f"model.name={NAME}", "--set", "model.arm=circuits")
FEW = ("--epochs", "1", "--limit", "20", "--train-limit", "64")


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, NAME, TwinPlan(1, 10, side=8))


def test_it_is_trained_validated_and_reported(qhc: Qhc) -> None:
    chosen = (*TRAINED, "--set", "layer.heads=3", "--set", "layer.n_layers=2")
    code, out, err = qhc("run", *chosen, *FEW, "--out", "made", "--json")
    assert code == 0, err
    accuracy, state = last_line(out)["accuracy"], RunFolder.open(Path("made")).state
    assert (state.quantum_parameters, state.parameters) == (3 * 6, 18 + 65 * 3 + 10 * 10)

    code, out, err = qhc("run", "--checkpoint", "made", "--limit", "20", "--backend", "native",
                         "--out", "again", "--json")  # fmt: skip
    assert code == 0, err
    assert last_line(out)["accuracy"] == accuracy

    model, info = trained_model(RunFolder.open(Path("made")).checkpoint, backend="native", seed=0)
    assert isinstance(model, Twins)
    assert (info.spec, len(model.circuits)) == ({"heads": 3, "n_layers": 2}, 3)

    page = Page(write_report([Path("made")]))
    assert f"The model {NAME} of 3 heads (circuits) was trained on digits for 1 epoch" in page.text
    assert "circuit" not in page.sections


def test_a_machine_is_asked_for_its_circuits_and_no_rows(qhc: Qhc) -> None:
    assert qhc("run", *TRAINED, *FEW, "--out", "made")[0] == 0
    code, out, err = qhc("estimate", "--checkpoint", "made", "--backend", "fake_manila",
                         "--limit", "5", "--json")  # fmt: skip
    assert code == 0, err
    assert last_line(out)["rows"] == 2 * 5
    code, _, err = qhc("run", "--checkpoint", "made", "--backend", "aer", "--rows", "40")
    assert code == 2
    assert "has no quantum pointwise convolutions" in err


def test_its_arms_its_own_keys_and_its_mistakes() -> None:
    settings = [f"model.name={NAME}", "model.arm=angles"]
    config = load_config("digits", [*settings, "layer.heads=4"])
    assert model_plan(config).spec == TwinSpec(heads=4)
    assert batch_work(config) == 64 * 2 * (64 * 3 + 3 * 4 * 10)
    assert sum(p.numel() for p in build_model(NAME, arm="angles").parameters()) == 195 + 70
    with pytest.raises(ConfigError) as caught:
        load_config("digits", [settings[0], "model.arm=circuit", "layer.head=4"])
    assert set(caught.value.mistakes) == {
        "model.arm: unknown arm 'circuit': did you mean 'circuits'?",
        "layer.head: no such key; did you mean 'heads'?",
    }
    with pytest.raises(ConfigError, match=r"layer\.heads: no such key"):
        load_config("digits", ["layer.heads=4"])
    with pytest.raises(SpecError, match="at least one head, got 0"):
        model_plan(load_config("digits", [*settings, "layer.heads=0"]))
    with pytest.raises(OptionError, match="takes a TwinSpec, not a LayerSpec"):
        build_model(NAME, arm="angles", spec=LayerSpec(3))
