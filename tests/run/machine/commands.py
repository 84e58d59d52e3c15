"""How tests send a small validation to a machine."""

from __future__ import annotations

from pathlib import Path

from experiments.records.folder import RunFolder

MACHINE, FAKE = "ibm_loopback", "fake_manila"
HASTE = ("--set", "machine.poll=[0.02, 0.05]")
SHOTS, N_IMAGES = 256, 12
FEW = ("--limit", str(N_IMAGES), "--shots", str(SHOTS))
TUNING = ("--train", "quantum", "--gradient", "spsa", "--train-limit", "4", "--epochs", "2")
"""Training of the circuit in the loop."""


def sent(trained: Path, *more: str, backend: str = MACHINE) -> tuple[str, ...]:
    """The command that validates on a machine without asking."""
    return ("run", "--checkpoint", str(trained), "--backend", backend, *FEW, *HASTE, *more)


def stages(folder: str) -> list[str]:
    """What a run has on record."""
    return [record.stage for record in RunFolder.open(Path(folder)).evaluations()]
