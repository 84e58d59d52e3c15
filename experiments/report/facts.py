"""What records say, in words: stated once for the terminal, the line of JSON and the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qbackend.circuits.device_form import fractional_words
from qbackend.registry import parse_name
from qbackend.validation.records.state import Provenance

from ..records.comparisons import Charges, ValidationRecord
from ..records.lines import Compiled, Stage
from .numbers import counted, percent

CALIBRATIONS = {"snapshot": "the shipped snapshot", "live": "the service", "file": "a noise file"}
"""Where a device's calibration comes from, in words."""

SHOWN_JOBS = 5
"""Ids of a training's jobs are looked for in its ledger."""


def executor(backend: str) -> str:
    """What executes circuits there: a machine, or a device that is simulated in its place.

    Of a Qiskit backend that was given as an object nothing is known but that it is a device.
    """
    name = parse_name(backend)
    if name.is_fake or name.is_simulator:
        return "simulated device"
    return "machine" if name.is_machine else "device"


def stage_words(backend: str) -> dict[Stage, str]:
    """The stages of a validation there."""
    there = executor(backend)
    return {
        "ideal": "without noise",
        "noise": "simulated noise",
        "machine": there,
        "corrected": f"{there}, corrected",
    }


def machine_facts(validation: ValidationRecord) -> dict[str, str]:
    """What a machine's answers are worth beside the simulated ones, and what they cost."""
    facts = {}
    named = stage_words(validation.machine)
    for pair in validation.agreement:
        one, other = pair.stages
        if other == "machine":
            words = f"{pair.same:,} of {validation.n_images:,} images get the same class"
            if pair.output_rmse is not None:
                words += f"; outputs differ by {pair.output_rmse:.4f} (RMSE)"
            facts[f"{named[one]} against {named[other]}"] = words
    if harm := harm_words(validation):
        facts["calibration"] = harm
    return facts | charge_facts(validation.charges)


def harm_words(validation: ValidationRecord) -> str:
    """That a calibration leaves outputs further off than they were; empty where it does not."""
    stages = {pair.stages: pair.output_rmse for pair in validation.agreement}
    raw, corrected = (stages.get(("ideal", other)) for other in ("machine", "corrected"))
    if raw is None or corrected is None or corrected <= raw:
        return ""
    return (
        f"it harms: outputs are {corrected:.4f} from those without noise (RMSE), and were {raw:.4f}"
        "; fit it on more images: --calibrate N, 16 to 32 of them as a rule"
    )


def copy_words(compiled: Compiled) -> str:
    """The copies of a layer on a device, and what is reported of them; nothing of one alone."""
    if not compiled.copies:
        return ""
    fidelities = [copy.fidelity for copy in compiled.copies]
    return (
        f"{len(fidelities)} side by side, border {compiled.border}, reported fidelity "
        f"{min(fidelities):.2f} to {max(fidelities):.2f}"
    )


def far_off_words(found: ValidationRecord, compiled: Compiled) -> str:
    """Which copies answer otherwise than shots and reported errors explain, if any."""
    words = []
    for index in found.far_off:
        scores, qubits = found.copies[index], ", ".join(map(str, compiled.copies[index].place))
        words.append(
            f"copy {index} (qubits {qubits}): its outputs are {scores.noise_rmse:.4f} from the "
            f"simulated noise of its qubits (RMSE), of which the shots explain "
            f"{scores.shot_rmse:.4f}, {percent(scores.accuracy or 0)} of its "
            f"{counted(scores.n_images, 'image')} are correct"
        )
    return "; ".join(words)


def charge_facts(charges: Charges | None) -> dict[str, str]:
    """Which jobs there were, and what they cost; nothing where no machine was asked."""
    if charges is None:
        return {}
    return {"jobs": job_words(charges.job_ids), "QPU time": charged_words(charges)}


def job_words(job_ids: Sequence[str]) -> str:
    """The jobs' ids, the first ones of many."""
    shown = ", ".join(job_ids[:SHOWN_JOBS])
    more = len(job_ids) - SHOWN_JOBS
    return f"{shown} and {more} more" if more > 0 else shown


def charged_words(charges: Charges) -> str:
    """Seconds charged, and how far the estimate was off."""
    estimated, charged = charges.estimated_seconds, charges.charged_seconds
    if not estimated:
        return "none charged: simulated on this computer"
    words = f"{charged:.1f} s charged{charges.money}, {estimated:.1f} s estimated"
    if charges.unsettled:
        return f"{words}; not settled yet: {charges.unsettled} (qhc jobs asks again)"
    return f"{words} ({100 * (charged / estimated - 1):+.0f} %)"


def chosen_words(provenance: Provenance) -> str:
    """Which machines a run chose among, and by what."""
    machines = []
    for each in provenance.chosen_from:
        promised = each.reason
        if each.fidelity is not None:
            waiting = counted(each.pending_jobs, "job")
            promised = f"expected fidelity {each.fidelity:.3f}, {waiting} waiting"
        machines.append(f"{each.name}: {promised}")
    return f"by {provenance.chosen_by}, among {'; '.join(machines)}"


def device_words(compiled: Compiled) -> str:
    """Which device, and how old its calibration is."""
    words = str(compiled.device)
    if compiled.calibration is not None:
        words += f", calibration from {CALIBRATIONS[compiled.calibration]}"
    elif compiled.calibrated_at:
        words += ", calibration"
    if compiled.calibrated_at:
        words += f" of {compiled.calibrated_at[:10]}"
    return words


def compiled_facts(
    widest: Compiled, narrower: Sequence[Compiled], words: Callable[[Compiled], str]
) -> dict[str, str]:
    """What the layer, or every kind of circuit of a net with many, takes on the device."""
    if widest.n_circuits == 1 and not narrower:
        return {"compiled layer": words(widest)}
    return {
        f"compiled, {kind.n_circuits} circuits of {kind.n_wires} wires": words(kind)
        for kind in (widest, *narrower)
    }


def compiled_words(compiled: Compiled) -> str:
    """What a circuit takes on the device."""
    words = (
        f"{compiled.two_qubit_gates} two-qubit gates, {preparation_words(compiled)}"
        f"reported gate fidelity {compiled.gate_fidelity:.3f}"
    )
    saved = fractional_words(compiled.model_dump())
    return f"{words}; {saved}" if saved else words


def preparation_words(compiled: Compiled) -> str:
    """How features become a state, with a comma; a circuit of one's own has no name for it."""
    return "" if compiled.preparation is None else f"{compiled.preparation} preparation, "
