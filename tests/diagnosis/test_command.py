"""`qhc diagnose`: recipes, runs and models of one's own, and what it leaves with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from experiments.diagnosis.diagnose import CHECKS, diagnose
from experiments.diagnosis.targets import Wishes, input_shape, subject_of

from ..support.command_line import Qhc, last_line

NET = """
import torch
from qbackend import LayerSpec, QuantumLayer

class Net(torch.nn.Module):
    def __init__(self, detaches):
        super().__init__()
        self.front = torch.nn.Linear(64, 3)
        self.circuit = QuantumLayer(LayerSpec(3, encoding="angle"), "aer", seed=1)
        self.head = torch.nn.Linear(3, 10)
        self.detaches = detaches

    def forward(self, images):
        features = torch.tanh(self.front(images.flatten(1)))
        return self.head(self.circuit(features.detach() if self.detaches else features))

class Pair(torch.nn.Module):
    def forward(self, images):
        return images, images

def spoiled():
    torch.manual_seed(0)
    return Net(True)

def sized(shape, n_classes, seed):
    assert (shape, n_classes, seed) == ((1, 8, 8), 10, 3)
    return Net(True)

def pair():
    return Pair()

def sound():
    torch.manual_seed(0)
    return Net(False)

def with_optimiser():
    model = sound()
    return model, torch.optim.Adam(model.head.parameters())
"""


@pytest.fixture
def net() -> None:
    Path("net.py").write_text(NET)


def test_a_recipe_is_looked_at_as_it_starts(qhc: Qhc) -> None:
    """Of the published network the docs explain this one warning, and there is no other."""
    code, out, _ = qhc("diagnose", "digits", "--json")
    found = last_line(out)
    assert code == 0
    assert [each["check"] for each in found["checks"]] == list(CHECKS)
    assert {
        each["check"]: [finding["severity"] for finding in each["findings"]]
        for each in found["checks"]
        if each["findings"]
    } == {"softmax": ["warning"]}
    assert (found["defects"], found["warnings"], found["notes"]) == (0, 1, 0)


def test_a_run_is_looked_at_as_it_was_trained(qhc: Qhc) -> None:
    assert qhc("run", "--epochs", "1", "--out", "run")[0] == 0
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    checks = "loss,noise,softmax"
    code, out, _ = qhc("diagnose", "run", "--backend", "aer:fake_manila", "--only", checks)
    assert code == 0
    assert "(weights are trained)" in out
    assert "noise of 'aer:fake_manila' moves outputs by up to 0." in out
    assert {path: path.read_bytes() for path in before} == before
    trained = subject_of("run", Wishes(Path("data")))
    initial = subject_of("digits", Wishes(Path("data")))
    assert trained.trained
    assert not initial.trained
    assert torch.equal(trained.inputs, initial.inputs)
    own, other = trained.parts[0].weight(), initial.parts[0].weight()
    assert not torch.equal(own, other)
    named = subject_of("run/checkpoint.safetensors", Wishes(Path("data")))
    assert torch.equal(named.parts[0].weight(), own)


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize(("name", "code"), [("spoiled", 1), ("sound", 0)])
def test_it_leaves_as_linters_do(qhc: Qhc, name: str, code: int) -> None:
    found, out, err = qhc("diagnose", f"net.py:{name}", "--data", "digits")
    assert found == code, out + err
    assert ("no gradient reaches what is in front" in out) == bool(code)


@pytest.mark.usefixtures("net")
def test_an_optimiser_may_come_along(qhc: Qhc) -> None:
    command = ("diagnose", "net.py:with_optimiser", "--data", "digits", "--only", "optimiser")
    code, out, _ = qhc(*command, "--json")
    (check,) = last_line(out)["checks"]
    assert code == 1
    (finding,) = check["findings"]
    assert finding["what"] == "quantum weights are missing from the optimiser"
    assert finding["evidence"] == ["1 of 1 are in none of its 1 groups: circuit.weight"]


@pytest.mark.usefixtures("net")
def test_a_factory_is_given_what_it_asks_for(qhc: Qhc) -> None:
    command = ("diagnose", "net.py:sized", "--seed", "3", "--only", "gradients")
    assert qhc(*command, "--data", "digits")[0] == 1
    code, _, err = qhc(*command, "--input-shape", "1x8x8")
    assert code == 2
    assert "needs arguments (n_classes)" in err
    assert "n_classes are known with --data" in err


@pytest.mark.usefixtures("net")
def test_random_numbers_do_where_there_is_no_data(qhc: Qhc) -> None:
    code, out, _ = qhc("diagnose", "net.py:spoiled", "--input-shape", "1x8x8", "--images", "32")
    assert code == 1
    assert "no gradient reaches what is in front" in out
    assert "no labels" in out


@pytest.mark.usefixtures("net")
def test_a_model_that_cannot_be_called_is_a_defect_itself(qhc: Qhc) -> None:
    code, out, _ = qhc("diagnose", "net.py:sound", "--input-shape", "1x7x7", "--only", "loss")
    assert code == 1
    assert "the model cannot be called with these inputs" in out
    assert "mat1 and mat2 shapes cannot be multiplied" in out


@pytest.mark.usefixtures("net")
def test_a_model_with_several_outputs_is_told_what_to_do(qhc: Qhc) -> None:
    code, _, err = qhc("diagnose", "net.py:pair", "--input-shape", "1x8x8")
    assert code == 2
    assert "the model answers with a tuple, and the checks need one tensor" in err


@pytest.mark.usefixtures("net")
def test_nothing_is_changed_by_looking() -> None:
    subject = subject_of("net.py:sound", Wishes(Path("data"), data="digits"))
    before = {name: each.clone() for name, each in subject.model.state_dict().items()}
    drawn = torch.get_rng_state()
    modes = [module.training for module in subject.model.modules()]
    diagnose(subject)
    assert all(torch.equal(each, before[name]) for name, each in subject.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert [module.training for module in subject.model.modules()] == modes
    assert all(each.grad is None for each in subject.model.parameters())


def test_shapes_are_written_in_two_ways() -> None:
    assert input_shape("1x28x28") == input_shape("1,28,28") == (1, 28, 28)
    assert input_shape("16") == (16,)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_setting_is_no_part_of_a_factory(net: None, qhc: Qhc) -> None:
    asked = ("diagnose", "net.py:sound", "--data", "folder:photos", "--set", "data.size=32")
    code, _, err = qhc(*asked)
    assert code == 2
    assert "--set data.size=32 is for recipes and runs" in err
    assert "in a recipe: --data my.toml" in err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--images", "1"), "images must be a whole number of at least 2, got 1"),
        (("--only", ""), "'' names nothing"),
        (("--only", "gradients,,noise"), "has a comma without a name beside it"),
    ],
)
def test_too_little_is_refused(qhc: Qhc, flags: tuple[str, str], words: str) -> None:
    """Of one image a BatchNorm that is trained makes nothing; no check is not all of them."""
    code, _, err = qhc("diagnose", "digits", *flags)
    assert code == 2
    assert words in " ".join(err.split())
