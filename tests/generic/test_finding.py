"""`MODULE:OBJECT`: where it is looked for, how it is called, and what is said of mistakes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from qiskit.providers.fake_provider import GenericBackendV2

from qbackend import get_backend
from qbackend.errors import OptionError, UnknownNameError
from qbackend.generic.finding import find

GENERIC = "qiskit.providers.fake_provider:GenericBackendV2"

OWN = """
from qiskit.providers.fake_provider import GenericBackendV2

ready = GenericBackendV2(2)
number = 3

def factory(n_qubits=3):
    import own_helpers_of_the_factory
    return GenericBackendV2(n_qubits)

def broken():
    raise RuntimeError("no licence")

def forgetful():
    pass

def choosy(place, *rest, level=1, **more):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_backends.py").write_text(OWN)
    (tmp_path / "own_helpers_of_the_factory.py").write_text("")
    (tmp_path / "own_mistake.py").write_text("1 / 0")
    # A module of that name is installed: it comes first.
    (tmp_path / "qiskit.py").write_text("raise RuntimeError")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("path", "n_qubits"),
    [
        ("own_backends:ready", 2),
        ("own_backends:factory", 3),
        ("own_backends:factory(4)", 4),
        ("own_backends:factory(n_qubits=5)", 5),
        (f"{GENERIC}(5)", 5),
        (f"{GENERIC}(2, coupling_map=[[0, 1]], seed=-1 + 2)", None),
        (f"{GENERIC}(2, coupling_map=[[0, 1]], seed=1)", 2),
    ],
)
def test_the_working_folder(folder: Path, path: str, n_qubits: int | None) -> None:
    before = list(sys.path)
    if n_qubits is None:
        with pytest.raises(OptionError, match="numbers, strings, lists"):
            find(path)
    else:
        assert find(path).num_qubits == n_qubits
        assert get_backend(f"qiskit:{path}").capabilities.max_wires == n_qubits
    assert sys.path == before


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("own_nowhere:x", UnknownNameError, "cannot import 'own_nowhere'.*those in"),
        ("own_backends:x", UnknownNameError, "'own_backends' has no 'x'"),
        ("own_backends", OptionError, "names no object; write qiskit:MODULE:OBJECT"),
        ("own_backends:number", OptionError, "is a int, not a Qiskit BackendV2"),
        ("own_backends:number(3)", OptionError, "failed: TypeError.*not callable"),
        ("own_backends:forgetful", OptionError, "is a NoneType, not a Qiskit BackendV2"),
        ("own_backends:broken", OptionError, "failed: RuntimeError: no licence"),
        ("own_backends:choosy", OptionError, r"choosy needs arguments \(place\)"),
        ("own_mistake:x", OptionError, "importing 'own_mistake' failed: ZeroDivisionError"),
        ("own_backends:factory(ready)", OptionError, "write a function without arguments"),
        ("own_backends:factory(**{})", OptionError, "write a function without arguments"),
        ("own_backends:factory(3) + f(4)", OptionError, "write a function without arguments"),
        ("own_backends:factory + f", OptionError, "names no object"),
        ("own_backends:factory(3) + (4)", OptionError, "write a function without arguments"),
    ],
)
def test_mistakes(folder: Path, path: str, error: type[Exception], words: str) -> None:
    before = list(sys.path)
    with pytest.raises(error, match=words):
        get_backend(f"qiskit:{path}")
    assert sys.path == before


def test_a_generic_backend_asks_for_its_qubits() -> None:
    with pytest.raises(OptionError) as raised:
        get_backend(f"qiskit:{GENERIC}")
    assert str(raised.value) == (
        "GenericBackendV2 needs its number of qubits: "
        f"write 'qiskit:{GENERIC}(5)', in quotes on a command line"
    )
    with pytest.raises(OptionError) as raised:
        get_backend(GenericBackendV2)
    assert str(raised.value) == (
        "GenericBackendV2 needs its number of qubits: pass GenericBackendV2(5)"
    )
