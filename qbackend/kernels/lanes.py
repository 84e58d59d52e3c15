"""Short vectors of numbers as values inside Numba kernels.

A kernel works on L rows of a batch at once, one per lane of a 64-byte vector: 8 float64 or 16
float32. Arrays that hold such vectors are C-contiguous of shape (n, L); `load` and `store` move
one of their rows. Writing vectors out, instead of hoping that the compiler turns loops into them,
makes the kernels run at the processor's full width whatever their addressing, and compile fast.
LLVM splits the vectors where a processor's registers are shorter.

Numba's extension interface: https://numba.readthedocs.io/en/stable/extending/index.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model
from numpy.typing import DTypeLike, NDArray

FloatArray = NDArray[np.floating]
"""float32 or float64: kernels are compiled for either."""

VECTOR_BYTES = 64

# Contraction lets LLVM fuse a product into a sum; NaN and infinity keep their meaning.
_FLAGS = ("contract",)


def lanes(dtype: DTypeLike) -> int:
    """L, the rows of a batch that one vector holds."""
    return VECTOR_BYTES // np.dtype(dtype).itemsize


def _inside_kernels(function: Callable[..., Any]) -> Any:
    """Numba's decorator, typed as what kernels call rather than as what is written here."""
    return intrinsic(function)


