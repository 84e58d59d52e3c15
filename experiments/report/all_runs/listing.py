"""All runs and studies below a folder, each read once, from what is on disk alone.

Records are read as the plain values that they are: a list of hundreds is there at once, and a run
that another version wrote, or that has stopped half-way, is in it with what can be told. What is
no run is passed over: a `config.toml` of another program, or a folder of data.
"""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from qbackend.errors import QhcError, RunFolderError

from ..numbers import counted, percent
from .lines import Kind, RunLine

Values = Mapping[str, Any]

PASSED_OVER = {"figures", "node_modules", "__pycache__"}
"""Folders that have no runs; neither have those whose name begins with a point."""

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, QhcError)
"""What damaged records raise, wherever the damage is."""


def find_runs(root: Path) -> list[RunLine]:
    """The runs and studies below `root`, newest first; of it too, if it is one.

    Raises:
        RunFolderError: there is no such folder.
    """
    if not root.is_dir():
        raise RunFolderError(f"{root} is no folder; name one with runs in it: qhc runs FOLDER")
    found = list(_found(root))
    runs = Counter(line.study for line in found)
    lines = [
        replace(line, cells=runs[line.name])
        if line.kind == "study" and line.cells is None
        else line
        for line in found
    ]
    return sorted(lines, key=lambda line: (line.started, line.name), reverse=True)


def _found(root: Path) -> Iterator[RunLine]:
    studies: dict[str, str] = {}
    for folder, folders, files in os.walk(root):
        path = Path(folder)
        name = "." if path == root else path.relative_to(root).as_posix()
        study = _of_study(name, studies)
        folders[:] = [
            each for each in sorted(folders) if each[0] != "." and each not in PASSED_OVER
        ]
        if "config.toml" in files and (line := _run_line(path, name, files)) is not None:
            yield replace(line, study=study)
            folders.clear()
        elif (line := _study_line(path, name, files)) is not None:
            studies[name] = name
            yield line


def _of_study(name: str, studies: Mapping[str, str]) -> str:
    """The innermost study that a folder is below."""
    parents = (parent.as_posix() for parent in Path(name).parents)
    return next((studies[parent] for parent in parents if parent in studies), "")


