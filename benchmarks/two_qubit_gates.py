"""What layers cost on devices: two-qubit gates of every preparation and ansatz.

    python benchmarks/two_qubit_gates.py --out gates.json
    python benchmarks/two_qubit_gates.py --devices fake_brisbane --wires 4

The devices are snapshots that qiskit-ibm-runtime ships. "textbook" is the tree of multiplexed
rotations, routed by Qiskit's transpiler from several seeds, "compact" is the default, and
"StatePreparation" is Qiskit's own for one random state: it knows the amplitudes when it compiles,
so that every image would be compiled anew. Each has the last ring of CNOTs in the circuit, as
Qiskit alone does, or moved into the observables.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import StatePreparation
from qiskit.transpiler import Target
from rich.console import Console
from rich.table import Table

from qbackend.circuits.device_form import SEEDS, Preparation, compile_for_target
from qbackend.circuits.line_plan import split_final_cnots
from qbackend.circuits.logical import circuit_record
from qbackend.devices.snapshots import load_snapshot
from qbackend.errors import QhcError
from qbackend.layers.ansatze import ANSATZE
from qbackend.layers.spec import LayerSpec
from qbackend.layers.spec_circuit import append_operation

DEVICES = ("fake_brisbane", "fake_torino", "fake_fez", "fake_nighthawk")
WIDTH = 130
FORMS: tuple[tuple[str, Preparation, bool], ...] = (
    ("textbook, ring kept", "textbook", False),
    ("textbook, ring moved", "textbook", True),
    ("compact, ring moved", "compact", True),
)


@click.command(help=__doc__)
@click.option("--devices", multiple=True, default=DEVICES, help="Snapshots; repeatable.")
@click.option("--wires", multiple=True, type=int, default=(2, 3, 4, 5, 6), help="Repeatable.")
@click.option("--layers", default=2, show_default=True, help="Repetitions of the ansatz.")
@click.option("--seeds", default=len(SEEDS), show_default=True, help="Of the transpiler.")
@click.option("--out", type=click.Path(path_type=Path), help="All records as JSON.")
def main(
    devices: tuple[str, ...], wires: tuple[int, ...], layers: int, seeds: int, out: Path | None
) -> None:
    """Compile and print."""
    try:
        records = list(compile_all(devices, wires, layers, seeds))
    except QhcError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    Console(width=WIDTH).print(gate_table(records, devices))
    if out is not None:
        out.write_text(json.dumps(records, indent=1))


def compile_all(
    devices: tuple[str, ...], wires: tuple[int, ...], layers: int, seeds: int
) -> Iterator[dict[str, Any]]:
    """One record per device, ansatz, number of wires and form."""
    for name in devices:
        device = load_snapshot(name)
        for ansatz in ANSATZE:
            for n_wires in wires:
                spec = LayerSpec(n_wires, ansatz=ansatz, n_layers=layers)
                for form, preparation, move in FORMS:
                    compiled = compile_for_target(
                        spec,
                        device.target,
                        device=name,
                        preparation=preparation,
                        move_final_cliffords=move,
                        seeds=range(seeds),
                    )
                    yield {"spec": spec.to_dict(), "form": form, **compiled.record}
                for move in (False, True):
                    form = f"StatePreparation, ring {'moved' if move else 'kept'}"
                    record = by_qiskit(spec, device.target, move, range(seeds))
                    yield {"spec": spec.to_dict(), "form": form, "device": name, **record}


def by_qiskit(spec: LayerSpec, target: Target, move: bool, seeds: range) -> dict[str, Any]:
    """The layer behind Qiskit's preparation of a random state: the seed's with fewest gates."""
    generator = np.random.default_rng(0)
    state = np.abs(generator.normal(size=spec.n_features))
    logical = QuantumCircuit(spec.n_wires)
    logical.append(StatePreparation(state / np.linalg.norm(state)), range(spec.n_wires))
    body, _ = split_final_cnots(spec.operations)
    for operation in body if move else spec.operations:
        append_operation(logical, operation, generator.uniform(0, 6, spec.n_weights).tolist())
    circuits = [
        transpile(logical, target=target, optimization_level=3, seed_transpiler=seed)
        for seed in seeds
    ]
    best = min(circuits, key=QuantumCircuit.num_nonlocal_gates)
    errors = [
        target[item.operation.name][tuple(best.find_bit(qubit).index for qubit in item.qubits)]
        for item in best.data
    ]
    fidelity = math.prod(1 - (properties.error or 0.0) for properties in errors)
    return {**circuit_record(best), "gate_fidelity": fidelity}


def gate_table(records: list[dict[str, Any]], devices: tuple[str, ...]) -> Table:
    """Two-qubit gates, and the product of the gates' reported fidelities."""
    table = Table("ansatz", "wires", "form", title="two-qubit gates (fidelity of all gates)")
    for name in devices:
        table.add_column(name, justify="right")
    rows: dict[tuple[str, int, str], dict[str, str]] = {}
    for record in records:
        key = (record["spec"]["ansatz"], record["spec"]["n_wires"], record["form"])
        cell = f"{record['two_qubit_gates']} ({record['gate_fidelity']:.3f})"
        rows.setdefault(key, {})[record["device"]] = cell
    for (ansatz, n_wires, form), cells in rows.items():
        table.add_row(ansatz, str(n_wires), form, *(cells[name] for name in devices))
    return table


if __name__ == "__main__":
    main()
