"""What a run was begun with, and what happened to it since."""

from __future__ import annotations

from typing import Literal

from ...machines.cost import Price
from .recorded import Recorded

Status = Literal["running", "waiting", "interrupted", "failed", "finished"]
"""waiting is for jobs that were sent and go on by themselves."""


class Chosen(Recorded):
    """A machine that a run chose among; its number of jobs and its fidelity were of that day.

    Attributes:
        name: of the machine.
        n_qubits: that it has.
        pending_jobs: that waited there.
        status: in the service's words.
        copies: of the layer, side by side.
        fidelity: that was expected of the layer.
        seconds: of QPU time that were expected.
        calibrated_at: ISO 8601.
        reason: why it could not be taken.
    """

    name: str
    n_qubits: int
    pending_jobs: int
    status: str
    copies: int | None = None
    fidelity: float | None = None
    seconds: float | None = None
    calibrated_at: str | None = None
    reason: str | None = None


class Beside(Recorded):
    """A checkpoint that was given beside the first: its path, and the SHA-256 of its bytes."""

    checkpoint: str
    checkpoint_sha256: str


class Provenance(Recorded):
    """What a run was begun with beside its recipe; under [run] in `config.toml`.

    Attributes:
        command: that was typed.
        data_root: folder of the datasets.
        data_sha256: of images, labels and splits; None in runs of before it was recorded.
        checkpoint: path of the one that was given, None for a training from scratch.
        checkpoint_sha256: of its bytes; None in runs that keep no copy of it.
        beside: further ones that are asked in the same run.
        repeats: path of the run that this one repeats; None for one of its own.
        chosen_by: what decided on the machine, where none was named.
        chosen_from: the machines of the account, the chosen one first.
        credentials: file that a machine's account was read from.
        profile: its section.
    """

    command: str = ""
    data_root: str = ""
    data_sha256: str | None = None
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    beside: tuple[Beside, ...] = ()
    repeats: str | None = None
    chosen_by: str | None = None
    chosen_from: tuple[Chosen, ...] = ()
    credentials: str | None = None
    profile: str | None = None


class Computer(Recorded):
    """What a run is executed on, without names."""

    processor: str
    cores: int
    memory_mib: int
    system: str
    accelerator: str


class State(Recorded):
    """What happened to a run; `state.json`.

    Attributes:
        status: how far it has come.
        started: ISO 8601.
        ended: the same, once its process has left it.
        process: id of the process that went on with it last.
        error: what a failed run failed with.
        notes: where it is not quite what its headings say, a sentence each.
        parameters: of the network; 0 before it is built.
        quantum_parameters: of its circuits.
        computer: that went on with it last.
        tag: of its jobs on a machine.
        requests: that its plan has.
        approved: whether they may be sent; None before that was asked.
        max_qpu_seconds: a budget that took the recipe's place.
        price: of a second of QPU time when the plan was approved; None where it was not known.
    """

    status: Status
    started: str = ""
    ended: str | None = None
    process: int | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()
    parameters: int = 0
    quantum_parameters: int = 0
    computer: Computer | None = None
    tag: str | None = None
    requests: int = 1
    approved: bool | None = None
    max_qpu_seconds: float | None = None
    price: Price | None = None
