"""The command, before anything else of it is imported.

`models` and `experiments` are names that other people's folders have too. Whichever stands first on
Python's path is imported, so that these have to be looked at from outside of both.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
PACKAGES = ("qbackend", "models", "experiments")


def main() -> None:
    """`qhc`; leaves with 2 where a package of the user's own stands in front of one of ours."""
    for name in PACKAGES:
        if (found := shadow_of(name)) is not None:
            print(f"error: {words(name, found)}", file=sys.stderr)
            sys.exit(2)
    import_module("experiments.commands.cli").main()


def shadow_of(name: str) -> Path | None:
    """What would be imported in place of our package of that name; None where it is ours."""
    spec = find_spec(name)
    ours = HOME / name / "__init__.py"
    if spec is None:
        return ours
    # A folder without an __init__ has no origin, and is imported all the same.
    found = Path(spec.origin or next(iter(spec.submodule_search_locations or [name])))
    return None if found.resolve() == ours else found


def words(name: str, found: Path) -> str:
    """What stands in front of which package, and what to do."""
    if found == HOME / name / "__init__.py":
        return f"qhc's package '{name}' is not installed; install qhc again: pip install qhc"
    shown = found.parent if found.name == "__init__.py" else found
    folder = str(shown.resolve().parent)
    listed = [os.path.realpath(each) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    advice = f"rename yours (for example my_{shown.name}), or call qhc from another folder"
    if os.environ.get("PYTHONPATH") and folder in listed:
        advice = f"rename yours (for example my_{shown.name}), or take {folder} out of PYTHONPATH"
    elif folder == os.getcwd():
        advice += ", by `qhc` instead of `python -m`, which looks into the working folder first"
    return (
        f"{shown} stands in front of '{name}', a package of qhc's own, and would be imported in "
        f"its place: {advice}"
    )
