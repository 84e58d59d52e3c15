"""A model with more outputs than there are classes is diagnosed to the end."""

from __future__ import annotations

from pathlib import Path

from tests.support.command_line import Qhc, last_line

NETS = """
from torch import nn
from qbackend import LayerSpec, QuantumLayer


def _net(n_outputs):
    circuit = QuantumLayer(LayerSpec(2, encoding="angle"))
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2), circuit, nn.Linear(2, n_outputs))


def more(n_classes):
    return _net(n_classes + 5)
"""


def test_outputs_beyond_the_classes_are_counted(qhc: Qhc) -> None:
    Path("outputs.py").write_text(NETS)
    checks = ("--only", "labels,loss,gradients", "--json")
    code, out, err = qhc("diagnose", "outputs.py:more", "--data", "digits", *checks)
    assert code == 0, err
    labels = last_line(out)["checks"][0]
    assert any("5 of 15 classes" in str(finding) for finding in labels["findings"])
