"""Memory that compiled code is given by its address.

An array object costs a kernel's caller more to make than a small kernel takes to run: a tensor's
address is free. Whoever passes one keeps the memory alive and tells its true type.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from .cache import helper
from .lanes import FloatArray


def _inside_kernels(function: Any) -> Any:
    return intrinsic(function)


@_inside_kernels
def _pointer(typing: Any, address: types.Integer, like: types.Array) -> Any:
    """The address as a pointer to elements of the array's type."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        element = context.get_data_type(sig.args[1].dtype)
        return builder.inttoptr(args[0], ir.PointerType(element))

    return types.CPointer(like.dtype)(types.intp, like), generate


@helper
def vector_at(address: int, like: FloatArray, size: int) -> FloatArray:
    """The `size` numbers of the type of `like` from that address on."""
    return carray(_pointer(address, like), (size,))


@helper
def rows_at(address: int, like: FloatArray, n_rows: int, width: int) -> FloatArray:
    """So many rows of that width."""
    return carray(_pointer(address, like), (n_rows, width))
