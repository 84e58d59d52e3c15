"""A script with a `models.py` and an `experiments.py` beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import models, experiments
from qbackend import estimate, validate
print(estimate(models.net(), experiments.data(), ["aer"]))
print(validate(models.net(), experiments.data(), ["aer:fake_manila"], run="mine"))
assert models.__file__.endswith("models.py") and experiments.__file__.endswith("experiments.py")
"""

MODELS = """
from torch import nn
from qbackend import LayerSpec, QuantumLayer

def net():
    layer = QuantumLayer(LayerSpec(n_wires=2, encoding="angle"), backend="aer", seed=1)
    return nn.Sequential(layer, nn.Linear(2, 2))
"""

EXPERIMENTS = """
import torch

def data():
    return [(torch.linspace(-1, 1, 8).reshape(4, 2), torch.tensor([0, 1, 0, 1]))]
"""


@pytest.mark.slow
def test_the_library_does_not_look_at_them(tmp_path: Path) -> None:
    files = {"models.py": MODELS, "experiments.py": EXPERIMENTS, "script.py": SCRIPT}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "run folder: mine" in done.stdout
