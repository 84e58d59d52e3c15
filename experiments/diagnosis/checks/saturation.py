"""A bottleneck at its limits: features or outputs that hardly move from sample to sample.

Letters: N rows, F features, M outputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ..findings import Finding, Outcome, skipped
from ..parts import Part, spread_out
from ..subject import Subject
from ..watch import Activation

ROWS = 1024
FLAT = math.sqrt(torch.finfo(torch.float32).eps)
"""A derivative of an activation, relative to its largest, that float32 has lost half of its digits
to: tanh has it beyond 4.7, a sigmoid beyond 9.4."""


def look(subject: Subject) -> Outcome:
    """Activations in front, spread of features and outputs over the samples, and their rank."""
    if not subject.called_parts:
        return skipped("no quantum layer")
    findings: list[Finding] = []
    words: list[str] = []
    for part in subject.called_parts:
        features = subject.evaluated.features[part.name]
        rows = spread_out(part.rows(features), ROWS).double()
        answers = spread_out(part.answers(subject.evaluated.outputs[part.name]), ROWS).double()
        if len(rows) < 2 or not (rows.isfinite().all() and answers.isfinite().all()):
            continue
        varying = _varying(rows)
        here = [
            *_activation(part, subject.evaluated.activations[part.name]),
            *_still(part, rows, varying),
        ]
        here += _flat(subject, part, answers) if not here else ()
        rank, effective = _ranks(rows)
        here += _collapsed(part, rows, varying, rank, effective) if not here else ()
        findings += here
        words.append(
            f"'{part.name}': {int(varying.sum())} of {len(varying)} features vary, rank {rank} "
            f"(in effect {effective:.1f}), outputs by {answers.std(dim=0).mean():.3f}"
        )
    if not words:
        return skipped("fewer than two finite rows reach the quantum layer")
    return Outcome("; ".join(words), tuple(findings))


def _varying(rows: Tensor) -> Tensor:
    """Which columns of (N, F) differ from row to row by more than float32 rounds, (F,)."""
    eps = torch.finfo(torch.float32).eps
    # Padding is zero everywhere, and says nothing.
    return (rows.amax(dim=0) - rows.amin(dim=0)) > 4 * eps * rows.abs().amax(dim=0)


def _activation(part: Part, activation: Activation) -> Iterator[Finding]:
    name = activation.name
    if name not in ("TanhBackward0", "SigmoidBackward0", "ReluBackward0"):
        return
    if activation.result is None:
        return
    result = activation.result.detach().double()
    if name == "ReluBackward0":
        if not result.any():
            yield Finding(
                "defect",
                f"the ReLU in front of '{part.name}' is dead",
                (f"all of its {result.numel():,} values are 0, and so are their derivatives",),
                "lower the learning rate or the biases before it, or take tanh",
            )
        return
    is_tanh = name == "TanhBackward0"
    slopes = 1 - result.square() if is_tanh else 4 * result * (1 - result)
    share = (slopes < FLAT).double().mean().item()
    if share > 0.5:
        yield Finding(
            "warning",
            f"the features of '{part.name}' are saturated: {'tanh' if is_tanh else 'sigmoid'} is "
            "at its limits",
            (
                f"{share:.1%} of {slopes.numel():,} values have a slope below {FLAT:.1e} of the "
                "largest: the front in front of them is hardly trained any more",
                f"the mean slope is {slopes.mean():.1e}; 1 is that at zero",
            ),
            "scale down or normalise what goes into the activation (BatchNorm1d, smaller initial "
            "weights, a lower learning rate)",
        )


def _still(part: Part, rows: Tensor, varying: Tensor) -> Iterator[Finding]:
    if not varying.any():
        yield Finding(
            "defect",
            f"the quantum layer '{part.name}' gets the same features for every sample",
            (f"none of {len(varying)} features differs over {len(rows)} rows",),
            "look at what is in front of it: nothing of the sample arrives",
        )
        return
    constant = ~varying & (rows.abs().amax(dim=0) > 0)
    dead = ~varying & ~constant
    n_in = getattr(part.module, "in_channels", len(varying))
    for which, what in ((constant, "are constant"), (dead[:n_in], "are 0 for every sample")):
        if which.any():
            places = which.nonzero().flatten().tolist()
            yield Finding(
                "note",
                f"{len(places)} of {n_in} features of '{part.name}' {what}",
                (f"numbers {', '.join(map(str, places[:8]))}, over {len(rows)} rows",),
                "they carry nothing: dead units in front, or fewer wires would do",
            )


def _flat(subject: Subject, part: Part, answers: Tensor) -> Iterator[Finding]:
    spread = answers.std(dim=0)
    eps = torch.finfo(torch.float32).eps
    still = int((spread <= 4 * eps).sum())
    if still:
        yield Finding(
            "defect" if still == len(spread) else "warning",
            f"{'all' if still == len(spread) else still} of {len(spread)} outputs of "
            f"'{part.name}' are the same for every sample",
            (f"standard deviations over {len(answers)} rows are {spread.max():.0e} at most",),
            "the observables do not see the features: look at the circuit and its wires",
        )
    elif subject.shots and spread.max() < 1 / math.sqrt(subject.shots):
        # At the start they are close together, and training moves them apart.
        yield Finding(
            "warning" if subject.trained else "note",
            f"the outputs of '{part.name}' differ by less than their shots tell",
            (
                f"the largest standard deviation over {len(answers)} rows is {spread.max():.1e}; "
                f"{subject.shots} shots leave an error of up to {subject.shots**-0.5:.1e}",
            ),
            "more shots, or features that differ more",
        )


def _ranks(rows: Tensor) -> tuple[int, float]:
    """Numerical rank of the centred rows (N, F) in float32, and the effective one.

    The latter is (Σλ)² / Σλ² over the eigenvalues λ of their covariance.
    """
    values = torch.linalg.svdvals(rows - rows.mean(dim=0))
    floor = values.max() * max(rows.shape) * torch.finfo(torch.float32).eps
    powers = values.square()
    effective = powers.sum().square() / powers.square().sum().clamp_min(1e-300)
    return int((values > floor).sum()), effective.item()


def _collapsed(
    part: Part, rows: Tensor, varying: Tensor, rank: int, effective: float
) -> Iterator[Finding]:
    # Shares of a whole, as softmax gives them, are one number fewer.
    full = min(int(varying.sum()) - 1, len(rows) - 1)
    if rank >= full or rank == 0:
        return
    yield Finding(
        "warning" if rank == 1 else "note",
        f"the {int(varying.sum())} features of '{part.name}' are {rank} in truth",
        (
            f"the rank of their covariance over {len(rows)} rows is {rank} (in effect "
            f"{effective:.1f}), by singular values above float32's rounding",
        ),
        "a narrower place in front of the layer decides: widen it, or take fewer wires",
    )
