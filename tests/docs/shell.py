"""Lines for a shell, taken apart: which command, which flags, and whether a test can execute it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import click

from experiments.commands.cli import cli
from experiments.config.recipe import list_recipes

from .pages import Block, mark_of

GIVEN_RUNS = {"runs/RUN", "runs/ONE", "runs/OTHER", "runs/RERUN"}
"""What a reader has before a page begins."""

OWN_RECIPE = "digits"
"""The recipe that comes with its data, in seconds."""


@dataclass(frozen=True)
class Line:
    """A command as typed, without its comment, with what it is given on standard input.

    Attributes:
        text: of the page, continued lines joined.
        words: as a shell divides it.
        document: what stands below it for its standard input.
        reason: why it is not executed here; None if it is.
    """

    text: str
    words: tuple[str, ...]
    document: str | None
    reason: str | None


def lines(block: Block) -> Iterator[Line]:
    """The commands of a block, in order."""
    left = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        # The others are what it prints.
        left = [line for line in left if line.startswith("$ ")]
    while left:
        text = left.pop(0).strip().removeprefix("$ ")
        document = None
        if found := re.search(r"<<-?\s*'?(\w+)'?\s*$", text):
            end = left.index(found[1])
            document, left = "\n".join(left[:end]) + "\n", left[end + 1 :]
        for part in re.split(r"\s&&\s", text):
            words = tuple(shlex.split(part, comments=True))
            if words and words[0] == "time":
                words = words[1:]
            if words:
                reason = block.mark or mark_of(text) or unsaid_reason(words)
                yield Line(part, words, document, reason)


def unsaid_reason(words: tuple[str, ...]) -> str | None:
    """Why a command that nobody marked cannot be executed by a test, as it says itself."""
    if words[0] == "cat":
        return None
    if words[0] != "qhc":
        return "installs, or measures for minutes"
    if "…" in words or words[-1] == "...":
        return "is abbreviated"
    backends = [
        _value(words, "--backend") or "",
        *(w for w in words if w.startswith("run.backend=")),
    ]
    if any(name.removeprefix("run.backend=").startswith("ibm") for name in backends):
        return "needs an account"
    named_first = words[2] if words[1] == "diagnose" and words[2] in list_recipes() else None
    recipe = _value(words, "--recipe") or _value(words, "--spec") or named_first or OWN_RECIPE
    if recipe in list_recipes() and recipe != OWN_RECIPE:
        return "needs its data"
    if (
        not (recipe in list_recipes() or Path(recipe).exists())
        or "DIR" in " ".join(words)
        or "runs/QPC" in words
    ):
        return "needs what is the reader's"
    file, is_function, _ = words[2].partition(":") if words[1] == "diagnose" else ("", "", "")
    if is_function and not Path(file).exists():
        return "needs what is the reader's"
    if words[1] in ("ablate", "bench", "compare"):
        return "takes minutes"
    if "--rebuild" in words:
        return "needs a ledger that was lost"
    named = [word for before, word in pairwise(words) if before != "--out"]
    runs = {word for word in named if re.fullmatch(r"runs/[\w-]+", word)} - GIVEN_RUNS
    if not all(Path(run).exists() for run in runs):
        return "needs a run that the page has not made"
    if words[1:3] == ("data", "get"):
        return "needs a network"
    return None


def _value(words: tuple[str, ...], flag: str) -> str | None:
    return words[words.index(flag) + 1] if flag in words else None


def command_of(words: tuple[str, ...]) -> tuple[click.Command, list[str], list[str]]:
    """The command that `qhc` and its words come to, its path and what is left for it."""
    command: click.Command = cli
    path, left = ["qhc"], list(words[1:])
    while isinstance(command, click.Group) and left and not left[0].startswith("-"):
        found = command.get_command(click.Context(command), left[0])
        if found is None:
            raise click.UsageError(f"no such command: {' '.join([*path, left[0]])}")
        command = found
        path.append(left.pop(0))
    return command, path, left


def check(words: tuple[str, ...]) -> None:
    """Raise `click.UsageError` for a command, a flag or a value that there is not."""
    command, path, left = command_of(words)
    try:
        command.make_context(" ".join(path), [word for word in left if word != "…"])
    except click.exceptions.Exit:
        return  # --help and --version


def check_flags(words: tuple[str, ...]) -> None:
    """The same for what stands in a sentence: its values may be anything."""
    command, path, left = command_of(tuple(word for word in words if word != "…"))
    known = {name for parameter in command.params for name in parameter.opts}
    for word in left:
        flag = word.partition("=")[0]
        if flag.startswith("--") and flag not in {*known, "--help"}:
            raise click.NoSuchOption(flag, f"{' '.join(path)} has no {flag}")
