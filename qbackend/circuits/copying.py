"""How many copies of a layer are wanted on a device, and where they may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Copying:
    """How many copies of a layer are wanted, and where they may be.

    Attributes:
        copies: "auto" for as many as fit.
        border: idle qubits between two copies.
        within: by which share a copy's reported fidelity may be lower than the best one's.
    """

    copies: int | Literal["auto"] = "auto"
    border: int = 1
    within: float = 0.1
