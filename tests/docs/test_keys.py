"""Every key of a recipe is explained, and one that is not stops the build."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from key_words import NoWordsError, section_words, sections
from pydantic import BaseModel, Field

from experiments.config.section import table_types
from experiments.config.sections import Config


class Inner(BaseModel):
    """A table."""

    spoken: int = Field(default=3, ge=1, le=9)
    """Has words."""
    silent: float = 1.0


class Outer(BaseModel):
    """A recipe."""

    inner: Inner = Inner()
    perhaps: Inner | None = None
    also_silent: str
    sizes: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """Of layers."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """By name."""
    label: str | None = None
    """Has some."""


def test_every_key_is_explained() -> None:
    found = sections()
    named = {key.name for section in found.values() for key in section.keys}
    expected = set()
    for table, section in found.items():
        names = set(table_types(section.of)) - {"encoder"}
        expected |= {f"{table}.{name}".lstrip(".") for name in names} - found.keys()
        assert section_words(section.of)
    assert named == expected
    assert {"train.lr", "machine.copies", "data.augmentation.flip"} <= named
    assert set(found) >= {"", "run", "machine", "data.augmentation"}
    assert found[""].of is Config


def test_types_limits_and_defaults() -> None:
    keys = {key.name: key for section in sections().values() for key in section.keys}
    epochs, copies = keys["train.epochs"], keys["machine.copies"]
    assert (epochs.type, epochs.default) == ("whole number, at least 1", "must be given")
    assert (copies.type, copies.default) == ('`"auto"` or whole number, at least 1', '"auto"')
    assert keys["run.shots"].default == "not given"
    assert keys["machine.max_qpu_seconds"].type == "number, above 0"
    assert keys["data.stratified"].default == "true"


def test_a_key_without_words_is_an_error() -> None:
    with pytest.raises(NoWordsError, match=r"keys: also_silent|inner\.silent, perhaps\.silent"):
        sections(Outer)


def test_types_that_recipes_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("silent", "spoken", "also_silent", "label", "sizes", "arguments")
    monkeypatch.setattr("key_words._strings", lambda section: dict.fromkeys(names, "words"))
    keys = {key.name: key for section in sections(Outer).values() for key in section.keys}
    assert keys["sizes"].type == "list of (whole number, at least 1)"
    assert (keys["arguments"].type, keys["arguments"].default) == ("table", "{}")
    assert keys["perhaps.spoken"].type == "whole number, at least 1, at most 9"
