"""Circuits ready to be measured: a layer, and behind it the change to a readout's basis."""

from __future__ import annotations

from functools import lru_cache

from qiskit import QuantumCircuit, transpile

from ..layers.readout import Readout
from ..seam.requests import CompiledLayer


def turned_circuits(compiled: CompiledLayer) -> list[QuantumCircuit]:
    """The layer's circuit for each of its readouts, without measurements.

    The one whose qubits are all read as they are is the circuit itself.
    """
    return [turned(compiled, readout) for readout in compiled.readouts]


def turned(compiled: CompiledLayer, readout: Readout) -> QuantumCircuit:
    """The layer's circuit such that Z is read where the readout has X or Y."""
    if not readout.turned:
        return compiled.circuit
    circuit: QuantumCircuit = compiled.circuit.copy()
    for qubit, letter in readout.turned:
        circuit.compose(_change(letter, compiled.one_qubit_gates), [qubit], inplace=True)
    return circuit


@lru_cache(maxsize=64)
def _change(letter: str, gates: tuple[str, ...]) -> QuantumCircuit:
    """From X or Y to Z on one qubit, by these gates or, where none are named, by any."""
    circuit = QuantumCircuit(1)
    # A turn by half a right angle takes one pulse of most devices, a Hadamard may take two.
    if letter == "X":
        circuit.ry(-1.5707963267948966, 0)
    else:
        circuit.rx(1.5707963267948966, 0)
    if not gates:
        return circuit
    return transpile(circuit, basis_gates=list(gates), optimization_level=1)
