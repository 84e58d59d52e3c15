"""Linear maps of bit vectors: a matrix is the list of its columns, a vector a whole number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Columns = list[int]


class Span:
    """What has been added, and whether something is a sum of it."""

    def __init__(self, vectors: Iterable[int] = ()) -> None:
        self._by_top_bit: dict[int, int] = {}
        for vector in vectors:
            self.add(vector)

    def add(self, vector: int) -> bool:
        """Add a vector; returns whether it was no sum of the others."""
        rest = self._rest(vector)
        if rest:
            self._by_top_bit[rest.bit_length()] = rest
        return rest != 0

    def __contains__(self, vector: int) -> bool:
        return self._rest(vector) == 0

    def _rest(self, vector: int) -> int:
        while vector and (known := self._by_top_bit.get(vector.bit_length())):
            vector ^= known
        return vector


def units(n: int) -> Columns:
    """The identity of n bits."""
    return [1 << bit for bit in range(n)]


def applied(columns: Sequence[int], vector: int) -> int:
    """The matrix times the vector."""
    product = 0
    for bit, column in enumerate(columns):
        if vector >> bit & 1:
            product ^= column
    return product


def transposed(columns: Sequence[int], vector: int) -> int:
    """The transposed matrix times the vector."""
    return sum(((column & vector).bit_count() & 1) << bit for bit, column in enumerate(columns))


def inverse(columns: Sequence[int]) -> Columns:
    """Of a square matrix that has one."""
    left, right = list(columns), units(len(columns))
    for bit in range(len(left)):
        pivot = next(index for index in range(bit, len(left)) if left[index] >> bit & 1)
        left[bit], left[pivot] = left[pivot], left[bit]
        right[bit], right[pivot] = right[pivot], right[bit]
        for index in range(len(left)):
            if index != bit and left[index] >> bit & 1:
                left[index] ^= left[bit]
                right[index] ^= right[bit]
    return right
