"""The command line: what it takes, and what it says and leaves with when that is wrong."""

from __future__ import annotations

import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import experiments.run.start as run_module
from experiments.commands.cli import EXAMPLES, cli, main
from experiments.commands.compare import MITIGATION_EXAMPLES, VARIED
from experiments.commands.diagnose import DIAGNOSE_EXAMPLES
from experiments.commands.look import BENCH_EXAMPLES, REPORT_EXAMPLES, RUNS_EXAMPLES
from experiments.commands.options import chosen_settings
from experiments.commands.run import ESTIMATE_EXAMPLES, RERUN_EXAMPLES, RUN_EXAMPLES
from experiments.config.recipe import load_config
from experiments.studies.arms import ArmStudy
from experiments.studies.qpc.study import QpcStudy
from qbackend.errors import BackendError

from ..config.own_code import write_own
from ..support.command_line import Qhc, assert_refused, exit_code

ALWAYS = {"--debug", "--help", "-h"}
RECIPE_FLAGS = {
    "--recipe", "--backend", "--dataset", "--data-root", "--limit", "--epochs", "--shots", "--set",
}  # fmt: skip
ACCOUNT_FLAGS = {"--credentials", "--profile"}
RUN_FLAGS = {
    *RECIPE_FLAGS, *ACCOUNT_FLAGS, "--seed", "--checkpoint", "--preparation", "--calibrate",
    "--rows", "--train", "--train-limit", "--gradient", "--primitive", "--generation", "--mode",
    "--session", "--precision", "--fractional-gates", "--dynamical-decoupling", "--gate-twirling",
    "--measurement-twirling", "--readout-mitigation", "--zne", "--rep-delay", "--prefer",
    "--max-execution-time", "--max-qpu-seconds", "--deadline",
    "--copies", "--border", "--fidelity-within",
    "--json",
}  # fmt: skip
OPTIONS = {
    "": {"--version"},
    "run": {*RUN_FLAGS, "--out", "--yes", "--no-wait"},
    "estimate": RUN_FLAGS,
    "resume": {
        *ACCOUNT_FLAGS,
        *("run", "--data-root", "--max-qpu-seconds", "--deadline", "--no-wait", "--yes", "--json"),
        "--collect",
    },
    "rerun": {
        *ACCOUNT_FLAGS,
        *("run", "--backend", "--data-root", "--max-qpu-seconds", "--deadline", "--yes"),
        *("--no-wait", "--out", "--json", "--prefer"),
    },
    "jobs": {*ACCOUNT_FLAGS, "run", "--rebuild", "--json"},
    "cancel": {*ACCOUNT_FLAGS, "run", "--json"},
    "report": {"runs", "--out", "--open"},
    "runs": {
        *(
            "folder",
            "--recipe",
            "--backend",
            "--state",
            "--dataset",
            "--model",
            "--arm",
            "--no-cells",
        ),
        *("--sort", "--reverse", "-n", "--number", "--json"),
    },
    "backends": {*ACCOUNT_FLAGS, "--spec", "--preparation", "--device"},
    "bench": {"--quick", "--case", "--backend", "--out", "--json"},
    "warmup": {"--json"},
    "data": set(),
    "data list": {"--data-root"},
    "data get": {"name", "--data-root"},
    "diagnose": {
        *("target", "--backend", "--data", "--input-shape", "--data-root", "--images", "--seed"),
        *("--only", "--set", "--json"),
    },
    "compare": set(),
    "compare mitigation": {
        *RUN_FLAGS
        - {"--recipe", "--epochs", "--rows", "--train", "--train-limit", "--gradient"}
        - {f"--{name.replace('_', '-')}" for name in VARIED},
        *("--variants", "--out", "--yes", "--no-wait"),
    },
    "ablate": set(),
    "ablate arms": {*RECIPE_FLAGS, "--arms", "--seeds", "--out", "--engine", "--jobs"},
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
        "--preparation",
        "--training",
        "--full",
        "--seeds",
        "--calibrate",
        "--engine",
        "--jobs",
        "--out",
    },
}


