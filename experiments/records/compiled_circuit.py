"""The circuit that a device executed, in a file that Qiskit reads (QPY)."""

from __future__ import annotations

import io
from pathlib import Path

from qiskit import QuantumCircuit, QuantumRegister, qpy

from qbackend.circuits.device_form import drop_idle_qubits
from qbackend.errors import RunFolderError
from qbackend.seam.requests import CompiledLayer
from qbackend.validation.records.files import write_atomically


def save_compiled(path: Path, compiled: CompiledLayer) -> None:
    """Write the circuit, on the qubits that it uses, under the device's numbers of them.

    Raises `RecordError`.
    """
    physical = compiled.record["physical_qubits"]
    if len(physical) != compiled.circuit.num_qubits:
        compiled = drop_idle_qubits(compiled)
        physical = compiled.record["physical_qubits"]
    content = io.BytesIO()
    qpy.dump(on_qubits(compiled.circuit, [f"qubit {number}" for number in physical]), content)
    write_atomically(path, content.getvalue())


def load_compiled(path: Path) -> QuantumCircuit:
    """What was written; raises `RunFolderError` for a damaged file."""
    try:
        with open(path, "rb") as file:
            (circuit,) = qpy.load(file)
    except Exception as error:
        # A damaged file raises whatever its first wrong byte leads to.
        raise RunFolderError(
            f"{path} is damaged: {error}; remove it to have the report without it"
        ) from error
    return circuit


def on_qubits(circuit: QuantumCircuit, names: list[str]) -> QuantumCircuit:
    """The circuit with its qubits called by these names."""
    named = QuantumCircuit(*(QuantumRegister(1, name) for name in names), name=circuit.name)
    for item in circuit.data:
        named.append(item.operation, [circuit.find_bit(qubit).index for qubit in item.qubits])
    return named
