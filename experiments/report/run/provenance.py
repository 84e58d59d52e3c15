"""What a run took and how it was made: cost, protocol, command, versions, computer."""

from __future__ import annotations

import statistics

from ...config.own_files import COPIES
from ..numbers import ABSENT, counted, duration, number, percent
from ..reading import Run
from ..render import Part
from ..words import augmentation_words, loss_words, optimiser_words


def cost(run: Run) -> Part | None:
    """Times, memory, parameters, machine time."""
    facts: list[tuple[str, str]] = []
    if run.epochs:
        seconds = [epoch.seconds for epoch in run.after_warm_up]
        kept = f", median of {counted(len(seconds), 'epoch')}"
        if len(seconds) > 1:
            kept += f" ({duration(min(seconds))} to {duration(max(seconds))})"
        if len(run.epochs) > 1:
            kept += f"; the first, which warms up, took {duration(run.epochs[0].seconds)}"
        total = sum(epoch.seconds + epoch.validation_seconds for epoch in run.epochs)
        cpu = sum(epoch.cpu_seconds for epoch in run.epochs)
        cpu_median = run.median(lambda epoch: epoch.cpu_seconds)
        validation = run.median(lambda epoch: epoch.validation_seconds)
        facts += [
            ("Training per epoch", duration(statistics.median(seconds)) + kept),
            ("Validation per epoch", duration(validation) + ", median"),
            ("Training and validation", duration(total) + " together"),
            (
                "CPU time of the process",
                f"{duration(cpu_median)} per training epoch, median; {duration(cpu)} in all",
            ),
            ("Peak memory", f"{number(run.peak_memory_mib, 1)} MiB, resident set"),
        ]
        device = [e.peak_device_memory_mib for e in run.epochs if e.peak_device_memory_mib]
        if device:
            facts.append(("Peak device memory", f"{number(max(device), 1)} MiB"))
    if everything := run.state.parameters:
        quantum = run.state.quantum_parameters
        facts.append(
            ("Parameters", f"{number(everything, 0)}, of which {number(quantum, 0)} quantum")
        )
    jobs, charged, money = _jobs(run)
    if jobs:
        facts.append(("Jobs", f"{number(jobs, 0)}, {number(charged, 1)} s of QPU time{money}"))
    return Part({"cost": facts}) if facts else None


def _jobs(run: Run) -> tuple[int, float, str]:
    """How many there were, and what they were charged, in money too where a price is known.

    A machine's are those of the ledger: an evaluation asks for the jobs of the one before it, and
    a calibration is none.
    """
    for found in (run.validation, run.rows, run.joint):
        if found is not None and found.charges is not None:
            charges = found.charges
            return len(charges.job_ids), charges.charged_seconds, charges.money
    evaluations = run.evaluations
    return sum(r.jobs for r in evaluations), sum(r.qpu_seconds for r in evaluations), ""


def protocol(run: Run) -> Part:
    """How data, model and training were set, and the quirks in force."""
    config = run.config
    data, train = config.data, config.train
    split = "the test split" if data.validation_from_test else f"{percent(data.validation, 0)} of"
    split += "" if data.validation_from_test else " the training images"
    facts = [
        ("Recipe", f"{config.recipe}, {config.protocol}"),
        ("Data", data.name + (f", scaled to {data.size} pixels" if data.size else "")),
        ("Validation images", split + (", augmented" if data.augment_validation else "")),
        ("Augmentation", augmentation_words(config)),
        ("Model", f"{config.model.name}, arm {run.arm}"),
        ("Training", f"{counted(train.epochs, 'epoch')}, batches of {train.batch_size}"),
        ("Optimiser", optimiser_words(config)),
        ("Loss", loss_words(config)),
        ("Seed", str(run.seed)),
    ]
    if run.provenance.beside:
        facts.insert(0, ("Settings", "of the first; each has a network and a training of its own"))
    if run.provenance.checkpoint is not None:
        checkpoints = [run.provenance.checkpoint]
        checkpoints += [each.checkpoint for each in run.provenance.beside]
        named = "Checkpoint" if len(checkpoints) == 1 else "Checkpoints"
        facts.insert(0, (named, ", ".join(checkpoints)))
    return Part({"protocol": facts, "notes": run.state.notes or config.notes()})


def repeat(run: Run) -> Part:
    """The command, and what it ran on."""
    computer = run.state.computer
    facts = [("Versions", ", ".join(f"{name} {found}" for name, found in run.versions.items()))]
    if computer is not None:
        facts += [
            ("Processor", f"{computer.processor}, {counted(computer.cores, 'core')}"),
            ("Threads", str(run.config.run.threads or ABSENT)),
            ("Memory", f"{number(computer.memory_mib / 1024, 1)} GiB"),
            ("System", computer.system),
            ("Accelerator", computer.accelerator),
        ]
    facts.append(("Settings", f"{run.folder.name}/config.toml"))
    if run.config.code is not None:
        files = (f"{name} ({sha256[:12]})" for name, sha256 in run.config.code.sha256.items())
        where = f"{', '.join(files)}; copies in {run.folder.name}/{COPIES}"
        facts.append(("Own code, SHA-256", where))
    return Part({"command": run.provenance.command or ABSENT, "environment": facts})
