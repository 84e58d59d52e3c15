"""Noise that is asked for and is not there."""

from __future__ import annotations

from typing import Any

import torch
from qiskit.circuit.library import get_standard_gate_name_mapping

from qbackend import QuantumLayer, get_backend
from qbackend.errors import UserError
from qbackend.layers.program import Layer
from qbackend.seam.backend import QuantumBackend

from ..findings import Finding, Outcome, skipped
from ..parts import Part, spread_out
from ..subject import Subject

ROWS = 8
AGREEMENT = 1e-10
"""To which simulators without noise agree with each other."""


def look(subject: Subject) -> Outcome:
    """A few rows on the backend that is to run them, and without noise."""
    if refused := subject.refusals.get("noise"):
        return Outcome("the noise model would change nothing", (_refused(refused),))
    if refused := subject.refusals.get("backend"):
        return skipped(refused)
    findings: list[Finding] = []
    words: list[str] = []
    for part in subject.called_parts:
        backend = subject.backends.get(part.name)
        if backend is None or part.spec is None:
            continue
        if backend.capabilities.remote:
            words.append(f"'{backend.name}' is not asked: its noise is its own")
        elif not backend.capabilities.noisy:
            words.append(f"'{backend.name}' has no noise")
        elif not backend.capabilities.exact:
            words.append(f"'{backend.name}' samples: its noise is not told from its shots here")
        else:
            try:
                moved = _moved(subject, part, part.spec, backend)
            except UserError as error:
                if "ideal" not in str(error):
                    raise
                findings.append(_refused(str(error)))
                continue
            words.append(f"noise of '{backend.name}' moves outputs by up to {moved:.3f}")
            if moved <= AGREEMENT:
                findings.append(_off(part, backend, moved))
            findings += _idle_errors(part.spec, backend)
    if not words and not findings:
        return skipped("no quantum layer whose backend is known")
    return Outcome("; ".join(dict.fromkeys(words)) or "the noise is off", tuple(findings))


def _moved(subject: Subject, part: Part, layer: Layer, backend: QuantumBackend) -> float:
    rows = part.rows(subject.evaluated.features[part.name]).double()
    rows = spread_out(rows[rows.abs().amax(dim=1) > 0], ROWS)
    weights = part.weight().numpy()
    noisy, ideal = (
        QuantumLayer(layer, each, seed=subject.seed)
        .neural_network.execute(rows.numpy(), weights)
        .values
        for each in (backend, get_backend("aer"))
    )
    return float(torch.from_numpy(noisy - ideal).abs().max())


def _off(part: Part, backend: QuantumBackend, moved: float) -> Finding:
    return Finding(
        "defect",
        f"the noise of '{backend.name}' is off",
        (
            f"its values for '{part.name}' are the ideal ones: the largest difference over "
            f"{ROWS} rows is {moved:.0e} (simulators without noise agree to {AGREEMENT:.0e})",
        ),
        "look at [noise] in the recipe (a strength of 0 is none), and at the noise file; for "
        "ideal values name 'aer'",
    )


def _refused(words: str) -> Finding:
    return Finding(
        "defect",
        "the noise model acts on no gate of the circuit",
        (words,),
        "add errors to the gates that circuits are compiled to, or name them: "
        "NoiseModel(basis_gates=[...])",
    )


def _idle_errors(layer: Layer, backend: Any) -> list[Finding]:
    """For an `AerSimulator` with a noise model: errors of two qubits that none of its gates has."""
    simulator = getattr(backend, "simulator", None)
    model = getattr(getattr(simulator, "options", None), "noise_model", None)
    if model is None:
        return []
    known = get_standard_gate_name_mapping()

    def of_two(names: Any) -> set[str]:
        return {name for name in names if name in known and known[name].num_qubits == 2}

    used = of_two(backend.compile(layer).circuit.count_ops())
    noisy = of_two(model.noise_instructions)
    if not noisy or not used or used & noisy:
        return []
    return [
        Finding(
            "warning",
            "the errors of two-qubit gates act on no gate of the circuit",
            (
                f"the model has errors on {', '.join(sorted(noisy))}; the circuit is made of "
                f"{', '.join(sorted(used))}",
            ),
            "add the errors to these gates, or leave them out of the model's basis_gates",
        )
    ]
