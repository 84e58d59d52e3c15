"""The best machine of an account for a run that names none: chosen once, told, and recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models import build_model
from models.exchange import quantum_pointwise
from qbackend.errors import OptionError
from qbackend.layers.program import Layer
from qbackend.machines.choice import Candidate, Choice, choose_machine
from qbackend.registry import vendor_of
from qbackend.validation.records.state import Chosen

from ..assembly.access import Access
from ..assembly.construct import model_plan, quantum_layers
from ..config.sections import Config
from .display import Display


def on_best_machine(
    config: Config, access: Access, display: Display
) -> tuple[Config, Choice | None]:
    """The config on the account's best machine for its layer; as it is where a machine is named.

    Raises:
        CredentialsError: no account.
        MachineError: none of its machines can be taken.
        OptionError: the model has no quantum layer.
    """
    name, run = config.backend, config.run
    if not name.is_choice:
        return config, None
    layer, n_requests = _layer(config)
    rows = [run.limit or 1] + ([run.calibrate] if run.calibrate else [])
    if run.rows is not None:
        rows = [len(part) for part in np.array_split(np.arange(run.rows), n_requests)]
    with display.console.status("comparing the machines of the account"):
        choice = choose_machine(
            vendor_of(name.key),
            layer,
            rows=rows,
            machine=config.machine,
            shots=run.shots,
            preparation=run.preparation or "auto",
            progress=display.progress,
            **access.account(),
        )
    show_choice(choice, display.console)
    there = run.model_copy(update={"backend": choice.chosen.name})
    return config.model_copy(update={"run": there}), choice


def show_choice(choice: Choice, console: Console) -> None:
    """A table of the machines, the chosen one marked, and a sentence why."""
    table = Table("", box=SIMPLE_HEAD)
    table.add_column("machine", no_wrap=True)
    for heading in ("qubits", "jobs waiting", "status", "copies", "fidelity", "QPU seconds"):
        table.add_column(heading, justify="left" if heading == "status" else "right")
    for candidate in choice.candidates:
        mark = "→" if candidate is choice.chosen else ""
        found = str(candidate.n_qubits), f"{candidate.pending_jobs:,}", candidate.status
        table.add_row(mark, candidate.name, *found, *_promised(candidate))
    console.print(table)
    for candidate in choice.candidates:
        if candidate.reason:
            words = f"not {candidate.name}: {candidate.reason}"
            console.print(words, markup=False, soft_wrap=True)
    words = (
        f"{choice.sentence} (--prefer {choice.prefer}). Fidelities are those to expect of the "
        "layer, the mean of its copies, by the calibration of today; seconds are those of the "
        "evaluation"
    )
    console.print(words, markup=False, soft_wrap=True)


def chosen(choice: Choice | None) -> list[str]:
    """The note on it for a run's record; none where a machine was named."""
    return [] if choice is None else [choice.sentence]


def choice_record(choice: Choice | None) -> dict[str, Any]:
    """What the record of a run says of it; nothing where a machine was named."""
    if choice is None:
        return {}
    machines = tuple(Chosen.from_dict(each.to_dict()) for each in choice.candidates)
    return {"chosen_by": choice.prefer, "chosen_from": machines}


def _promised(candidate: Candidate) -> tuple[str, str, str]:
    if candidate.fidelity is None or candidate.seconds is None:
        return "", "", ""
    return str(candidate.copies), f"{candidate.fidelity:.3f}", f"{candidate.seconds:,.1f}"


def _layer(config: Config) -> tuple[Layer, int]:
    """The layer that is to be executed, the widest of several, and how many requests there are."""
    if config.model.factory is not None:
        raise OptionError(
            f"the layers of {config.model.name} are known once its data are read, after the "
            "machine is chosen: name one, for example --backend ibm_fez (qhc backends lists them)"
        )
    plan, arm = model_plan(config), config.model.arm
    layer = plan.circuit(arm)
    if layer is not None:
        return layer, 1
    spec = plan.layers(arm)
    if spec is None:
        raise OptionError(
            f"{config.model.name} (arm {arm}) has no quantum layer for '{config.backend}' to "
            "choose a machine for; its arm quantum has"
        )
    network = config.model.network
    model = build_model(config.model.name, arm=arm, spec=spec, network=network, seed=0)
    widest = max((each.spec for each in quantum_layers(model)), key=lambda each: each.n_wires)
    return widest, len(list(quantum_pointwise(model)))
