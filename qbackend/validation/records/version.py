"""Which qhc this is: the release, and the commit that it was made from.

A checkout asks git; what was built from one has a file that the build wrote.
"""

from __future__ import annotations

import re
import subprocess
from importlib import metadata
from pathlib import Path

_WRITTEN = Path(__file__).parents[2] / "commit.txt"
_DESCRIBED = re.compile(r"(?:v(.+)-(\d+)-g)?([0-9a-f]{7,40})(-dirty)?")
"""The nearest tag's release, the commits after it, the commit, and whether files differ from it."""


def release() -> str:
    """The release that this is, or the one that it comes after."""
    found = _DESCRIBED.fullmatch(commit() or "")
    return (found and found[1]) or re.split(r"\.post|\.dev|\+", _installed())[0]


def commit() -> str | None:
    """As `git describe` gives it; None for what was built without git."""
    root = _WRITTEN.parents[1]
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "describe", "--tags", "--match=v[0-9]*", "--long"]
        command += ["--always", "--dirty", "--abbrev=12"]
        try:
            return subprocess.run(
                command, capture_output=True, text=True, check=True
            ).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return None
    try:
        written = _WRITTEN.read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return written if _DESCRIBED.fullmatch(written) else None


def named() -> str:
    """For people: ``qhc 0.2.0+5 (commit 9af753f15e2b)`` is five commits after that release."""
    found = _DESCRIBED.fullmatch(commit() or "")
    if found is None:
        return f"qhc {release()} (commit unknown)"
    later = f"+{found[2]}" if int(found[2] or 0) else ""
    changed = ", with changes" if found[4] else ""
    return f"qhc {release()}{later} (commit {found[3][:12]}{changed})"


def _installed() -> str:
    try:
        return metadata.version("qhc")
    except metadata.PackageNotFoundError:
        return "not installed"
