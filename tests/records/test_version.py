"""Which qhc this is, as a checkout and as a build say it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from qbackend.validation.records import version

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git(*arguments: str, folder: Path) -> None:
    name = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit, in place of this one."""
    (tmp_path / "qbackend").mkdir()
    monkeypatch.setattr(version, "_WRITTEN", tmp_path / "qbackend" / "commit.txt")
    git("init", "--quiet", folder=tmp_path)
    git("commit", "--quiet", "--allow-empty", "--message=one", folder=tmp_path)
    return tmp_path


def test_a_checkout_tells_its_commit_and_the_tag_before_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "_installed", lambda: "0.1.0.post1.dev463+g9af753f")
    commit = version.commit()
    assert commit is not None
    assert len(commit) == 12
    assert version.named() == f"qhc 0.1.0 (commit {commit})"
    git("tag", "v0.3.0rc1", folder=checkout)
    git("tag", "another", folder=checkout)
    assert version.commit() == f"v0.3.0rc1-0-g{commit}"
    assert version.release() == "0.3.0rc1"
    assert version.named() == f"qhc 0.3.0rc1 (commit {commit})"
    (checkout / "file").touch()
    git("add", "file", folder=checkout)
    git("commit", "--quiet", "--message=two", folder=checkout)
    (checkout / "file").write_text("changed")
    assert version.release() == "0.3.0rc1"
    assert version.named().startswith("qhc 0.3.0rc1+1 (commit ")
    assert version.named().endswith(", with changes)")


@pytest.mark.parametrize(
    ("written", "commit", "named"),
    [
        (f"v0.2.0-0-g{COMMIT}", f"v0.2.0-0-g{COMMIT}", "qhc 0.2.0 (commit 0123456789ab)"),
        (f"v0.2.0-7-g{COMMIT}", f"v0.2.0-7-g{COMMIT}", "qhc 0.2.0+7 (commit 0123456789ab)"),
        ("v0.1.0-0-None", None, "qhc 0.1.0 (commit unknown)"),
        (None, None, "qhc 0.1.0 (commit unknown)"),
    ],
)
def test_a_build_tells_what_it_was_made_from(
    written: str | None,
    commit: str | None,
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(version, "_WRITTEN", tmp_path / "qbackend" / "commit.txt")
    monkeypatch.setattr(version, "_installed", lambda: "0.1.0")
    (tmp_path / "qbackend").mkdir()
    if written is not None:
        (tmp_path / "qbackend" / "commit.txt").write_text(f"{written}\n")
    assert version.commit() == commit
    assert version.named() == named


def test_python_m_experiments_says_it_too() -> None:
    program = [sys.executable, "-m", "experiments", "--version"]
    done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == version.named()


def test_the_changelog_tells_the_version_without_tags() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools_scm"]
    assert f"`{settings['fallback_version']}`" in (ROOT / "CHANGELOG.md").read_text()
