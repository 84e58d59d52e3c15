"""Every block of code is what it says: Python compiles, TOML is read, commands and flags exist."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import click
import pytest
from key_words import sections

from experiments.config.recipe import list_recipes

from .pages import PAGES, ROOT, SHELLS, Block, blocks, guessed, name_of, words_in_code
from .shell import check, check_flags, lines

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
UNCHECKED = ("text", "json", "yaml", "bibtex", "mermaid")
KEYS = {key.name for section in sections().values() for key in section.keys}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_are_what_they_say(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, block.where, "exec")
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language in SHELLS:
            check_shell(block)
        else:
            assert block.language in UNCHECKED or block.language.startswith("{"), (
                f"{block.where}: nobody checks {block.language}"
            )


def check_shell(block: Block) -> None:
    for line in lines(block):
        try:
            if line.words[0] == "qhc":
                check(line.words)
                check_settings(line.words)
            else:
                check_other(line.words)
        except (click.UsageError, AssertionError) as error:
            raise AssertionError(f"{block.where}: {line.text}: {error}") from error


def check_settings(words: tuple[str, ...]) -> None:
    """Keys of `--set` are keys of a recipe."""
    for flag, setting in pairwise(words):
        if flag == "--set":
            assert setting.partition("=")[0] in KEYS, f"no key {setting.partition('=')[0]}"


def check_other(words: tuple[str, ...]) -> None:
    """Targets, scripts and extras are there."""
    if words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in words[1:] if "=" not in word} <= set(targets)
    if words[0] == "python" and words[1:] and re.fullmatch(r"\w+/.*\.py", words[1]):
        assert (ROOT / words[1]).is_file(), f"no script {words[1]}"
    if words[0] == "pip":
        extras = {
            name
            for each in re.findall(r"(?:\.|qhc)\[([\w,]+)\]", " ".join(words))
            for name in each.split(",")
        }
        assert extras <= PROJECT["project"]["optional-dependencies"].keys()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_sentences_exist(page: Path) -> None:
    for code in words_in_code(page):
        if re.match(r"qhc [a-z]", code):
            try:
                check_flags(tuple(re.sub(r"[|'\"]", " ", code).split()))
            except click.UsageError as error:
                raise AssertionError(f"{name_of(page)}: `{code}`: {error.message}") from error


def test_mistakes_are_seen() -> None:
    for wrong in ("qhc rnu", "qhc run --epoch 3", "qhc run --epochs many", "qhc ablate arm"):
        with pytest.raises(click.UsageError):
            check(tuple(wrong.split()))
    with pytest.raises(AssertionError, match=r"no key train\.rate"):
        check_settings(("qhc", "run", "--set", "train.rate=1"))
    with pytest.raises(AssertionError):
        check_other(("make", "coffee"))
    with pytest.raises(AssertionError, match="no script"):
        check_other(("python", "benchmarks/nothing.py"))
    with pytest.raises(AssertionError):
        check_other(("pip", "install", "qhc[nothing]"))
    with pytest.raises(click.UsageError):
        check_flags(("qhc", "run", "--epoch"))
    assert guessed("qhc run\n") == "bash"
    assert guessed("from x import y\n") == "python"
    assert guessed("[layer]\nname = 'x'\n") == "toml"
    assert guessed("split   weights   images\n") == "text"


def test_every_recipe_is_named() -> None:
    text = (ROOT / "docs" / "getting-started.md").read_text()
    assert [name for name in list_recipes() if f"`{name}`" not in text] == []
