"""The command `qhc`: its commands, and what it leaves with."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import click

from qbackend.errors import JobsPendingError, QhcError

from .ablate import ablate
from .compare import compare
from .diagnose import diagnose
from .look import backends, bench, data, report, runs, warmup
from .machine import cancel, jobs
from .options import Group
from .run import estimate, rerun, resume, run

WAITING = "GOMP_SPINCOUNT"
"""Of GNU's OpenMP, which torch brings along on Linux: how often a thread that has nothing to do
looks for work before it sleeps. By itself it looks for some milliseconds, and keeps its core from
the very threads that it waits for when others need the cores too."""
LOOKS = "10000"

FORMER_FLAGS = {"encoder": "preparation"}
"""Flags that scripts may still call by the name that they had."""

EXAMPLES = """\b
Examples:
  qhc run                              train and test on 8x8 digits, no download
  qhc run --recipe mnist               the hybrid network on MNIST
  qhc backends                         what the quantum layer can run on
  qhc run --checkpoint runs/RUN --backend fake_fez   that model, rehearsed as on a machine
  qhc report runs/ONE runs/OTHER       two runs side by side
  qhc report --open                    all runs on a page, in the browser
"""


def _say_version(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked:
        from qbackend.validation.records.version import named

        click.echo(named())
        context.exit()


@click.group(
    cls=Group,
    epilog=EXAMPLES,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "token_normalize_func": lambda name: FORMER_FLAGS.get(name, name),
    },
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_version,
    help="Say which release and which commit this is.",
)
def cli() -> None:
    """Train a hybrid quantum-classical image classifier, then validate it anywhere."""


for command in (
    run,
    estimate,
    rerun,
    resume,
    jobs,
    cancel,
    report,
    runs,
    compare,
    ablate,
    diagnose,
    backends,
    data,
    bench,
    warmup,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    2 for what the user can mend, 1 for any other failure, 130 for Ctrl-C, SIGTERM and SIGHUP.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if "OMP_WAIT_POLICY" not in os.environ and typed[:1] != ["bench"]:
        # Read when torch is loaded, which no import of this file does. What is timed has the
        # machine to itself.
        os.environ.setdefault(WAITING, LOOKS)
    try:
        with _terminated_as_interrupted():
            code = cli.main(typed, prog_name="qhc", standalone_mode=False, obj=typed)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except JobsPendingError as error:
        # Only what Ctrl-C interrupted, the sending or the wait, comes this far.
        click.echo(str(error), err=True)
        code = 130
    except QhcError as error:
        _tell(str(error), typed)
        code = error.exit_code
    except Exception as error:
        first_line = str(error).partition("\n")[0]
        code = 130 if _was_interrupted(error) else 1
        if code == 1:
            _tell(f"{type(error).__name__}: {first_line} (--debug shows the traceback)", typed)
    _leave(code or 0)


def _was_interrupted(error: BaseException) -> bool:
    """Whether it came of tidying up behind Ctrl-C, as threads of a library started."""
    behind = error.__context__
    return behind is not None and (
        isinstance(behind, KeyboardInterrupt) or _was_interrupted(behind)
    )


def _leave(code: int) -> NoReturn:
    """End this process; what it has written is out before."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        sys.exit(code)
    # Threads of Gloo's outlive a training that several processes shared, and now and then abort
    # an interpreter that shuts down below them; Fabric would then kill the first process.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends what is under way as Ctrl-C does: records are kept, sessions are closed.

    So does SIGHUP, which a lost connection to the terminal sends, where nobody had it ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in numbers}
    heeded = [number for number in numbers if before[number] is not signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])


def _tell(message: str, typed: list[str]) -> None:
    if "--debug" in typed:
        traceback.print_exc()
    click.echo(f"error: {message}", err=True)


if __name__ == "__main__":
    main()
