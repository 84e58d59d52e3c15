"""Python of the user's own, named in a recipe."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.config.own_code import importing_from, object_of
from experiments.config.own_files import changed_notes
from experiments.config.own_objects import own_arms, own_callable
from experiments.config.recipe import load_config
from qbackend.errors import ConfigError

from .own_code import NET, write_own

ROOT = Path(__file__).parents[2]
BOTH = ("model.factory=my_net.py:build", "data.factory=my_data.py:load")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_own()


def mistakes(*settings: str, recipe: str = "mine.toml") -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(recipe, settings)
    return "\n".join(caught.value.mistakes)


def test_a_recipe_of_qhcs_takes_them_by_set() -> None:
    config = load_config("digits", [*BOTH, "model.arguments.width=3"])
    assert config.model.arguments == {"width": 3}
    # What the recipe says of its own network and data has no meaning for others.
    assert (config.model.name, config.data.name) == ("my_net.py:build", "my_data.py:load")
    again = load_config("mine.toml", ["data.name=digits", "model.name=hybrid-digits"])
    assert (again.model.factory, again.data.factory) == (None, None)
    assert again.code is not None
    assert set(again.code.sha256) == {"my_loss.py"}


def test_files_are_found_below_the_recipe_and_below_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = load_config("mine.toml")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    there = load_config("../mine.toml")
    up = load_config("digits", ["model.factory=../my_net.py:build", BOTH[1].replace("=", "=../")])
    assert here.compared() == there.compared()
    assert up.model.factory == "my_net.py:build"
    assert own_callable(up, "model.factory").__name__ == "build"


def test_a_package_is_named_by_its_module(tmp_path: Path) -> None:
    package = tmp_path / "parts" / "nets"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    (package / "twisted.py").write_text(
        "from .width import WIDTH\ndef build(shape): return WIDTH\n"
    )
    (package / "width.py").write_text("WIDTH = 7\n")
    config = load_config("mine.toml", ["model.factory=parts.nets.twisted:build"])
    assert config.code is not None
    assert {"parts/nets/twisted.py", "parts/nets/width.py"} <= set(config.code.sha256)
    assert own_callable(config, "model.factory")(None) == 7
    assert own_arms(config) == ("quantum",)
    installed = load_config("mine.toml", ["train.loss=torch.nn:MultiMarginLoss"])
    assert installed.train.loss == "torch.nn:MultiMarginLoss"


def test_what_a_file_imports_is_what_the_run_knows_whatever_stands_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("net.py").write_text(
        "from wide import WIDTH\ndef build():\n    import late\n    return WIDTH, late.WIDTH\n"
    )
    for name in ("wide", "late"):
        Path(f"{name}.py").write_text("WIDTH = 2\n")
    code = load_config("mine.toml", ["model.factory=net.py:build"]).code
    assert code is not None
    (tmp_path / "copies").mkdir()
    for name in code.sha256:
        shutil.copy(name, tmp_path / "copies")
    for name in ("wide", "late"):
        Path(f"{name}.py").write_text("WIDTH = 3  # another\n")
        monkeypatch.delitem(sys.modules, name, raising=False)
    # As `python -m qhc` has it.
    monkeypatch.syspath_prepend(tmp_path)
    known = code.model_copy(update={"folders": (str(tmp_path / "copies"), *code.folders)})
    build = object_of("net.py:build", known, "model.factory")
    with importing_from(known):
        assert build() == (2, 2)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("model.factory=my_nett.py:build", "no my_nett.py in"),
        ("model.factory=my_net.py:bild", "my_net.py has no 'bild'; did you mean 'build'?"),
        ("model.factory=my_net.py", "model.factory: 'my_net.py' names nothing to import"),
        ("model.factory=my_net.py:ARMS", "my_net.py:ARMS is a tuple; name a function or a class"),
        ("model.factory=models:build", "'models' is a package of qhc's own; write models.py:NAME"),
        ("model.factory=experiments.x:build", "'experiments' is a package of qhc's own"),
        ("model.factory=no_such.module:build", "No module named 'no_such'"),
        ("model.arm=conv", "unknown arm 'conv' of 'my_net.py:build'"),
        ("model.channels=[3]", "channels: of networks of the catalogue"),
        ("data.size=8", "size is for qhc's own datasets and folders of images"),
        ("train.loss=hinge", "unknown loss 'hinge'"),
        ("train.metrics=['a.py:f', 'b.py:f']", "two of them are called 'f'"),
    ],
)
def test_mistakes_say_what_to_write(setting: str, words: str) -> None:
    assert words in mistakes(setting)


def test_arguments_without_a_factory_are_a_mistake() -> None:
    assert "arguments are those of a factory" in mistakes("model.arguments.a=1", recipe="digits")
    assert "arguments are those of a factory" in mistakes("data.arguments.a=1", recipe="digits")


def test_what_fails_while_it_is_imported_names_the_line() -> None:
    Path("my_net.py").write_text(f"{NET}\nraise ValueError('not today')\n")
    line = len(NET.splitlines()) + 2
    found = mistakes()
    assert f"my_net.py: ValueError: not today (my_net.py, line {line - 1})" in found or (
        f"my_net.py: ValueError: not today (my_net.py, line {line})" in found
    )
    Path("my_net.py").write_text("from models import Mine\n")
    assert "are packages of qhc's own: give yours another name" in mistakes()


def test_arms_are_names_and_the_first_is_taken_where_none_is_quantum() -> None:
    Path("my_net.py").write_text(NET.replace('("quantum", "linear")', '("deep", "flat")'))
    assert load_config("mine.toml").model.arm == "deep"
    assert "known: deep, flat" in mistakes("model.arm=quantum")
    Path("my_net.py").write_text(NET.replace('("quantum", "linear")', '"quantum"'))
    assert "ARMS must be names" in mistakes()


def test_a_change_is_noted() -> None:
    config = load_config("mine.toml")
    assert changed_notes(config.code) == []
    Path("angles.py").write_text("to_angles = abs\n")
    (note,) = changed_notes(config.code)
    assert note.startswith("angles.py in ")


@pytest.mark.parametrize("name", ["models", "experiments"])
@pytest.mark.parametrize("is_file", [True, False], ids=["file", "folder"])
def test_names_that_are_ours_are_told_from_theirs(tmp_path: Path, name: str, is_file: bool) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    if is_file:
        (theirs / f"{name}.py").write_text("x = 1\n")
    else:
        (theirs / name).mkdir()
        (theirs / name / "__init__.py").write_text("")
    environment = {"PYTHONPATH": f"{theirs}:{ROOT}", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-m", "qhc", "--version"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert f"stands in front of '{name}', a package of qhc's own" in done.stderr
    assert f"or take {theirs} out of PYTHONPATH" in done.stderr


def test_a_file_of_ones_own_in_the_working_folder_is_told_to_be_renamed(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text("x = 1\n")
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    for package, code in (("experiments", 2), ("qhc", 2)):
        done = subprocess.run(
            [sys.executable, "-m", package, "--version"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "by `qhc` instead of `python -m`" in done.stderr
    # The command itself does not look there.
    program = "import sys; sys.path.remove(''); from qhc import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--version"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
