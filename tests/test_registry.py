"""Names of backends: ours, other packages', and mistakes."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from qbackend import get_backend, list_backends, registry
from qbackend.errors import OptionError, UnknownNameError


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("are", "did you mean 'aer'"),
        ("natve", "native"),
        ("ibn", "did you mean 'ibm'"),
        ("brisbane", "aer, aer:DEVICE, fake_NAME, ibm, ibm_NAME, native, native:DEVICE, qiskit:"),
        ("qiskit:no_such_module:Thing", "cannot import"),
        ("qiskit:qiskit:NoSuchThing", "has no 'NoSuchThing'"),
    ],
)
def test_unknown_names(name: str, words: str) -> None:
    with pytest.raises(UnknownNameError, match=words):
        get_backend(name).capabilities  # noqa: B018


@pytest.mark.parametrize(
    ("name", "shots", "words"),
    [
        ("aer", 0, "at least 1"),
        ("aer", -5, "at least 1"),
        ("native", 100, "no shots"),
        ("qiskit", None, "a module and an object"),
        ("qiskit:qiskit", None, "names no object"),
        ("qiskit:qiskit:QuantumCircuit", None, "not a Qiskit BackendV2"),
    ],
)
def test_options_that_cannot_be_honoured(name: str, shots: int | None, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        get_backend(name, shots=shots).capabilities  # noqa: B018


def third_party(argument: str | None, *, shots: int | None, seed: int | None) -> object:
    return (argument, shots, seed)


def test_other_packages_add_names(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("acme", f"{__name__}:third_party", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [entry] if group == entry.group else []
    )
    assert get_backend("acme:fast", shots=3, seed=0) == ("fast", 3, 0)
    assert "acme" in [info.name for info in list_backends()]


@pytest.mark.parametrize("is_older", [False, True])
def test_ibm_is_a_vendor_like_others(monkeypatch: pytest.MonkeyPatch, is_older: bool) -> None:
    """Once, also where the metadata are of a qhc that named none."""
    project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())
    named = project["project"]["entry-points"][registry.VENDORS]
    entries = [EntryPoint(name, value, registry.VENDORS) for name, value in named.items()]
    assert [entry.name for entry in entries] == ["ibm"]
    found = {registry.VENDORS: [] if is_older else entries}
    monkeypatch.setattr(registry, "entry_points", lambda group: found.get(group, []))
    # Past the cache, which the whole process shares.
    assert registry.vendors.__wrapped__() == (registry.IBM,)
