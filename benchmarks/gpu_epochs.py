"""Stages of `gpu.py`: an epoch of a recipe's training, by the command itself."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments.bench.accelerator import Place
from experiments.config.recipe import load_config
from models import find_plan
from qbackend.errors import BackendError

ROOT = Path(__file__).parents[1]
EPOCHS = 2
"""The last one counts: in the first one things are made that stay."""


def train(recipe: str, arm: str, place: Place, data_root: Path) -> dict[str, Any]:
    """Seconds of the last epoch, without its validation.

    Args:
        recipe: its name.
        arm: of the model; "classical twin" stands for the one by which work is counted.
        place: where to train.
        data_root: folder of the datasets; nothing is downloaded.

    Raises:
        BackendError: the run failed; with its last words.
    """
    if arm != "quantum":
        arm = find_plan(load_config(recipe).model.name).plain_arm
    settings = {
        "train.epochs": EPOCHS,
        "model.arm": arm,
        "data.download": "false",
        "fabric.accelerator": place.device.type,
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        command = [sys.executable, "-m", "experiments", "run", "--recipe", recipe]
        command += ["--backend", "native", "--data-root", str(data_root.resolve())]
        command += ["--out", str(folder), "--json"]
        command += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            words = done.stderr.strip().splitlines()[-1:] or ["without a word"]
            raise BackendError(f"the run left with {done.returncode}: {words[0]}")
        lines = (folder / "metrics.jsonl").read_text().splitlines()
    epochs = [record for record in map(json.loads, lines) if record["kind"] == "epoch"]
    seconds = epochs[-1]["seconds"]
    waited = {"median": seconds, "lower": seconds, "upper": seconds, "calls": 1}
    first = epochs[0]["seconds"]
    return {"waited": waited, "graph": None, "first": first, "arm": arm, "epochs": epochs}
