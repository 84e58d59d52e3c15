"""A model with more outputs than there are classes, or fewer, is diagnosed to the end."""

from __future__ import annotations

import math
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


def fewer(n_classes):
    return _net(n_classes - 1)
"""

FOCAL = """
from torch.nn.functional import cross_entropy


def focal(logits, targets):
    each = cross_entropy(logits, targets, reduction="none")
    return ((1 - (-each).exp()) ** 2 * each).mean()
"""


def test_outputs_beyond_the_classes_are_counted(qhc: Qhc) -> None:
    Path("outputs.py").write_text(NETS)
    checks = ("--only", "labels,loss,gradients", "--json")
    code, out, err = qhc("diagnose", "outputs.py:more", "--data", "digits", *checks)
    assert code == 0, err
    labels = last_line(out)["checks"][0]
    assert any("5 of 15 classes" in str(finding) for finding in labels["findings"])


def test_labels_beyond_the_outputs_are_a_defect_and_not_the_end(qhc: Qhc) -> None:
    Path("outputs.py").write_text(NETS)
    checks = ("--only", "labels,loss,gradients,dead", "--json")
    code, out, err = qhc("diagnose", "outputs.py:fewer", "--data", "digits", *checks)
    found = last_line(out)
    assert (code, found["defects"]) == (1, 3), err
    assert {each["check"]: each["result"] for each in found["checks"]} == {
        "labels": "defect +2", "loss": "skipped", "gradients": "skipped", "dead": "skipped",
    }  # fmt: skip
    assert {each["seen"] for each in found["checks"][1:]} == {
        "labels are out of range, see the check 'labels'"
    }
    assert "3 defects in 1 check\n" in err


def test_an_even_guess_is_weighed_by_the_loss_in_use(qhc: Qhc) -> None:
    """A focal loss of K classes is (1 - 1/K)^2 log K there, which is no sign of known labels."""
    Path("focal.py").write_text(FOCAL)
    focal = ("--set", "train.loss=focal.py:focal", "--set", "train.label_smoothing=0")
    code, out, err = qhc("diagnose", "digits", *focal, "--only", "loss", "--json")
    (check,) = last_line(out)["checks"]
    assert (code, check["result"]) == (0, "ok"), err
    assert f"has {0.9**2 * math.log(10):.3f}" in check["seen"]
