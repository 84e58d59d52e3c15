"""The command line: what it takes, what it leaves behind, and what it leaves with."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.stats import ttest_rel

import experiments.run as run_module
from experiments.cli import EXAMPLES, cli, main
from experiments.commands.ablate import ABLATE_EXAMPLES, QPC_EXAMPLES
from experiments.commands.look import BENCH_EXAMPLES
from experiments.commands.options import chosen_settings
from experiments.commands.run import ESTIMATE_EXAMPLES, RUN_EXAMPLES
from experiments.recipe import load_config
from experiments.record import RunFolder
from qbackend import registry
from qbackend.aer import AerSampled
from qbackend.base import Capabilities
from qbackend.errors import BackendError

ALWAYS = {"--debug", "--help", "-h"}
RECIPE_FLAGS = {
    "--recipe", "--backend", "--dataset", "--data-root", "--limit", "--epochs", "--shots", "--set",
}  # fmt: skip
ACCOUNT_FLAGS = {"--credentials", "--profile"}
RUN_FLAGS = {
    *RECIPE_FLAGS, *ACCOUNT_FLAGS, "--seed", "--checkpoint", "--encoder", "--calibrate", "--rows",
    "--train", "--train-limit", "--gradient", "--primitive", "--generation", "--mode", "--session",
    "--precision", "--dynamical-decoupling", "--gate-twirling", "--measurement-twirling",
    "--readout-mitigation", "--zne", "--max-execution-time", "--max-qpu-seconds", "--deadline",
    "--json",
}  # fmt: skip
OPTIONS = {
    "": {"--version"},
    "run": {*RUN_FLAGS, "--out", "--yes", "--no-wait"},
    "estimate": RUN_FLAGS,
    "resume": {*ACCOUNT_FLAGS, "run", "--data-root", "--max-qpu-seconds", "--yes", "--json"},
    "jobs": {*ACCOUNT_FLAGS, "run", "--json"},
    "cancel": {*ACCOUNT_FLAGS, "run", "--json"},
    "report": {"runs", "--out"},
    "backends": {*ACCOUNT_FLAGS, "--spec", "--encoder", "--device"},
    "bench": {"--quick", "--case", "--backend", "--out", "--json"},
    "data": set(),
    "data list": {"--data-root"},
    "data get": {"name", "--data-root"},
    "ablate": set(),
    "ablate arms": {*RECIPE_FLAGS, "--arms", "--seeds", "--out"},
    "ablate qpc": {
        *RECIPE_FLAGS,
        "--arm",
        "--depth",
        "--loss",
        "--optimiser",
        "--full",
        "--seeds",
        "--engine",
        "--jobs",
        "--out",
    },
    "ablate noise": {
        *RECIPE_FLAGS - {"--backend"},
        "--device",
        "--part",
        "--strength",
        "--encoder",
        "--training",
        "--full",
        "--seeds",
        "--calibrate",
        "--engine",
        "--jobs",
        "--out",
    },
}
SMALL = ("--epochs", "2", "--set", "model.arm=linear")
TIMES = {"seconds", "validation_seconds", "cpu_seconds", "peak_memory_mib"}

Qhc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def qhc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Qhc:
    """The command in a folder of its own: exit code, standard output, standard error.

    Reports are left out: drawing takes longer than everything else here.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("experiments.runner.write_report", lambda runs: None)
    monkeypatch.setattr("experiments.ablate.write_report", lambda runs, out: None)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(arguments)
        captured = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, captured.out, captured.err

    return call


