"""Kinds of numbers: half precision in front of the circuit, whole numbers as inputs."""

from __future__ import annotations

import torch

from ..findings import Finding, Outcome
from ..parts import some
from ..subject import Subject

HALF = (torch.float16, torch.bfloat16)


def look(subject: Subject) -> Outcome:
    """Of inputs, of parameters, and of what the circuits are given."""
    kinds = sorted({str(each.dtype) for each in subject.model.parameters()})
    seen = f"inputs {subject.inputs.dtype}, parameters {', '.join(kinds) or 'none'}"
    seen = seen.replace("torch.", "")
    if not subject.inputs.dtype.is_floating_point:
        return Outcome(seen, (_whole_numbers(subject.inputs.dtype),))
    findings: list[Finding] = []
    for part in subject.called_parts:
        dtype = subject.evaluated.features[part.name].dtype
        if dtype in HALF:
            digits = -torch.log10(torch.tensor(torch.finfo(dtype).eps)).item()
            findings.append(
                Finding(
                    "warning",
                    f"features of '{part.name}' are {dtype}",
                    (
                        f"they come with {digits:.0f} decimal digits (eps "
                        f"{torch.finfo(dtype).eps:.1e}); the circuit computes in float32, and its "
                        "outputs are rounded back",
                    ),
                    "features.float() in front of the layer; autocast may stay on for the rest",
                )
            )
    half = [name for name, each in subject.model.named_parameters() if each.dtype in HALF]
    if half and not findings:
        findings.append(
            Finding(
                "note",
                f"{len(half)} parameters are in half precision",
                (f"{some(half)}: smaller steps than a thousandth are lost in rounding",),
                "train in float32 and let autocast choose, instead of model.half()",
            )
        )
    return Outcome(seen, tuple(findings))


def _whole_numbers(dtype: torch.dtype) -> Finding:
    return Finding(
        "warning",
        f"inputs are {dtype}, not floating point",
        (
            "layers refuse whole numbers, or divide and round them; the quantum layer takes "
            "float32 and float64",
        ),
        "inputs.float(), and the scale that the model is made for",
    )