def _run_line(path: Path, name: str, files: Sequence[str]) -> RunLine | None:
    """The run at `path`; None where the file is another program's."""
    line = RunLine(path, name, report=path / "report.html" if "report.html" in files else None)
    is_ours = "state.json" in files or "metrics.jsonl" in files
    try:
        config = tomllib.loads((path / "config.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return line.damaged(f"config.toml: {error}") if is_ours else None
    run = config.get("run")
    if not isinstance(run, dict) or not (is_ours or ("status" in run and "recipe" in config)):
        return None
    with suppress(*UNREADABLE):
        line = _configured(line, config, run)
    try:
        state = _state(path, run, files)
        line = _in_state(line, state)
        line = _measured(line, path, files)
        if "jobs.sqlite" in files:
            line = replace(line, device_seconds=_charged(path / "jobs.sqlite"))
    except UNREADABLE as error:
        return line.damaged(str(error) or type(error).__name__)
    return line


def _configured(line: RunLine, config: Values, run: Values) -> RunLine:
    """With what the run was begun with."""
    model, data = _table(config, "model"), _table(config, "data")
    train = _table(config, "train")
    trains = run.get("checkpoint") is None or train.get("weights") == "quantum"
    models = 1 + len(run.get("beside") or ())
    name = str(model.get("name") or model.get("factory") or model.get("class") or "")
    return replace(
        line,
        kind=_kind(config, run, trains=trains),
        recipe=str(config.get("recipe") or config.get("kind") or ""),
        model=name if models == 1 else counted(models, "model"),
        arm=str(model.get("arm") or "") if models == 1 else "",
        models=models if models > 1 else None,
        data=str(data.get("name") or data.get("factory") or ""),
        backend=str(run.get("backend") or ""),
        seed=run.get("seed"),
        shots=run.get("shots"),
        epochs_planned=train.get("epochs") if trains else None,
    )


def _kind(config: Values, run: Values, *, trains: bool) -> Kind:
    if run.get("repeats"):
        return "repeat"
    if run.get("mitigations"):
        return "mitigation"
    if run.get("rows"):
        return "rows"
    if run.get("beside"):
        return "models"
    return "training" if trains and "train" in config else "validation"


def _state(path: Path, run: Values, files: Sequence[str]) -> Values:
    """What happened to the run; in its config where it is of old."""
    if "state.json" in files:
        return json.loads((path / "state.json").read_text(encoding="utf-8"))
    if "status" not in run:
        raise RunFolderError("state.json is missing; put it back")
    return run


def _in_state(line: RunLine, state: Values) -> RunLine:
    parameters = None if line.models else state.get("parameters") or None
    problem = str(state.get("error") or "")
    if state["status"] == "running" and not _is_alive(state.get("process")):
        problem = f"its process is not on this computer; if it has died: qhc resume {line.path}"
    return replace(
        line,
        state=str(state["status"]),
        problem=problem,
        started=str(state.get("started") or ""),
        parameters=parameters,
        quantum_parameters=state.get("quantum_parameters") if parameters else None,
    )


def _is_alive(process: int | None) -> bool:
    if process is None:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # It is there, and another user's.
        return True
    return True


def _measured(line: RunLine, path: Path, files: Sequence[str]) -> RunLine:
    """With what its metrics say."""
    records = _records(path / "metrics.jsonl") if "metrics.jsonl" in files else []
    epochs = [each for each in records if each["kind"] == "epoch"]
    # A run of a recipe has evaluations, a validation from Python stages.
    answered = [each for each in records if each["kind"] in ("evaluation", "stage")]
    tested = [each for each in answered if each.get("split", "test") == "test"] or answered
    last = tested[-1] if tested else {}
    accuracy, loss = _score(last, "accuracy"), _score(last, "loss")
    # A comparison of mitigations, and a validation that was stopped, have an ideal one alone.
    is_own = last.get("backend", line.backend) == line.backend or last.get("is_reference") is False
    validations = [_score(each["validation"], "accuracy") for each in epochs]
    curve_of = "accuracy" if any(each is not None for each in validations) else "loss"
    curve = [_score(each["validation"], curve_of) for each in epochs]
    seconds = [each.get("seconds", 0.0) + each.get("validation_seconds", 0.0) for each in epochs]
    seconds += [each.get("seconds", 0.0) for each in answered]
    joint: Values = next((each for each in records if each["kind"] == "joint"), {})
    charged = [each["charged_seconds"] for each in records if "charged_seconds" in each]
    charges = charged or [each["qpu_seconds"] for each in answered if each.get("jobs")]
    return replace(
        line,
        validation=max((each for each in validations if each is not None), default=None),
        test=accuracy if is_own else None,
        loss=loss,
        other="" if is_own and accuracy is not None else _other(last, accuracy) or _range(joint),
        images=joint.get("n_images", last.get("n_images", last.get("n_items"))),
        epochs=len(epochs),
        seconds=sum(seconds) if seconds else None,
        device_seconds=sum(charges) if charges else None,
        curve=tuple(each for each in curve if each is not None),
        curve_of=curve_of if epochs else "",
    )


def _records(path: Path) -> list[Values]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    # A process that was killed may leave half a line, always the last one.
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _score(values: Values, name: str) -> float | None:
    """A finite score, by itself or among others; None where there is none."""
    found = values.get(name)
    if found is None:
        found = _table(values, "scores").get(name)
    if isinstance(found, dict):
        found = found.get("value")
    return float(found) if found is not None and math.isfinite(found) else None


def _other(answered: Values, accuracy: float | None) -> str:
    """The accuracy by another backend; the first score that there is; or the loss."""
    if accuracy is not None:
        return f"{percent(accuracy)} by {answered['backend']}"
    scores = {**_table(answered, "scores"), "loss": answered.get("loss")}
    found = ((name, _score(scores, name)) for name in scores)
    return next((f"{name} {value:.4g}" for name, value in found if value is not None), "")


def _range(joint: Values) -> str:
    """From the least accurate of several models to the most, corrected where one is."""
    found = [(each.get("corrected") or each)["accuracy"] for each in joint.get("members") or ()]
    if len(set(found)) < 2:
        return percent(found[0]) if found else ""
    return f"{100 * min(found):.2f} to {percent(max(found))}"


def _charged(ledger: Path) -> float:
    """Seconds charged as far as the ledger knows."""
    # Only runs on machines wait for this import.
    from qbackend.machines.ledger.ledger import Ledger

    opened = Ledger.existing(ledger, read_only=True)
    try:
        return opened.charged_seconds()
    finally:
        opened.close()


def _study_line(path: Path, name: str, files: Sequence[str]) -> RunLine | None:
    """The study at `path`; None where there is none. Its tables have its name."""
    stems = {Path(file).stem for file in files if file.endswith(".txt")}
    names = sorted(stem for stem in stems if {f"{stem}.json", f"{stem}.csv"} <= set(files))
    if not names and "cells.jsonl" not in files:
        return None
    line = RunLine(path, name, kind="study", state="finished" if names else "unfinished")
    written = path / (f"{names[0]}.json" if names else "cells.jsonl")
    try:
        line = replace(line, started=_time_of(written))
        if not names:
            return replace(line, cells=len(_records(written)))
        content = json.loads(written.read_text(encoding="utf-8"))
        report = path / "report.html" if "report.html" in files else None
        return replace(
            line,
            recipe=str(content.get("recipe") or ""),
            compares=names[0],
            backend=str(content.get("backend") or ""),
            cells=len(content["cells"]) if "cells" in content else None,
            report=report,
        )
    except UNREADABLE as error:
        return line.damaged(f"{written.name}: {error}")


def _time_of(path: Path) -> str:
    from datetime import datetime

    when = datetime.fromtimestamp(path.stat().st_mtime)
    return when.astimezone().isoformat(timespec="seconds")


def _table(values: Values, name: str) -> Values:
    found = values.get(name)
    return found if isinstance(found, dict) else {}
