"""Circuits as text: OpenQASM 3 as it was written, all others as QPY in base 64.

QPY takes every circuit of Qiskit's, but no two of its files are alike: what was read as OpenQASM
stays that.
"""

from __future__ import annotations

import base64
import io
from contextlib import redirect_stderr

from qiskit import QuantumCircuit, qasm3, qpy

from ..errors import SpecError

_QPY = base64.b64encode(b"QISKIT").decode()


def is_circuit_text(text: str) -> bool:
    """Whether a text is a circuit, rather than where one is to be found."""
    return ";" in text or text.startswith(_QPY)


def text_of(circuit: QuantumCircuit) -> str:
    """The circuit as QPY in base 64."""
    buffer = io.BytesIO()
    qpy.dump(circuit, buffer)
    return base64.b64encode(buffer.getvalue()).decode()


def circuit_of(text: str) -> QuantumCircuit:
    """The circuit of a text; raises `SpecError` for one that has none, or more than one."""
    return _from_qpy(text) if text.startswith(_QPY) else _from_qasm(text)


def _from_qpy(text: str) -> QuantumCircuit:
    try:
        found = qpy.load(io.BytesIO(base64.b64decode(text)))
    except Exception as error:
        # A damaged file raises whatever its first wrong byte leads to.
        raise SpecError(f"QPY that cannot be read: {error}") from error
    if len(found) != 1:
        raise SpecError(f"QPY with {len(found)} circuits: write the one that is the layer")
    return found[0]


def _from_qasm(text: str) -> QuantumCircuit:
    if "OPENQASM 2" in text:
        raise SpecError(
            "OpenQASM 2, which has no parameters: write OpenQASM 3, qiskit.qasm3.dump(circuit, "
            "file) does, in which `input float[64] x0;` declares one"
        )
    said = io.StringIO()
    try:
        # The parser prints some of its mistakes, and raises an error without words for others.
        with redirect_stderr(said):
            return qasm3.loads(text)
    except Exception as error:
        words = str(error).strip("'\"") or said.getvalue().strip() or _unexpected(error)
        if "already inserted" in words:
            words += "; perhaps stdgates.inc has a gate of that name: call it x0 rather than x"
        raise SpecError(f"not OpenQASM 3 that Qiskit reads: {words}") from error


def _unexpected(error: Exception) -> str:
    """What the parser stumbled upon; it is behind the error that it raises."""
    behind = error.__cause__
    token = getattr(behind.args[0] if behind and behind.args else behind, "offendingToken", None)
    if token is None:
        return type(error).__name__
    return f"line {token.line}, column {token.column + 1}: '{token.text}' is not expected there"
