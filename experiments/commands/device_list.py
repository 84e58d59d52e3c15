"""The devices of `qhc backends`: what they report, and what a recipe's layer takes on them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from qbackend.circuits.device_form import PREPARATIONS, Preparation
from qbackend.devices.snapshots import list_snapshots
from qbackend.devices.table import CompiledCost, DeviceInfo, describe
from qbackend.errors import OptionError, UnknownNameError, suggest
from qbackend.layers.program import Layer
from qbackend.layers.spec import LayerSpec
from qbackend.registry import find_device

from ..assembly.construct import layer_spec
from ..config.recipe import load_config

HEADINGS = ("qubits", "gate", "1q error", "2q error", "readout", "calibrated")
COSTS = ("2q gates", "2q depth", "duration", "fidelity")


def print_devices(
    console: Console, recipe: str | None, preparation: Preparation, names: Sequence[str] = ()
) -> None:
    """Print a line per device, by default all that have a snapshot; errors are medians.

    Raises:
        UnknownNameError: no such recipe, device or preparation.
        OptionError: the recipe's model has no quantum layer, or none that is so prepared.
    """
    if preparation not in PREPARATIONS:
        raise UnknownNameError(
            f"unknown preparation '{preparation}': {suggest(preparation, PREPARATIONS)}"
        )
    spec = None if recipe is None else _spec(recipe, preparation)
    table = Table(box=SIMPLE_HEAD)
    table.add_column("device", no_wrap=True)
    for heading in (*HEADINGS, *(() if spec is None else COSTS)):
        table.add_column(heading, justify="right", no_wrap=True)
    # Compiling takes a second or two per device: the reader should see that something happens.
    with console.status("reading devices") as status:
        for name in names or list_snapshots():
            status.update(f"reading {name}")
            found = describe(find_device(name)[0], spec, preparation=preparation)
            table.add_row(found.name, *_reported(found), *(_cost(found.cost) if spec else ()))
    console.print(table)


def _spec(recipe: str, preparation: Preparation) -> Layer:
    spec = layer_spec(load_config(recipe))
    if spec is None:
        raise OptionError(f"recipe '{recipe}' has no quantum layer to compile")
    if preparation != "auto" and not isinstance(spec, LayerSpec):
        raise OptionError(
            f"--preparation {preparation} is for amplitudes of the catalogue's layers; the circuit "
            f"of '{recipe}' brings its own: leave it out"
        )
    return spec


def _reported(found: DeviceInfo) -> list[str]:
    errors = found.one_qubit_error, found.two_qubit_error, found.readout_error
    date = found.calibrated_at
    return [
        str(found.n_qubits),
        found.two_qubit_gate,
        *("" if error is None else f"{error:.1e}" for error in errors),
        "" if date is None else f"{date:%Y-%m-%d}",
    ]


def _cost(cost: CompiledCost | None) -> list[str]:
    if cost is None:
        return ["does not fit", "", "", ""]
    return [
        str(cost.two_qubit_gates),
        str(cost.two_qubit_depth),
        f"{1e6 * cost.duration:.2f} µs",
        f"{cost.fidelity:.3f}",
    ]