class Vector(types.Type):
    """Numba's type of a vector with elements of type `element`."""

    def __init__(self, element: Any) -> None:
        self.element = element
        self.lanes = 8 * VECTOR_BYTES // element.bitwidth
        super().__init__(name=f"Vector({element} x {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        element = manager.lookup(kind.element).get_value_type()
        super().__init__(manager, kind, ir.VectorType(element, kind.lanes))


def _address(context: Any, builder: Any, array_type: types.Array, array: Any, row: Any) -> Any:
    lanes = ir.Constant(row.type, Vector(array_type.dtype).lanes)
    return _place(context, builder, array_type, array, builder.mul(row, lanes))


def _place(context: Any, builder: Any, array_type: types.Array, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    kind = context.get_value_type(Vector(array_type.dtype))
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _splat(builder: Any, number: Any, vector: ir.VectorType) -> Any:
    index = ir.IntType(32)
    empty = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(index, 0))
    everywhere = ir.Constant(ir.VectorType(index, vector.count), None)
    return builder.shuffle_vector(first, empty, everywhere)


@_inside_kernels
def load(typing: Any, array: types.Array, row: types.Integer) -> Any:
    """Row `row` of an (n, L) array as a vector."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = builder.load(_address(context, builder, sig.args[0], *args))
        value.align = sig.args[0].dtype.bitwidth // 8
        return value

    return Vector(array.dtype)(array, types.intp), generate


@_inside_kernels
def store(typing: Any, array: types.Array, row: types.Integer, value: Vector) -> Any:
    """Write a vector into row `row` of an (n, L) array."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        target = builder.store(args[2], _address(context, builder, sig.args[0], *args[:2]))
        target.align = sig.args[0].dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@_inside_kernels
def load_from(typing: Any, array: types.Array, index: types.Integer) -> Any:
    """L elements of an (n,) array from `index` on as a vector."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = builder.load(_place(context, builder, sig.args[0], *args))
        value.align = sig.args[0].dtype.bitwidth // 8
        return value

    return Vector(array.dtype)(array, types.intp), generate


@_inside_kernels
def store_to(typing: Any, array: types.Array, index: types.Integer, value: Vector) -> Any:
    """Write a vector into L elements of an (n,) array from `index` on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        target = builder.store(args[2], _place(context, builder, sig.args[0], *args[:2]))
        target.align = sig.args[0].dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@_inside_kernels
def zeros(typing: Any, array: types.Array) -> Any:
    """A vector of zeros with elements of the array's type."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(context.get_value_type(sig.return_type), None)

    return Vector(array.dtype)(array), generate


@_inside_kernels
def ones(typing: Any, array: types.Array) -> Any:
    """A vector of ones with elements of the array's type."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_value_type(sig.return_type)
        return ir.Constant(kind, [1.0] * kind.count)

    return Vector(array.dtype)(array), generate


@_inside_kernels
def total(typing: Any, value: Vector) -> Any:
    """The sum over the lanes."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vector, element = args[0].type, args[0].type.element
        name = f"llvm.vector.reduce.fadd.v{vector.count}f{sig.return_type.bitwidth}"
        kind = ir.FunctionType(element, [element, vector])
        reduce = builder.module.declare_intrinsic(name, fnty=kind)
        return builder.call(reduce, [ir.Constant(element, 0.0), args[0]], fastmath=("reassoc",))

    return value.element(value), generate


@_inside_kernels
def inverse_root(typing: Any, value: Vector, least: types.Float) -> Any:
    """1/sqrt of every lane, zero in lanes below `least`, which is above zero."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value, kind = args[0], args[0].type
        name = f"llvm.sqrt.v{kind.count}f{sig.return_type.element.bitwidth}"
        sqrt = builder.module.declare_intrinsic(name, fnty=ir.FunctionType(kind, [kind]))
        inverse = builder.fdiv(ir.Constant(kind, [1.0] * kind.count), builder.call(sqrt, [value]))
        small = builder.fcmp_ordered("<", value, _splat(builder, args[1], kind))
        return builder.select(small, ir.Constant(kind, None), inverse)

    return value(value, value.element), generate


@_inside_kernels
def transpose(
    typing: Any,
    source: types.Array,
    source_row: types.Integer,
    source_step: types.Integer,
    target: types.Array,
    target_row: types.Integer,
    target_step: types.Integer,
) -> Any:
    """Transpose L rows of `source`, L elements each, into L rows of `target`.

    Rows count from `source_row` in steps of `source_step`; the same for the target.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        count = Vector(sig.args[0].dtype).lanes

        def address(which: int, index: int) -> Any:
            array, row, step = args[which : which + 3]
            place = builder.add(row, builder.mul(step, ir.Constant(row.type, index)))
            return _address(context, builder, sig.args[which], array, place)

        rows = [builder.load(address(0, index)) for index in range(count)]
        for row in rows:
            row.align = sig.args[0].dtype.bitwidth // 8
        # Interleaving row i with row i + L/2 rotates the bits of an element's address by one; as
        # many times as an index has bits, it exchanges the two indices.
        order = ir.VectorType(ir.IntType(32), count)
        halves = [
            ir.Constant(order, [k for pair in range(*half) for k in (pair, count + pair)])
            for half in ((0, count // 2), (count // 2, count))
        ]
        for _ in range(count.bit_length() - 1):
            pairs = zip(rows[: count // 2], rows[count // 2 :], strict=True)
            rows = [builder.shuffle_vector(*pair, half) for pair in pairs for half in halves]
        for index, row in enumerate(rows):
            builder.store(row, address(3, index)).align = sig.args[0].dtype.bitwidth // 8
        return context.get_dummy_value()

    intp = types.intp
    return types.void(source, intp, intp, target, intp, intp), generate


class _Arithmetic(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        vector = next((kind for kind in args if isinstance(kind, Vector)), None)
        if vector is None or len(args) != 2:
            return None
        if all(kind in (vector, vector.element) for kind in args):
            return signature(vector, *args)
        return None


def _define(symbol: Callable[..., Any], instruction: str) -> None:
    infer_global(symbol)(type("_VectorArithmetic", (_Arithmetic,), {"key": symbol}))

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_value_type(sig.return_type)
        vectors = [
            value if isinstance(given, Vector) else _splat(builder, value, kind)
            for given, value in zip(sig.args, args, strict=True)
        ]
        return getattr(builder, instruction)(*vectors, flags=_FLAGS)

    for pair in ((Vector, Vector), (types.Float, Vector), (Vector, types.Float)):
        lower_builtin(symbol, *pair)(lower)


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
