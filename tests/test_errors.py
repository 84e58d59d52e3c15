"""The error tree: one root, the exit codes of the command line."""

from __future__ import annotations

import inspect

import pytest

from qbackend import errors

CLASSES = [
    item
    for _, item in inspect.getmembers(errors, inspect.isclass)
    if item.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_descends_from_the_root(kind: type) -> None:
    assert issubclass(kind, errors.QhcError)
    assert kind.exit_code == (2 if issubclass(kind, errors.UserError) else 1)


def test_a_job_error_carries_its_job() -> None:
    error = errors.BackendError("no", job_id="j1", backend="aer", state="failed")
    assert (error.job_id, error.backend, error.state) == ("j1", "aer", "failed")


def test_a_config_error_lists_every_mistake() -> None:
    text = str(errors.ConfigError("two mistakes", ["train.lr: negative", "x: unknown"]))
    assert "train.lr: negative" in text
    assert "x: unknown" in text


def test_an_unknown_name_reads_as_a_sentence() -> None:
    assert str(errors.UnknownNameError("unknown 'x'")) == "unknown 'x'"


def test_suggestions() -> None:
    assert errors.suggest("nativ", ["aer", "native"]) == "did you mean 'native'?"
    assert errors.suggest("zzz", ["b", "a"]) == "known: a, b"
