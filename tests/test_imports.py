"""Imports run one way, and heavy libraries stay where they belong.

Every folder says in its `__init__` what is in it, lowest first: a module imports from those before
it in the list of its folder, and a folder from those before it in the list of the package.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("qhc", "qbackend", "models", "experiments")
"""Lowest first, as everywhere here."""
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FOLDERS = sorted({path.parent for path in FILES})
MOST_MODULES = 16

ONLY_IN = {
    "cuda": ("qbackend/native/cuda/driver.py",),
    "qiskit_aer": ("qbackend/aer/", "qbackend/devices/noise.py", "qbackend/devices/mixtures.py"),
    "qiskit_ibm_runtime": ("qbackend/ibm/", "qbackend/devices/snapshots.py"),
    "matplotlib": ("experiments/report/",),
    "click": ("experiments/commands/",),
}


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    """The module's name; a package's for its `__init__`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {dotted(path): path for path in FILES}


@cache
def imported(path: Path) -> tuple[tuple[str, str | None], ...]:
    """What a file imports: modules by their absolute names, each with a name taken from it."""
    package = path.relative_to(ROOT).parts[:-1]
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                found.append((whole, None) if whole in MODULES else (module, alias.name))
    return tuple(found)


@cache
def listed(folder: Path) -> dict[str, set[str]]:
    """The modules and folders that an `__init__` lists, in order, with what it says of each."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    entries = re.findall(r"^- `(\w+)`(?:: (.*(?:\n  .*)*))?$", text, re.MULTILINE)
    return {name: set(re.split(r",\s+", words)) - {""} for name, words in entries}


def members(folder: Path) -> set[str]:
    """The modules and folders of a folder."""
    return {
        path.stem if path.is_file() else path.name
        for path in folder.iterdir()
        if (path.suffix == ".py" and path.stem not in ("__init__", "__main__"))
        or (path / "__init__.py").exists()
    }


def rank(name: str) -> tuple[int, ...]:
    """Where a module stands: among the packages, in its package's list, in its folder's list."""
    parts = name.split(".")
    ranks = [PACKAGES.index(parts[0])]
    folder = ROOT / parts[0]
    for part in parts[1:]:
        if part == "__main__":
            return (*ranks, len(listed(folder)))
        if part not in members(folder):
            break
        ranks.append(list(listed(folder)).index(part))
        folder = folder / part
    return tuple(ranks)


def test_what_is_looked_for_is_there() -> None:
    """A walk that finds no file, or a parser that finds no import, would forbid nothing."""
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(PACKAGES)
    for library, homes in ONLY_IN.items():
        at_home = [path for path in FILES if place(path).startswith(homes)]
        assert any(
            name.split(".")[0] == library for path in at_home for name, _ in imported(path)
        ), library
    # `from .x import …` and `from . import …` are read as absolute names.
    used = imported(ROOT / "qbackend/seam/backend.py")
    assert ("qbackend.seam.requests", "Request") in used
    assert ("qbackend.kernels.row_forms", None) in imported(ROOT / "qbackend/seam/forms.py")


@pytest.mark.parametrize("folder", FOLDERS, ids=place)
def test_a_folder_says_what_is_in_it(folder: Path) -> None:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    assert re.match(r"[A-Z].*\.", text, re.DOTALL), f"{place(folder)} needs a sentence"
    assert set(listed(folder)) == members(folder)
    assert len(members(folder)) <= MOST_MODULES


@pytest.mark.parametrize("path", FILES, ids=place)
def test_imports_run_one_way(path: Path) -> None:
    own = dotted(path)
    for name, _ in imported(path):
        if name.split(".")[0] not in PACKAGES or name == own:
            continue
        # A folder's `__init__` loads the modules below it for whoever asks for their names.
        inside = path.name == "__init__.py" and name.startswith(f"{own}.")
        assert inside or rank(name) < rank(own), f"{own} imports {name} from above"


@pytest.mark.parametrize("folder", [each for each in FOLDERS if each.parent != ROOT], ids=place)
def test_a_folder_lists_what_others_use(folder: Path) -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        if path.is_relative_to(folder):
            continue
        for name, taken in imported(path):
            module = MODULES.get(name)
            if module is not None and module.parent == folder and module.name != "__init__.py":
                used[module.stem].add(taken or "itself")
    subfolders = {name for name in members(folder) if (folder / name).is_dir()}
    told = {name: names for name, names in listed(folder).items() if names}
    assert {name: names for name, names in told.items() if name not in subfolders} == used


@pytest.mark.parametrize("path", FILES, ids=place)
def test_heavy_libraries_stay_home(path: Path) -> None:
    used = {name.split(".")[0] for name, _ in imported(path)}
    for library, homes in ONLY_IN.items():
        at_home = place(path).startswith(homes)
        assert library not in used or at_home, f"{place(path)} imports {library}"


def test_no_folder_of_tests_is_too_full() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert ROOT / "tests" / "seam" in folders
    modules = {place(each): {path.stem for path in each.glob("*.py")} for each in folders}
    shared = {"__init__", "__main__", "conftest"}
    full = {name for name, stems in modules.items() if len(stems - shared) > MOST_MODULES}
    assert not full


def test_the_map_is_the_tree() -> None:
    """`CONTRIBUTING.md` says of every folder what its `__init__` says."""
    rows = dict(
        re.findall(r"^\| `([\w/]+)/` \| (.+) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    )
    said = {place(folder): first_sentence(folder) for folder in FOLDERS}
    assert {folder: rows.get(folder) for folder in said} == said


def first_sentence(folder: Path) -> str:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    return " ".join(text.split("\n\n")[0].split())
