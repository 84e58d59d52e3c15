"""A backend's name, taken apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from qbackend.registry import parse_name


@pytest.mark.parametrize(
    ("text", "key", "argument", "kinds"),
    [
        ("aer", "aer", None, {"simulator"}),
        ("native", "native", None, {"simulator"}),
        ("aer:ibm_fez", "aer", "ibm_fez", {"simulator"}),
        ("native:fake_fez", "native", "fake_fez", {"simulator"}),
        ("ibm_fez", "ibm_fez", None, {"machine"}),
        ("fake_fez", "fake_fez", None, {"machine", "fake"}),
        ("ibm", "ibm", None, {"machine", "choice"}),
        ("qiskit:a.b:C", "qiskit", "a.b:C", set()),
        ("someone's", "someone's", None, set()),
        ("aer:", "aer", None, {"simulator"}),
    ],
)
def test_the_parts_of_a_name(text: str, key: str, argument: str | None, kinds: set[str]) -> None:
    name = parse_name(text)
    assert (str(name), name.key, name.argument) == (text, key, argument)
    found = {
        kind for kind in ("simulator", "machine", "fake", "choice") if getattr(name, f"is_{kind}")
    }
    assert found == kinds
    assert name == parse_name(text)


def test_a_saved_noise_model_is_a_file() -> None:
    assert parse_name("aer:runs/a/noise.json").noise_file == Path("runs/a/noise.json")
    assert parse_name("aer:ibm_fez").noise_file is None
    assert parse_name("ibm_fez").noise_file is None