def commands(group: click.Group, path: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {path: group}
    for name, command in group.commands.items():
        full = f"{path} {name}".strip()
        found |= commands(command, full) if isinstance(command, click.Group) else {full: command}
    return found


def test_a_process_of_several_leaves_past_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its threads do while an interpreter shuts down, its exit code stands."""
    left: list[int] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("os._exit", left.append)
    main(["--version"])
    assert left == [0]


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
    program = [sys.executable, "-m", "experiments.commands.cli", "--help"]

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(program, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.3


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; import experiments.commands.cli; "
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
            MITIGATION_EXAMPLES,
            RERUN_EXAMPLES,
            ArmStudy.examples,
            QpcStudy.examples,
            BENCH_EXAMPLES,
            DIAGNOSE_EXAMPLES,
            REPORT_EXAMPLES,
            RUNS_EXAMPLES,
        )
        for line in text.splitlines()
        if line.strip().startswith("qhc ")
    ],
)
def test_every_example_of_the_help_is_a_command(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_own()
    words = shlex.split(re.split(r" {3,}", line)[0])[1:]
    path = " ".join(words[:2]) if words[0] in ("data", "ablate", "compare") else words[0]
    command = commands(cli)[path]
    context = command.make_context(path, words[len(path.split()) :])
    if "settings" in context.params and not context.params.get("checkpoint"):
        load_config(context.params["recipe"] or "digits", chosen_settings(context.params))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--backend", "aar"], "unknown backend 'aar': did you mean 'aer'"),
        (["run", "--recipe", "mnits"], "unknown recipe 'mnits': did you mean 'mnist'"),
        (["run", "--dataset", "mnits"], "unknown dataset 'mnits': did you mean 'mnist'"),
        (["run", "--shots", "0"], "got 0"),
        (["run", "--shots", "-5"], "got -5"),
        (["run", "--epochs", "0"], "train.epochs"),
        (["run", "--seed", str(2**64)], "equal to 18446744073709551615, got 18446744073709551616"),
        (["estimate", "--seed", str(10**30)], "run.seed: "),
        (["run", "--seed", "-1"], "run.seed: "),
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
        (["runs", "absent"], "absent is no folder; name one with runs in it: qhc runs FOLDER"),
        (["runs", ".", "--sort", "tset"], "did you mean 'test'"),
        (["data", "get", "mnits"], "did you mean 'mnist'"),
        (["ablate", "arms", "--arms", "quantum,lineer"], "model.arm"),
        (["ablate", "arms", "--set", "model.arm=linear"], "use --arms instead"),
        (["ablate", "arms", "--set", "run.seed=3"], "use --seeds instead"),
        (["ablate", "noise", "--set", "run.backend=aer"], "use --device instead"),
        (["ablate", "noise", "--set", "noise.readout=0"], "use --part and --strength instead"),
        (["ablate", "qpc", "--set", "layer.n_layers=3"], "use --depth instead"),
        (["ablate", "qpc", "--set", "train.optimiser=sgd"], "use --optimiser instead"),
        (["run", "--set", "machine.mode=batch"], "only has a meaning on a machine"),
        (["run", "--backend", "ibm"], "fill in the token, or set QISKIT_IBM_TOKEN"),
        (["estimate", "--backend", "ibm", "--set", "model.arm=linear"], "has no quantum layer"),
        (["run", "--backend", "ibm_fez", "--prefer", "queue"], "add --backend ibm"),
        (["run", "--backend", "ibm", "--prefer", "length"], "or 'seconds', got 'length'"),
        (["diagnose", "mnits"], "unknown recipe 'mnits': did you mean 'mnist'"),
        (["diagnose", "digits", "--only", "softmx"], "unknown check 'softmx': did you mean"),
        (["diagnose", "absent.py:build", "--input-shape", "8"], "there is no file absent.py"),
        (["diagnose", "absent_module:build", "--data", "digits"], "no module 'absent_module'"),
        (["diagnose", "torch.nn:Flatten"], "--input-shape 1x28x28"),
        (["diagnose", "torch.nn:Linear", "--data", "digits"], "needs arguments (in_features"),
        (["diagnose", "torch.nn:Flatten", "--input-shape", "1x"], "write the sizes"),
        (["diagnose", "digits", "--data", "mnist"], "--set data.name=NAME"),
        (["diagnose", "digits", "--images", "0"], "images must be"),
        (["rum"], "run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_users_mistake_is_explained_and_leaves_nothing(
    qhc: Qhc, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.setattr("experiments.records.loggers.find_spec", lambda name: None)
    assert_refused(qhc, said, *arguments)


@pytest.mark.parametrize(
    ("command", "defaults"),
    [
        ("run", ("digits", "the recipe's or the checkpoint's, else aer", "checkpoint's, else 0")),
        ("estimate", ("digits", "the recipe's or the checkpoint's, else aer")),
        ("ablate arms", ("digits", "the recipe's, else aer")),
        ("ablate noise", ("digits",)),
        ("ablate qpc", ("qpc-fashionmnist", "the recipe's, else aer")),
    ],
)
def test_the_help_has_the_defaults_in_force(
    qhc: Qhc, command: str, defaults: tuple[str, ...]
) -> None:
    code, out, _ = qhc(*command.split(), "--help")
    assert code == 0
    words = " ".join(out.split())
    for default in defaults:
        assert f"{default}]" in words
    assert load_config("digits").run.backend == "aer"


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


def test_what_fails_behind_an_interrupt_is_the_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("cannot join thread before it is started")

    monkeypatch.setattr(cli, "main", interrupted)
    assert exit_code("run") == 130
    assert capsys.readouterr().err == ""