def commands(group: click.Group, path: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {path: group}
    for name, command in group.commands.items():
        full = f"{path} {name}".strip()
        found |= commands(command, full) if isinstance(command, click.Group) else {full: command}
    return found


def test_the_commands_and_their_options_are_these() -> None:
    found = {
        path: {name for parameter in command.get_params(click.Context(command))
               for name in (*parameter.opts, *parameter.secondary_opts)}
        for path, command in commands(cli).items()
    }  # fmt: skip
    assert {path: names - ALWAYS for path, names in found.items()} == OPTIONS
    assert all("--debug" in names for names in found.values())


def test_help_answers_at_once() -> None:
    """By processor time, which a busy machine does not stretch as it does the clock's."""
    program = [sys.executable, "-m", "experiments.cli", "--help"]

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(program, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.3


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; import experiments.cli; "
        "print({'torch', 'qiskit', 'numpy', 'rich', 'pydantic', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "line",
    [
        line.strip()
        for text in (
            EXAMPLES,
            RUN_EXAMPLES,
            ESTIMATE_EXAMPLES,
            ABLATE_EXAMPLES,
            QPC_EXAMPLES,
            BENCH_EXAMPLES,
        )
        for line in text.splitlines()
        if line.strip().startswith("qhc ")
    ],
)
def test_every_example_of_the_help_is_a_command(line: str) -> None:
    words = shlex.split(re.split(r" {3,}", line)[0])[1:]
    path = " ".join(words[:2]) if words[0] in ("data", "ablate") else words[0]
    command = commands(cli)[path]
    context = command.make_context(path, words[len(path.split()) :])
    if "settings" in context.params and not context.params.get("checkpoint"):
        load_config(context.params["recipe"] or "digits", chosen_settings(context.params))


def test_a_run_leaves_its_folder_and_one_line_of_json(qhc: Qhc) -> None:
    code, out, err = qhc("run", *SMALL, "--limit", "50", "--json")
    assert code == 0
    assert len(out.splitlines()) == 1
    line = json.loads(out)
    folder = RunFolder.open(Path(line["run"]))
    assert folder.path.parent == Path("runs")
    assert (line["backend"], line["n_images"]) == ("aer", 50)
    assert not {"shots", "jobs", "qpu_seconds"} & line.keys()
    assert {path.name for path in folder.path.iterdir()} == {
        "config.toml", "metrics.jsonl", "metrics.csv", "checkpoint.safetensors",
        "training.safetensors", "evaluation.npz",
    }  # fmt: skip
    run = folder.run
    assert (run["status"], run["parameters"], run["quantum_parameters"]) == ("finished", 12302, 0)
    assert run["command"].startswith("qhc run --epochs 2")
    assert [record["epoch"] for record in folder.epochs()] == [1, 2]
    last, best = folder.evaluations()
    assert (last["checkpoint"], best["checkpoint"]) == ("last", "best")
    assert {last["split"], best["split"]} == {"test"}
    assert line["accuracy"] == best["accuracy"]
    assert set(best) == {
        "kind", "backend", "shots", "split", "checkpoint", "n_images", "loss", "accuracy",
        "accuracy_interval", "precision", "recall", "f1", "per_class", "confusion", "seconds",
        "jobs", "qpu_seconds",
    }  # fmt: skip
    assert set(best["per_class"][0]) == {"class", "precision", "recall", "f1", "support"}
    assert "epoch   2" in err
    assert "12,302" in err


def test_without_json_the_table_is_on_standard_output(qhc: Qhc) -> None:
    code, out, _ = qhc("run", *SMALL, "--out", "here")
    assert code == 0
    for words in ("validation", "test", "last", "best", "12,302", "median", "here/report.html"):
        assert words in out


def test_a_run_is_not_repeated_by_accident(qhc: Qhc, tmp_path: Path) -> None:
    assert qhc("run", *SMALL, "--out", "here")[0] == 0
    (tmp_path / "here" / "report.html").touch()
    before = {path: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    code, out, err = qhc("run", *SMALL, "--out", "here")
    assert (code, out) == (2, "")
    assert "qhc resume here" in err
    code, out, err = qhc("resume", "here")
    assert code == 0
    assert "is finished" in err
    assert "best" in out
    assert before == {path: path.read_bytes() for path in (tmp_path / "here").iterdir()}


def test_published_quirks_are_printed_and_recorded(qhc: Qhc) -> None:
    settings = ("--set", "protocol=published", "--set", "model.arm=classical", "--epochs", "1")
    code, _, err = qhc("run", *settings, "--out", "here")
    assert code == 0
    notes = RunFolder.open(Path("here")).run["notes"]
    assert len(notes) == 5
    assert all(f"note: {note}" in err for note in notes)


def test_a_checkpoint_is_validated_on_any_backend(qhc: Qhc, tmp_path: Path) -> None:
    assert qhc("run", "--epochs", "2", "--seed", "3", "--out", "trained")[0] == 0
    trained = RunFolder.open(Path("trained"))
    code, out, _ = qhc("run", "--checkpoint", "trained", "--out", "again", "--json")
    assert code == 0
    assert json.loads(out)["accuracy"] == trained.evaluations()[-1]["accuracy"]
    assert json.loads(out)["loss"] == trained.evaluations()[-1]["loss"]
    images = {}
    for name, flags in {
        "exact": ("--backend", "aer"),
        "sampled": ("--shots", "100"),
        "file": ("--backend", "native"),
    }.items():
        source = "trained/checkpoint.safetensors" if name == "file" else "trained"
        options = ("--limit", "30", "--out", name, "--json", *flags)
        code, out, err = qhc("run", "--checkpoint", source, *options)
        assert code == 0, err
        line = json.loads(out)
        assert line["n_images"] == 30
        assert ("shots" in line) is (name == "sampled")
        with np.load(f"{name}/evaluation.npz") as arrays:
            images[name] = arrays["indices"].tolist()
    assert images["exact"] == images["sampled"] == images["file"]
    assert line["backend"] == "native"
    sampled = RunFolder.open(Path("sampled"))
    assert sampled.evaluations()[-1]["shots"] == 100
    assert sampled.evaluations()[-1]["jobs"] == 1
    assert sampled.run["checkpoint"] == "trained/checkpoint.safetensors"
    assert not sampled.checkpoint.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--backend", "aar"], "unknown backend 'aar': did you mean 'aer'"),
        (["run", "--recipe", "mnits"], "unknown recipe 'mnits': did you mean 'mnist'"),
        (["run", "--dataset", "mnits"], "unknown dataset 'mnits': did you mean 'mnist'"),
        (["run", "--shots", "0"], "got 0"),
        (["run", "--shots", "-5"], "got -5"),
        (["run", "--epochs", "0"], "train.epochs"),
        (["run", "--backend", "native", "--shots", "10"], "takes no shots"),
        (["run", "--set", "train.lrr=1", "--set", "x=2"], "has 2 mistakes"),
        (["run", "--set", "layer.n_wires=3", "--set", 'layer.observables=["ZZ"]'], "3 letters"),
        (["run", "--set", "train.gradient=vjpp"], "no gradient 'vjpp'"),
        (["run", "--set", "log.mlflow=true"], "pip install mlflow"),
        (["run", "--set", "train.batch_size=5000"], "do not fill a batch of 5000"),
        (["run", "--data-root", "empty", "--dataset", "mnist", "--set", "data.download=false"],
         "qhc data get mnist --data-root empty"),
        (["run", "--checkpoint", "absent"], "there is no checkpoint absent"),
        (["run", "--checkpoint", "absent", "--recipe", "digits"], "leave --recipe out"),
        (["run", "--checkpoint", "absent", "--epochs", "3"], "leave --epochs out"),
        (["run", "--shot", "10"], "--shots"),
        (["resume", "absent"], "absent is not a run"),
        (["report", "absent"], "absent is not a run"),
        (["data", "get", "mnits"], "did you mean 'mnist'"),
        (["ablate", "arms", "--arms", "quantum,lineer"], "model.arm"),
        (["rum"], "run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_users_mistake_is_explained_and_leaves_nothing(
    qhc: Qhc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.setattr("experiments.loggers.find_spec", lambda name: None)
    code, out, err = qhc(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_damaged_and_foreign_checkpoints(qhc: Qhc, tmp_path: Path) -> None:
    assert qhc("run", *SMALL, "--out", "trained")[0] == 0
    whole = (tmp_path / "trained" / "checkpoint.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-100])
    (tmp_path / "text.safetensors").write_text("not a checkpoint, rather a letter")
    for name in ("cut", "text"):
        code, _, err = qhc("run", "--checkpoint", f"{name}.safetensors", "--out", "there")
        assert code == 2
        assert f"{name}.safetensors is truncated or damaged" in err
    assert not (tmp_path / "there").exists()


def test_a_checkpoint_for_other_images(
    qhc: Qhc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert qhc("run", *SMALL, "--out", "trained")[0] == 0
    load = run_module.load_images
    monkeypatch.setattr(
        run_module, "load_images", lambda *given: replace(load(*given), classes=("a", "b"))
    )
    code, _, err = qhc("run", "--checkpoint", "trained", "--out", "there")
    assert code == 2
    assert "holds hybrid-digits, arm linear, 10 classes" in err
    assert "has 2 classes and 1 channels" in err


@pytest.mark.parametrize("place", ["before", "after"])
def test_what_nobody_expected_is_one_line_unless_asked_for(
    qhc: Qhc, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def fail(*given: Any) -> None:
        raise ZeroDivisionError("nothing to divide")

    monkeypatch.setattr(run_module, "start", fail)
    code, _, err = qhc("run")
    assert (code, err) == (
        1,
        "error: ZeroDivisionError: nothing to divide (--debug shows the traceback)\n",
    )
    code, _, err = qhc("--debug", "run") if place == "before" else qhc("run", "--debug")
    assert code == 1
    assert "Traceback" in err
    assert "in fail" in err


def test_a_failure_is_told_apart_from_a_mistake(qhc: Qhc, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        raise BackendError("the machine is gone")

    monkeypatch.setattr(run_module, "start", fail)
    assert qhc("run") == (1, "", "error: the machine is gone\n")


def test_a_diverging_training_keeps_what_was_good(
    qhc: Qhc, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = qhc(
        "run", *SMALL, "--set", "train.lr=1e30", "--set", "train.clip=0", "--out", "here"
    )
    assert code == 1
    assert "error: training diverged in epoch 1: the loss of batch" in err
    assert "--set train.lr=1e+29" in err
    assert RunFolder.open(Path("here")).status == "failed"


class Machine(AerSampled):
    """A backend that says that it is far away."""

    name = "machine"

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, remote=True)


def test_a_machine_only_validates(qhc: Qhc, monkeypatch: pytest.MonkeyPatch) -> None:
    known = registry._factories()

    def machine(argument: str | None, *, shots: int | None, seed: int | None) -> Machine:
        return Machine(shots or 50, seed)

    monkeypatch.setattr(registry, "_factories", lambda: {**known, "machine": lambda: machine})
    code, out, _ = qhc("run", "--epochs", "1", "--backend", "machine", "--limit", "100", "--json",
                       "--shots", "20")  # fmt: skip
    assert code == 0
    line = json.loads(out)
    assert (line["backend"], line["shots"], line["jobs"]) == ("machine", 20, 1)
    records = RunFolder.open(Path(line["run"])).evaluations()
    assert [record["backend"] for record in records] == ["aer", "aer", "machine"]
    assert [record["jobs"] for record in records] == [0, 0, 1]


def test_arms_are_compared_seed_by_seed_and_never_trained_twice(
    qhc: Qhc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("ablate", "arms", "--arms", "quantum,linear,none", "--seeds", "3", "--epochs", "2",
               "--out", "arms", "--set", "train.batch_size=32")  # fmt: skip
    code, out, err = qhc(*command)
    assert code == 0, err
    content = json.loads((tmp_path / "arms" / "arms.json").read_text())
    quantum, linear, none = content["arms"]
    accuracy = {
        arm: [
            RunFolder.open(tmp_path / "arms" / f"{arm}-seed{seed}").evaluations()[-1]["accuracy"]
            for seed in range(3)
        ]
        for arm in ("quantum", "linear", "none")
    }
    assert quantum["difference"] is None
    for scores in (quantum, linear, none):
        found = accuracy[scores["arm"]]
        assert scores["test"]["mean"] == pytest.approx(np.mean(found))
        assert scores["test"]["deviation"] == pytest.approx(np.std(found, ddof=1))
        if scores is not quantum:
            paired = ttest_rel(found, accuracy["quantum"])
            low, high = paired.confidence_interval(0.95)
            difference = scores["difference"]
            assert (difference["low"], difference["high"]) == pytest.approx((low, high))
            assert difference["n_seeds"] == 3
    assert (tmp_path / "arms" / "arms.txt").read_text() in out
    assert len((tmp_path / "arms" / "arms.csv").read_text().splitlines()) == 4

    # One run is lost, one was killed before its evaluation: these two happen, no other.
    lost, killed = (tmp_path / "arms" / name for name in ("none-seed2", "linear-seed1"))
    for path in lost.iterdir():
        path.unlink()
    lost.rmdir()
    RunFolder.open(killed).note("run", status="running")
    code, _, err = qhc(*command)
    assert code == 0
    assert re.findall(r"run \d of 9: (\S+)", err) == ["linear-seed1", "none-seed2"]
    again = json.loads((tmp_path / "arms" / "arms.json").read_text())["arms"]
    for one, other in zip(content["arms"], again, strict=True):
        assert {**one, "seconds": None} == {**other, "seconds": None}

    code, _, err = qhc(*command, "--set", "train.lr=0.5")
    assert code == 2
    assert "train.lr is 0.01 there and 0.5 here; choose another --out" in err


def start_qhc(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell makes what it runs in the background deaf to Ctrl-C, and its children too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def after_epochs(run: Path, n: int, process: subprocess.Popen[str], sign: signal.Signals) -> None:
    """Send a signal as soon as `n` epochs are on record."""
    while len((run / "metrics.csv").read_text().splitlines() if (run / "metrics.csv").exists()
              else []) <= n:  # fmt: skip
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.002)
    process.send_signal(sign)


STOPPABLE = ("run", "--epochs", "4", "--set", "train.batch_size=8", "--limit", "60")


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nobody stops."""
    folder = tmp_path_factory.mktemp("runs")
    process = start_qhc(folder, *STOPPABLE, "--out", "straight")
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return RunFolder.open(folder / "straight")


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_goes_on_with_the_same_bits(
    straight: RunFolder, tmp_path: Path, sign: signal.Signals
) -> None:
    """From the shell's side: `kill -9`, and Ctrl-C, in the middle of an epoch."""
    stopped = start_qhc(tmp_path, *STOPPABLE, "--out", "stopped")
    after_epochs(tmp_path / "stopped", 2, stopped, sign)
    _, said = stopped.communicate(timeout=300)
    folder = RunFolder.open(tmp_path / "stopped")
    assert 2 <= len(folder.epochs()) < 4
    if sign is signal.SIGINT:
        assert stopped.returncode == 130
        assert said.strip().splitlines()[-1] == "interrupted; go on with: qhc resume stopped"
        assert folder.status == "interrupted"
    resumed = start_qhc(tmp_path, "resume", "stopped", "--json")
    out, said = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, said
    for name in ("checkpoint.safetensors", "training.safetensors"):
        one, other = (load_file(run.path / name) for run in (straight, folder))
        assert one.keys() == other.keys()
        assert all(one[key].tobytes() == other[key].tobytes() for key in one)
    for records in ("epochs", "evaluations"):
        one, other = (
            [{k: v for k, v in record.items() if k not in TIMES} for record in found]
            for found in (getattr(straight, records)(), getattr(folder, records)())
        )
        assert one == other
    assert json.loads(out)["accuracy"] == straight.evaluations()[-1]["accuracy"]
    assert (folder.path / "report.html").exists()


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    flags = ("--set", "fabric.devices=2", "--set", "fabric.accelerator=cpu",
             "--set", "fabric.strategy=ddp", "--set", "train.batch_size=32")  # fmt: skip
    process = start_qhc(tmp_path, "run", "--epochs", "2", *flags, "--out", "two", "--json")
    out, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert len(out.splitlines()) == 1
    folder = RunFolder.open(tmp_path / "two")
    assert folder.status == "finished"
    assert [record["epoch"] for record in folder.epochs()] == [1, 2]
    losses = [record["train"]["loss"] for record in folder.epochs()]
    assert losses == sorted(losses, reverse=True)
    assert list((tmp_path).iterdir()) == [folder.path]
