"""The command line as tests type it, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from experiments.commands.cli import main

Qhc = Callable[..., tuple[int, str, str]]
"""The command: exit code, standard output, standard error."""


def exit_code(*arguments: str) -> int:
    """What the command leaves with."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


@contextmanager
def without_reports() -> Iterator[None]:
    """Runs leave no report: drawing takes longer than everything else that tests let them do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.run.runner.write_report", lambda runs: None)
        patch.setattr("experiments.studies.ablate.write_report", lambda runs, out: None)
        yield


def assert_refused(qhc: Qhc, words: str, *arguments: str) -> None:
    """The mistake in a command is explained with those words, and nothing is made."""
    code, out, err = qhc(*arguments)
    assert (code, out) == (2, ""), err
    assert words in err
    assert "Traceback" not in err
    assert list(Path().iterdir()) == []


def last_line(out: str) -> dict[str, Any]:
    """What a command with --json says."""
    return json.loads(out.splitlines()[-1])


def start_qhc(folder: Path, *arguments: str, with_reports: bool = False) -> subprocess.Popen[str]:
    """The command in a process of its own, working in `folder`."""
    program = "experiments.commands.cli" if with_reports else __name__
    return subprocess.Popen(
        [sys.executable, "-m", program, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell makes what it runs in the background deaf to Ctrl-C, and its children too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


if __name__ == "__main__":
    with without_reports():
        main()
