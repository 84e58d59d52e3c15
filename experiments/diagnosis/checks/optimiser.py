"""Weights of the circuit that the optimiser does not move."""

from __future__ import annotations

from ..findings import Finding, Outcome, skipped
from ..parts import some
from ..subject import Subject


def look(subject: Subject) -> Outcome:
    """requires_grad, the optimiser's groups, and their learning rates."""
    weights = {name: each for part in subject.parts for name, each in part.weights.items()}
    if not weights:
        return skipped("no quantum weights")
    findings: list[Finding] = []
    frozen = [name for name, each in weights.items() if not each.requires_grad]
    if frozen and not subject.is_frozen:
        findings.append(
            Finding(
                "warning",
                "quantum weights are frozen",
                (f"requires_grad is False for {len(frozen)} of {len(weights)}: {some(frozen)}",),
                "requires_grad_(True), unless a circuit of random weights is what you want",
            )
        )
    if subject.optimiser is None:
        words = f"{len(weights) - len(frozen)} of {len(weights)} quantum tensors are trained"
        return Outcome(f"{words}; the optimiser is not known", tuple(findings))
    rates = {
        id(each): float(group["lr"])
        for group in subject.optimiser.param_groups
        for each in group["params"]
    }
    trained = {name: each for name, each in weights.items() if each.requires_grad}
    missing = [name for name, each in trained.items() if id(each) not in rates]
    still = [name for name, each in trained.items() if rates.get(id(each)) == 0]
    if missing:
        findings.append(
            Finding(
                "defect",
                "quantum weights are missing from the optimiser",
                (
                    f"{len(missing)} of {len(trained)} are in none of its "
                    f"{len(subject.optimiser.param_groups)} groups: {some(missing)}",
                ),
                "give it model.parameters(), after the quantum layer has become part of the model",
            )
        )
    if still:
        findings.append(
            Finding(
                "defect",
                "the learning rate of quantum weights is zero",
                (f"lr = 0 for {len(still)} of {len(trained)}: {some(still)}",),
                "give their group a learning rate",
            )
        )
    found = sorted({rates[id(each)] for each in trained.values() if id(each) in rates})
    spread = " to ".join(f"{each:g}" for each in dict.fromkeys((*found[:1], *found[-1:])))
    seen = f"{len(trained) - len(missing)} of {len(weights)} quantum tensors in it, lr {spread}"
    return Outcome(seen, tuple(findings))
