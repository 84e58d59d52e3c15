"""Weight derivatives from states on either side of a rotation (Jones & Gacon, arXiv 2009.02823).

With φ the state after a rotation exp(-i w P/2) and λ the cotangent state pulled back to the same
place, the derivative of the loss with respect to w is Im⟨λ|P|φ⟩. A *cut* is the place right after
a group of rotations that act on different wires, so one cut serves Q weights.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..layers.ansatze import Axis, Rotations
from ..layers.inputs import Array
from ..layers.spec import LayerSpec

ComplexArray = NDArray[np.complexfloating]


@lru_cache(maxsize=32)
def cuts(spec: LayerSpec) -> tuple[Rotations, ...]:
    """The rotation groups of the ansatz, in order: a cut follows each."""
    return tuple(op for op in spec.operations if isinstance(op, Rotations))


def weight_gradient(spec: LayerSpec, kets: list[ComplexArray], bras: list[ComplexArray]) -> Array:
    """The gradient with respect to the weights, (W,).

    `kets` and `bras` hold φ and λ at every cut, each (N, D): the sum over N columns is taken.
    """
    gradient = np.zeros(spec.n_weights)
    for rotations, ket, bra in zip(cuts(spec), kets, bras, strict=True):
        gradient[list(rotations.weights)] = _overlaps(rotations.axis, bra.conj(), ket)
    return gradient


def _overlaps(axis: Axis, conjugate_bra: ComplexArray, ket: ComplexArray) -> Array:
    """Im⟨λ|P_q|φ⟩ for the Pauli matrix P of `axis` on every wire q, (Q,)."""
    n_wires = ket.shape[1].bit_length() - 1
    overlaps = np.empty(n_wires)
    for wire in range(n_wires):
        split = (len(ket), 2**wire, 2, -1)
        left, right = conjugate_bra.reshape(split), ket.reshape(split)
        if axis == "z":
            pair = _inner(left[:, :, 0], right[:, :, 0]) - _inner(left[:, :, 1], right[:, :, 1])
        else:
            zero_one = _inner(left[:, :, 0], right[:, :, 1])
            one_zero = _inner(left[:, :, 1], right[:, :, 0])
            pair = zero_one + one_zero if axis == "x" else 1j * (one_zero - zero_one)
        overlaps[wire] = pair.imag
    return overlaps


def _inner(left: ComplexArray, right: ComplexArray) -> complex:
    return complex(np.einsum("nab,nab->", left, right))
