"""A network, data, loss and metric of the user's own, from training to a device."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.assembly.construct import trained_model
from experiments.assembly.own_checks import measured
from experiments.records.folder import RunFolder
from experiments.report.write import write_report
from experiments.training.train import Training
from qbackend.errors import ConfigError, OptionError
from qbackend.machines.ledger.ledger import Ledger

from ..config.own_code import NET, write_own
from ..report.pages import Page
from ..support.command_line import Qhc, assert_refused, last_line

TRAINED = ("run", "--recipe", "mine.toml")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files, and a run of theirs."""
    from ..support.command_line import exit_code, without_reports

    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch, without_reports():
        patch.chdir(folder)
        write_own()
        assert exit_code(*TRAINED, "--out", "made", "--json") == 0
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path, qhc: Qhc) -> RunFolder:
    """A copy of that run in the working folder, with the files where they were."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return RunFolder.open(Path("made"))


def test_the_run_has_all_of_it_on_record(run: RunFolder) -> None:
    config = run.config()
    assert (config.model.name, config.data.name) == ("my_net.py:build", "my_data.py:load")
    assert config.code is not None
    assert set(config.code.sha256) == {"my_net.py", "angles.py", "my_data.py", "my_loss.py"}
    assert (run.path / "code" / "my_net.py").read_text() == NET.lstrip()
    # Five inputs, two wires, three classes; two layers of two weights each.
    assert (run.state.parameters, run.state.quantum_parameters) == (12 + 4 + 9, 4)
    assert [layer["n_wires"] for layer in run.own_layers] == [2, 2]
    epochs, tested = run.epochs(), run.evaluations()[-1]
    assert all(set(epoch.validation.metrics or {}) == {"margin"} for epoch in epochs)
    assert "validation_metrics_margin" in (run.path / "metrics.csv").read_text().splitlines()[0]
    with np.load(run.evaluation) as arrays:
        top = np.sort(arrays["logits"])[:, ::-1]
        assert "samples" not in arrays.files
    margin = float((top[:, 0] - top[:, 1]).mean())
    assert (tested.metrics or {})["margin"] == pytest.approx(margin, rel=1e-6)
    assert [scores.name for scores in tested.per_class] == ["low", "middle", "high"]


def test_a_page_is_made_without_the_code(run: RunFolder) -> None:
    shutil.rmtree(run.path / "code")
    for name in ("my_net.py", "my_data.py"):
        Path(name).unlink()
    page = Page(write_report([run.path]))
    assert "a network of your own, arm quantum, 2 quantum layers" in page.text
    assert "my_loss.py:doubled; losses of validation and test are cross-entropies" in page.text
    assert "inputs are of shape (5,), no images" in page.text
    assert "2, in order of 2, 2 wires; the widest is drawn" in page.text
    assert "margin" in page.text
    assert {"circuit", "confusion", "classes"} <= set(page.sections)
    assert "predictions" not in page.sections


def test_an_interrupted_run_goes_on_by_its_own_copy(
    run: RunFolder, qhc: Qhc, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Training._epoch

    def stopped(self: Training, epoch: int, best: object) -> object:
        if epoch == 2:
            raise KeyboardInterrupt
        return whole(self, epoch, best)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_epoch", stopped)
        assert qhc(*TRAINED, "--out", "stopped")[0] == 130
    # Another network, and a neighbour that is not even Python any more.
    Path("my_net.py").write_text(NET.replace("nn.Linear(n_inputs, width)", "nn.Identity()"))
    Path("angles.py").write_text("def (:")
    code, _, err = qhc("resume", "stopped", "--json")
    assert code == 0, err
    assert "note: my_net.py in" in err
    assert "has changed since: the run's own copy is used" in err
    assert Path("stopped/checkpoint.safetensors").read_bytes() == run.checkpoint.read_bytes()


def test_several_layers_are_validated_in_order_on_a_device(run: RunFolder, qhc: Qhc) -> None:
    code, out, err = qhc("run", "--checkpoint", "made", "--backend", "fake_manila", "--limit", "6",
                         "--shots", "4096", "--out", "there", "--json")  # fmt: skip
    assert code == 0, err
    there = RunFolder.open(Path("there"))
    assert (there.path / "code" / "my_net.py").exists()
    line, ledger = last_line(out), Ledger.existing(there.ledger)
    entries = ledger.entries()
    ledger.close()
    assert line["jobs"] == len(entries) == 2
    assert line["metrics"].keys() == {"margin"}
    # The second request has what the machine answered to the first, through what lies between.
    model, _ = trained_model(run.checkpoint, backend="aer", seed=0)
    with np.load(there.validation) as arrays:
        ideal, machine = arrays["ideal_logits"], arrays["machine_logits"]
        indices = torch.from_numpy(arrays["indices"])
        assert "changed_images" not in arrays.files
    data = {}
    exec(Path("my_data.py").read_text(), data)
    inputs = torch.stack([data["load"]()[1][int(index)][0] for index in indices])
    with torch.no_grad():
        assert np.abs(model.eval()(inputs).numpy() - ideal).max() < 1e-5
    assert 0 < np.abs(machine - ideal).max() < np.abs(ideal).max()


def test_all_quantum_layers_are_on_the_backend_of_the_run(run: RunFolder) -> None:
    model, _ = trained_model(run.checkpoint, backend="native", seed=0)
    assert [layer.backend.name for layer in model.layers] == ["native", "native"]


def test_its_arms_are_compared(run: RunFolder, qhc: Qhc) -> None:
    code, _, err = qhc("ablate", "arms", "--recipe", "mine.toml", "--seeds", "2",
                         "--epochs", "1", "--out", "arms")  # fmt: skip
    assert code == 0, err
    content = json.loads(Path("arms/arms.json").read_text())
    assert [arm["arm"] for arm in content["arms"]] == ["quantum", "linear"]
    assert content["arms"][1]["parameters"] == 12 + 2 * 6 + 9
    # Moved with their code, they are the same runs.
    for name in ("my_net.py", "angles.py", "my_data.py", "my_loss.py"):
        assert Path("arms/linear-seed1/code", name).exists()


def test_a_checkpoint_without_its_code_is_refused(run: RunFolder, qhc: Qhc) -> None:
    shutil.rmtree(run.path / "code")
    code, _, err = qhc("run", "--checkpoint", "made", "--limit", "3", "--out", "same")
    assert code == 0, err
    Path("my_net.py").write_text(NET + "# another\n")
    code, _, err = qhc("run", "--checkpoint", "made", "--limit", "3")
    assert code == 2
    assert "my_net.py has changed since" in err
    Path("my_net.py").unlink()
    with pytest.raises(ConfigError, match=r"my_net\.py is not there any more"):
        trained_model(run.checkpoint, backend="aer", seed=0)


def test_a_layer_that_is_passed_twice_is_compared_under_no_mitigation(
    run: RunFolder, qhc: Qhc
) -> None:
    shared = NET.replace("nn.ModuleList(layers)", "nn.ModuleList([layers[0], layers[0]])")
    Path("my_net.py").write_text(shared)
    code, _, err = qhc(*TRAINED, "--epochs", "1", "--out", "shared")
    assert code == 0, err
    assert RunFolder.open(Path("shared")).state.quantum_parameters == 2
    on_fake = ("--checkpoint", "shared", "--backend", "fake_manila", "--shots", "64")
    code, _, err = qhc("compare", "mitigation", *on_fake, "--limit", "4")
    assert code == 2
    assert "passes the quantum layer of my_net.py:build 2 times" in err
    code, _, err = qhc("run", *on_fake, "--limit", "4", "--out", "there")
    assert code == 0, err
    with np.load("there/validation.npz") as arrays:
        assert "machine_outputs" not in arrays.files


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("model.arguments.widht=3", "cannot be called: it takes no widht. It may ask by name for"),
        (
            "model.arguments.width=0",
            "my_net.py:build: n_wires must be a whole number of at least 1, got 0 (my_net",
        ),
        ("layer.n_wires=3", "my_net.py:build takes none: give it a parameter `layer`"),
        (
            "data.arguments.features=1",
            "my_data.py:load failed: IndexError: index 1 is out of bounds",
        ),
        ("data.augmentation.flip=true", "of shape (5,); leave it out"),
        ("layer.n_layers=3", "layer.n_layers: the layer of a network of your own needs n_wires"),
        ("train.loss=torch.nn:PReLU", "torch.nn:PReLU has parameters of its own (weight)"),
        ("train.loss=my_loss.py:margin", ""),
        ("train.metrics=['my_loss.py:doubled', 'torch.nn:Flatten']", "fails on logits (4, 3)"),
        (
            "data.name=digits",
            "the network of my_net.py:build fails on inputs of shape (4, 1, 8, 8)",
        ),
        ("model.name=hybrid-digits", "hybrid-digits takes images (C, H, W), and inputs of my_data"),
        ("run.backend=ibm", "are known once its data are read, after the machine is chosen"),
    ],
)
def test_what_does_not_fit_is_told_before_the_training(
    trained: Path, qhc: Qhc, setting: str, words: str
) -> None:
    recipe = str(trained / "mine.toml")
    if not words:
        code, _, err = qhc("run", "--recipe", recipe, "--epochs", "1", "--set", setting)
        assert code == 0, err
        return
    assert_refused(qhc, words, "run", "--recipe", recipe, "--set", setting)


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        (
            "nn.Linear(width, n_classes)",
            "nn.LazyLinear(n_classes)",
            "parameters without a shape (head.weight, head.bias)",
        ),
        (
            "def build(shape, n_classes, arm,",
            "def build(shape, n_classes, /, arm,",
            "it is given shape, n_classes by name, and the `/` behind them forbids that",
        ),
    ],
)
def test_a_network_that_could_not_be_made_again_is_refused(
    qhc: Qhc, was: str, now: str, words: str
) -> None:
    write_own()
    Path("my_net.py").write_text(NET.replace(was, now))
    code, out, err = qhc(*TRAINED, "--out", "made")
    assert (code, out) == (2, ""), err
    assert words in err
    assert not Path("made").exists()


def test_a_lazy_network_that_was_called_is_used_again(qhc: Qhc) -> None:
    write_own()
    lazy = NET.replace("nn.Linear(width, n_classes)", "nn.LazyLinear(n_classes)").replace(
        "    return Net(shape[0], n_classes, arm, width)",
        "    net = Net(shape[0], n_classes, arm, width)\n"
        "    net(torch.zeros(2, *shape))\n    return net",
    )
    Path("my_net.py").write_text(lazy)
    code, _, err = qhc(*TRAINED, "--epochs", "1", "--out", "made")
    assert code == 0, err
    code, _, err = qhc("run", "--checkpoint", "made", "--limit", "4")
    assert code == 0, err


def test_a_metric_that_fails_on_other_sizes_is_named() -> None:
    def only_four(logits: torch.Tensor, labels: torch.Tensor) -> float:
        if len(logits) != 4:
            raise ValueError("only four")
        return 1.0

    logits, labels = torch.zeros(5, 3), torch.zeros(5).long()
    with pytest.raises(OptionError, match=r"metric mine fails on logits \(5, 3\).*only four"):
        measured({"mine": only_four}, logits, labels)
