"""What a launch of the kernel is given, byte for byte as `states.cu` has it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache

from .code import BATCH, Code
from .coordinates import Shape

CAPACITIES = (64, 192, 448, 1000)
"""Words that come with a launch; what is longer is read from memory."""
MOST_INDEX_BITS = 20
WORD_BYTES = 16

_POINTERS = (
    "words", "features", "norms", "weights", "angles", "states_in", "adjoint_in", "cotangent",
    "states_out", "adjoint_out", "of_rows", "of_features", "partial", "of_weights", "places",
    "counter", "fault", "start", "shared_halves", "row_halves", "term_firsts", "term_columns",
    "term_factors",
)  # fmt: skip
_NUMBERS = (
    "n_rows", "n_weights", "n_angles", "n_outputs", "n_sums", "n_row_sums", "row_stride",
    "n_seeds", "outer", "product",
)  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """What a kernel is compiled for.

    Attributes:
        shape: how amplitudes lie in a block.
        words: how many come with a launch, one of `CAPACITIES` or 0.
        is_double: float64 in place of float32.
        is_own: for circuits of the user's.
    """

    shape: Shape
    words: int
    is_double: bool
    is_own: bool = False

    source = "states.cu"

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.shape.threads

    @property
    def definitions(self) -> list[str]:
        """As a compiler's options."""
        shape = self.shape
        given = {
            "TILE": shape.tile,
            "HELD": shape.held,
            "ROWS": shape.rows,
            "WORDS": self.words,
            "OWN": int(self.is_own),
        }
        options = [f"-D{name}={value}" for name, value in given.items()]
        return [*options, "-DDOUBLE"] if self.is_double else options


@cache
def parameters(words: int) -> type[ctypes.Structure]:
    """The kernel's `Parameters` with room for so many words."""

    class Parameters(ctypes.Structure):
        _fields_ = (
            *((name, ctypes.c_void_p) for name in _POINTERS),
            *((name, ctypes.c_int) for name in _NUMBERS),
            ("columns", ctypes.c_int * MOST_INDEX_BITS),
            ("code", ctypes.c_int * (4 * words)),
        )

    return Parameters


def capacity(n_words: int) -> int:
    """The least of the capacities that is enough; 0 where none is."""
    return next((each for each in CAPACITIES if n_words <= each), 0)


def shared_bytes(
    shape: Shape,
    itemsize: int,
    *,
    n_weights: int,
    n_angles: int,
    n_states: int,
    code: Code,
    n_seeds: int = 0,
) -> int:
    """Of a block's shared memory, as the kernel divides it: `n_states` is 1 forwards, 2 back."""
    angles = 2 * (n_weights + shape.rows * n_angles)
    exchange = 4 * n_states * shape.rows << shape.tile if shape.row_threads > 1 else 0
    sums = shape.warps * BATCH * 33 + shape.warps * len(code.weights)
    of_rows = shape.rows * (len(code.items) * shape.row_warps + n_seeds)
    return itemsize * (angles + exchange + sums + of_rows + shape.warps)
