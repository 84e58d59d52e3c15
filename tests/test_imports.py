"""Imports run one way, and heavy libraries stay where they belong."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("qbackend", "models", "experiments")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

FORBIDDEN = {"qbackend": {"models", "experiments"}, "models": {"experiments"}, "experiments": set()}

LEVELS = [
    {"errors"},
    {"ansatze", "canonical", "encodings", "inputs", "torch_compiler"},
    {"spec"},
    {"base", "jobs", "uncertainty"},
    {"simulators"},
    {
        "gradients",
        "noisy_preparation",
        "higher_derivatives",
        "torch_circuit",
        "compile",
        "preparation",
        "orthogonal",
        "splitting",
        "line_plan",
        "placement",
        "device_form",
        "quadratic",
        "kernels",
        "adjoint",
    },
    {"calibration", "device_properties"},
    {"noise_spec"},
    {"snapshots", "noise"},
    {"aer", "aer_circuits", "aer_machine", "aer_noisy", "devices", "simulate", "generic", "ibm"},
    {"registry"},
    {"network"},
    {"layer"},
]
"""qbackend's modules, lowest first: a module imports from its own level and from those before."""

ONLY_IN = {
    "qiskit_aer": ("qbackend/aer", "qbackend/noise.py"),
    "qiskit_ibm_runtime": ("qbackend/ibm/", "qbackend/snapshots.py"),
    "matplotlib": ("experiments/report",),
    "click": ("experiments/cli.py", "experiments/commands"),
}


def imported(path: Path) -> set[str]:
    """Absolute dotted names of everything that a file imports."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def test_what_is_looked_for_is_there() -> None:
    """A walk that finds no file, or a parser that finds no import, would forbid nothing."""
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(PACKAGES)
    used = {path: imported(path) for path in FILES}
    for library, homes in ONLY_IN.items():
        at_home = [p for p in FILES if p.relative_to(ROOT).as_posix().startswith(homes)]
        assert any(name.split(".")[0] == library for path in at_home for name in used[path]), (
            library
        )
    # `from .errors import …` and `from . import …` are read as absolute names.
    assert "qbackend.errors" in used[ROOT / "qbackend" / "base.py"]
    assert "qbackend.seam.forms" in used[ROOT / "qbackend" / "aer.py"]
    modules = {path.relative_to(ROOT / "qbackend").parts[0].removesuffix(".py")
               for path in FILES if path.is_relative_to(ROOT / "qbackend")}  # fmt: skip
    assert {name for names in LEVELS for name in names} == modules - {"__init__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_packages_import_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    used = {name.split(".")[0] for name in imported(path)}
    assert not used & FORBIDDEN[package]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_stay_home(path: Path) -> None:
    place = path.relative_to(ROOT).as_posix()
    used = {name.split(".")[0] for name in imported(path)}
    for library, homes in ONLY_IN.items():
        assert library not in used or place.startswith(homes), f"{place} imports {library}"


def level(module: str) -> int:
    return next((rank for rank, names in enumerate(LEVELS) if module in names), -1)


@pytest.mark.parametrize(
    "path",
    [p for p in FILES if p.is_relative_to(ROOT / "qbackend") and p.name != "__init__.py"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_qbackend_has_levels(path: Path) -> None:
    own = path.relative_to(ROOT / "qbackend").parts[0].removesuffix(".py")
    assert level(own) >= 0, f"give qbackend/{own} a level"
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "qbackend" and len(parts) > 1 and level(parts[1]) >= 0:
            assert level(parts[1]) <= level(own), f"{own} imports {parts[1]} from above"
