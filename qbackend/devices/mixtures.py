"""Noise as a mixture of circuits, each of them once.

Aer leaves out circuits of a mixture with a probability below 1e-10, however many there are. A
device's channel, depolarisation followed by relaxation, has 144 of them on two qubits, of which
25 are different: each of these has a probability that counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from qiskit import QuantumCircuit
from qiskit.circuit import Reset
from qiskit.circuit.library import PauliGate
from qiskit_aer.noise import NoiseModel, QuantumError, ReadoutError

_RESET = "R"
_PRODUCTS = {
    ("X", "Y"): "Z", ("Y", "X"): "Z", ("Y", "Z"): "X",
    ("Z", "Y"): "X", ("Z", "X"): "Y", ("X", "Z"): "Y",
}  # fmt: skip
"""Up to phases, which a mixture does not see."""


class TransparentModel(NoiseModel):
    """Aer's model, which also tells what it was given.

    Attributes:
        channels: by instruction (its label, or its name if it has none) and qubits.
        misreads: by qubit.
    """

    def __init__(self, basis_gates: list[str]) -> None:
        super().__init__(basis_gates=basis_gates)
        self.channels: dict[tuple[str, tuple[int, ...]], QuantumError] = {}
        self.misreads: dict[int, ReadoutError] = {}

    def add_channel(self, error: QuantumError, instruction: str, qubits: Sequence[int]) -> None:
        """The one channel that acts on these qubits after that instruction."""
        whole = merged(error)
        self.channels[instruction, tuple(qubits)] = whole
        self.add_quantum_error(whole, instruction, qubits)

    def add_misread(self, error: ReadoutError, qubit: int) -> None:
        """How that qubit is misread."""
        self.misreads[qubit] = error
        self.add_readout_error(error, [qubit])


def merged(error: QuantumError) -> QuantumError:
    """The same channel with equal circuits taken together.

    Only circuits of Pauli gates with resets behind them are looked into; a mixture with any other
    circuit comes back as it is.
    """
    found: dict[str, float] = {}
    for circuit, probability in zip(error.circuits, error.probabilities, strict=True):
        letters = _letters(circuit)
        if letters is None:
            return error
        found[letters] = found.get(letters, 0.0) + probability
    return QuantumError([(_circuit(letters), share) for letters, share in found.items()])


def _letters(circuit: QuantumCircuit) -> str | None:
    """What happens to each qubit: I, X, Y, Z, or a reset, which makes what was before void."""
    letters = ["I"] * circuit.num_qubits
    for item in circuit.data:
        qubits = [circuit.find_bit(qubit).index for qubit in item.qubits]
        name = item.operation.name
        if name == "pauli":
            names = str(item.operation.params[0])[::-1]
        elif name in ("id", "x", "y", "z"):
            names = {"id": "I"}.get(name, name.upper())
        elif name == "reset":
            names = _RESET
        else:
            return None
        for qubit, letter in zip(qubits, names, strict=True):
            before = letters[qubit]
            if letter == "I":
                continue
            if before == _RESET and letter != _RESET:
                return None
            if letter == _RESET or before == "I":
                letters[qubit] = letter
            else:
                letters[qubit] = "I" if letter == before else _PRODUCTS[before, letter]
    return "".join(letters)


def _circuit(letters: str) -> QuantumCircuit:
    circuit = QuantumCircuit(len(letters))
    paulis = letters.replace(_RESET, "I")
    if set(paulis) != {"I"}:
        circuit.append(PauliGate(paulis[::-1]), circuit.qubits)
    for qubit, letter in enumerate(letters):
        if letter == _RESET:
            circuit.append(Reset(), [qubit])
    if not circuit.data:
        circuit.append(PauliGate(paulis), circuit.qubits)
    return circuit
