"""Every planted defect is named by its check, and its repaired twin is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from experiments.diagnosis.diagnose import CHECKS, diagnose
from experiments.diagnosis.findings import Severity
from experiments.diagnosis.subject import Samples, Subject
from qbackend import LayerSpec, NoiseSpec

from .healthy import AMPLITUDES, SPEC, K, Net, bounded, same, samples, subject
from .spoiling import (
    Detached,
    FullHead,
    blind,
    by_itself,
    circuit,
    connected,
    frozen,
    half_precision,
    in_bytes,
    lopsided,
    louder_head,
    net,
    on_device,
    one_hot,
    over_the_batch,
    scaled,
    shuffled,
    through_numpy,
    under_model,
    whole_numbers,
    with_copies,
    with_nan,
    with_optimiser,
    with_spare,
    with_still_channel,
    with_training,
    without_class,
)

OFF = NoiseSpec(one_qubit=0, two_qubit=0, relaxation=0, readout=0, idle=0)


@dataclass(frozen=True)
class Plant:
    """A defect.

    Attributes:
        check: that has to name it.
        severity: as what.
        words: in what it says.
        spoiled: with the defect.
        repaired: without.
    """

    check: str
    severity: Severity
    words: str
    spoiled: Callable[[], Subject]
    repaired: Callable[[], Subject] = subject


PLANTS = {
    "detached": Plant(
        "gradients", "defect", "requires_grad=False", net(between=lambda f: bounded(f).detach())
    ),
    "through numpy": Plant("gradients", "defect", "autograd was left", net(between=through_numpy)),
    "rounded": Plant(
        "gradients", "defect", "torch.round", net(between=lambda f: torch.round(bounded(f)))
    ),
    "argmax": Plant(
        "gradients",
        "defect",
        "in front of the quantum layer",
        net(between=lambda f: functional.one_hot(f.argmax(dim=1), f.shape[1]).float()),
    ),
    "no input gradients": Plant(
        "gradients", "defect", "input_gradients=True", connected(False), connected(True)
    ),
    "outputs detached": Plant(
        "gradients",
        "defect",
        "comes back to the quantum layer",
        lambda: subject(Net(head=nn.Sequential(Detached(), nn.Linear(SPEC.n_outputs, K)))),
    ),
    "unused tensor": Plant(
        "gradients", "warning", "spare: None", lambda: subject(with_spare(Net()))
    ),
    "not in the optimiser": Plant(
        "optimiser",
        "defect",
        "missing from the optimiser",
        with_optimiser(lambda m: [*m.front.parameters(), *m.head.parameters()]),
    ),
    "learning rate 0": Plant(
        "optimiser",
        "defect",
        "learning rate of quantum weights is zero",
        with_optimiser(
            lambda m: [
                {"params": m.circuit.parameters(), "lr": 0.0},
                {"params": [*m.front.parameters(), *m.head.parameters()]},
            ]
        ),
    ),
    "frozen circuit": Plant(
        "optimiser", "warning", "weights are frozen", frozen(False), frozen(True)
    ),
    "scaled over the batch": Plant(
        "neighbours",
        "defect",
        "depends on its batch in evaluation",
        net(between=over_the_batch),
        net(between=by_itself),
    ),
    "softmax over the batch": Plant(
        "neighbours",
        "defect",
        "depends on its batch in evaluation",
        net(between=lambda f: 3 * f.softmax(dim=0)),
        net(between=lambda f: 3 * f.softmax(dim=1)),
    ),
    "dropout that never ends": Plant(
        "neighbours",
        "defect",
        "two equal calls",
        net(between=lambda f: bounded(functional.dropout(f, 0.5))),
        lambda: subject(Net(head=nn.Sequential(nn.Dropout(0.5), nn.Linear(SPEC.n_outputs, K)))),
    ),
    "softmax before amplitudes": Plant(
        "softmax",
        "warning",
        "nearly the uniform one",
        net(between=lambda f: f.softmax(dim=1), spec=AMPLITUDES),
        net(between=same, spec=AMPLITUDES),
    ),
    "strengths of 0": Plant("noise", "defect", "is off", on_device(OFF), on_device(NoiseSpec())),
    "errors on absent gates": Plant(
        "noise", "warning", "swap", under_model(["rx", "swap"]), under_model(["rx", "cx"])
    ),
    "no error on any gate": Plant(
        "noise", "defect", "acts on no gate", under_model(["swap"]), under_model(["cx"])
    ),
    "plateau": Plant(
        "plateau",
        "warning",
        "drown in the noise",
        net(spec=LayerSpec(12, encoding="angle", n_layers=1, observables=("Z" * 12,))),
    ),
    "saturated": Plant("saturation", "warning", "tanh is at its limits", scaled(500), scaled(1)),
    "saturated sigmoid": Plant(
        "saturation",
        "warning",
        "sigmoid is at its limits",
        scaled(1e3, between=torch.sigmoid),
        scaled(1, between=torch.sigmoid),
    ),
    "dead ReLU": Plant(
        "saturation",
        "defect",
        "is dead",
        scaled(1, -1e3, between=torch.relu),
        scaled(1, 0.5, between=torch.relu),
    ),
    "nothing arrives": Plant(
        "saturation", "defect", "same features for every sample", scaled(0, between=same)
    ),
    "narrow front": Plant(
        "saturation",
        "warning",
        "features of 'circuit' are 1 in truth",
        net(between=lambda f: 0.5 * f[:, :1] * torch.tensor([1.0, -0.7, 0.3])),
    ),
    "bytes": Plant("inputs", "warning", "not normalised", with_training(in_bytes)),
    "NaN": Plant("inputs", "defect", "NaN", with_training(with_nan)),
    "a channel of one value": Plant(
        "inputs", "warning", "channels are constant", with_training(with_still_channel)
    ),
    "angles beyond a turn": Plant(
        "inputs", "warning", "come round", net(between=lambda f: 20 * f), net(between=bounded)
    ),
    "test in bytes": Plant(
        "inputs",
        "defect",
        "test inputs are scaled otherwise",
        lambda: subject(splits={"test": in_bytes(samples(120, 3))}),
    ),
    "labels from 1": Plant(
        "labels",
        "defect",
        "out of range",
        with_training(lambda s: Samples(s.inputs, s.targets + 1)),
    ),
    "one-hot integers": Plant(
        "labels", "defect", "one-hot", one_hot(torch.int64), one_hot(torch.float32)
    ),
    "a class missing": Plant(
        "labels", "defect", "no training sample", with_training(without_class)
    ),
    "labels shuffled": Plant(
        "labels", "warning", "nothing to do with the inputs", with_training(shuffled)
    ),
    "one class in most": Plant(
        "labels", "note", "equally frequent", with_training(lopsided), with_training(lambda s: s)
    ),
    "copies in validation": Plant(
        "duplicates", "warning", "are training samples too", with_copies(30), with_copies(0)
    ),
    "RZ before Z": Plant(
        "dead", "warning", "numbers 2", net(spec=circuit("rz")), net(spec=circuit("rx"))
    ),
    "a feature unseen": Plant("dead", "warning", "nothing depends on 1 feature", net(spec=blind())),
    "outputs unread": Plant("dead", "warning", "nobody reads 1 of 3", net(reads=2), net(reads=3)),
    "softmax twice": Plant(
        "loss", "defect", "softmax twice", net(behind=lambda logits: logits.softmax(dim=1))
    ),
    "values as logits": Plant("loss", "warning", "taken for logits", net(head=nn.Identity())),
    "loud head": Plant("loss", "warning", "far above", louder_head),
    "half precision": Plant(
        "dtypes",
        "warning",
        "torch.float16",
        net(between=half_precision, head=FullHead(SPEC.n_outputs, K)),
    ),
    "whole numbers": Plant("dtypes", "warning", "torch.int64", whole_numbers),
}


def said(found: Any) -> str:
    return "\n".join((found.what, *found.evidence, found.advice))


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_defect_is_named(name: str) -> None:
    plant = PLANTS[name]
    checked = {each.name: each.outcome for each in diagnose(plant.spoiled(), [plant.check])}
    found = checked[plant.check].findings
    assert [each.severity for each in found if plant.words in said(each)] == [plant.severity], found


@pytest.mark.parametrize("name", PLANTS)
def test_its_repaired_twin_is_not(name: str) -> None:
    plant = PLANTS[name]
    (checked,) = diagnose(plant.repaired(), [plant.check])
    assert checked.outcome.findings == ()


def test_nothing_is_wrong_with_a_network_in_which_nothing_is() -> None:
    checked = diagnose(subject())
    assert [each.name for each in checked] == list(CHECKS)
    assert [each.outcome.findings for each in checked] == [()] * len(CHECKS)


def test_every_check_has_a_plant() -> None:
    assert {plant.check for plant in PLANTS.values()} == set(CHECKS)
