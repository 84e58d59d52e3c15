"""Expressions of features and weights as a tape: every value once, in an order that can be run.

Evaluated for a whole batch at once, and backwards for derivatives. Node k is an operation on nodes
before it (Griewank and Walther, Evaluating Derivatives, SIAM 2008, sections 2.2 and 3.2).

Letters: N rows, V variables, P outputs, K nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from ..errors import SpecError
from .inputs import Array

VARIABLE, CONSTANT, ADD, MULTIPLY, POWER = range(5)
SIN, COS, TAN, ASIN, ACOS, ATAN, EXP, LOG, ABS, SIGN = range(5, 15)

FUNCTIONS: dict[Any, int] = {
    sympy.sin: SIN,
    sympy.cos: COS,
    sympy.tan: TAN,
    sympy.asin: ASIN,
    sympy.acos: ACOS,
    sympy.atan: ATAN,
    sympy.exp: EXP,
    sympy.log: LOG,
    sympy.Abs: ABS,
    sympy.sign: SIGN,
}
"""All that Qiskit's expressions know, but for `conjugate`, which leaves real numbers alone."""


@dataclass(frozen=True, eq=False)
class Tape:
    """K nodes.

    Attributes:
        operations: (K,) of each node.
        left, right: (K,) its operands; the number of a `VARIABLE` is in `left`.
        constants: (K,) of a `CONSTANT`, zero elsewhere.
        outputs: (P,) the nodes that are asked for.
        n_variables: V.
    """

    operations: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    constants: Array
    outputs: NDArray[np.int64]
    n_variables: int

    def depends_on(self, variables: Iterable[int]) -> NDArray[np.bool_]:
        """Which nodes depend on one of these variables, (K,)."""
        wanted = set(variables)
        found = np.zeros(len(self.operations), dtype=bool)
        for node, operation in enumerate(self.operations):
            if operation == VARIABLE:
                found[node] = int(self.left[node]) in wanted
            elif operation != CONSTANT:
                found[node] = found[self.left[node]] or found[self.right[node]]
        return found

    def nodes(self, variables: Array) -> Array:
        """The value of every node (K, N) for variables (V, N)."""
        values = np.empty((len(self.operations), variables.shape[1]))
        with np.errstate(all="ignore"):
            for node, operation in enumerate(self.operations):
                if operation == VARIABLE:
                    values[node] = variables[self.left[node]]
                elif operation == CONSTANT:
                    values[node] = self.constants[node]
                else:
                    operands = values[self.left[node]], values[self.right[node]]
                    values[node] = _apply(operation, *operands)
        return values

    def pull(self, nodes: Array, of_outputs: Array) -> Array:
        """Gradients by the variables (V, N), from those by the outputs (P, N), at `nodes` (K, N).

        The derivative of |x| at 0 is taken to be 0, as that of its sign is everywhere.
        """
        gradients = np.zeros_like(nodes)
        np.add.at(gradients, self.outputs, of_outputs)
        of_variables = np.zeros((self.n_variables, nodes.shape[1]))
        with np.errstate(all="ignore"):
            for node in reversed(range(len(nodes))):
                gradient, operation = gradients[node], self.operations[node]
                left, right = self.left[node], self.right[node]
                if operation == VARIABLE:
                    of_variables[left] += gradient
                elif operation == ADD:
                    gradients[left] += gradient
                    gradients[right] += gradient
                elif operation == MULTIPLY:
                    by_left, by_right = gradient * nodes[right], gradient * nodes[left]
                    gradients[left] += by_left
                    gradients[right] += by_right
                elif operation == POWER:
                    self._pull_power(node, nodes, gradients)
                elif operation != CONSTANT:
                    slope = _slope(operation, nodes[left], nodes[node])
                    # Where nothing is asked, a pole is no answer.
                    gradients[left] += np.where(gradient == 0, 0.0, gradient * slope)
        return of_variables

    def _pull_power(self, node: int, nodes: Array, gradients: Array) -> None:
        left, right = self.left[node], self.right[node]
        base, exponent, gradient = nodes[left], nodes[right], gradients[node]
        by_base = gradient * exponent * base ** (exponent - 1)
        gradients[left] += np.where((gradient == 0) | (exponent == 0), 0.0, by_base)
        if self.operations[right] != CONSTANT:
            # 0 ** x is 0 for every x above 0.
            by_exponent = np.where(nodes[node] == 0, 0.0, nodes[node] * np.log(base))
            gradients[right] += np.where(gradient == 0, 0.0, gradient * by_exponent)


def record(expressions: Sequence[Any], variables: Mapping[str, int]) -> Tape:
    """The tape of sympy's expressions, whose symbols are variables by their names.

    Raises:
        SpecError: an expression that is not real, or a function that no tape knows.
    """
    recorder = _Recorder(variables)
    outputs = [recorder.node(expression) for expression in expressions]
    columns = list(zip(*recorder.entries, strict=True)) or [(), (), (), ()]
    return Tape(
        operations=np.array(columns[0], dtype=np.int64),
        left=np.array(columns[1], dtype=np.int64),
        right=np.array(columns[2], dtype=np.int64),
        constants=np.array(columns[3], dtype=np.float64),
        outputs=np.array(outputs, dtype=np.int64),
        n_variables=len(variables),
    )


class _Recorder:
    def __init__(self, variables: Mapping[str, int]) -> None:
        self._variables = variables
        self._known: dict[tuple[int, int, int, float], int] = {}
        self.entries: list[tuple[int, int, int, float]] = []

    def node(self, expression: Any) -> int:
        """The node with the expression's value; equal ones share it."""
        if not isinstance(expression, sympy.Basic):
            raise SpecError(
                "an angle has a function that Qiskit does not express, perhaps a number to the "
                "power of a parameter: write 2**x as (0.6931471805599453 * x).exp()"
            )
        if expression.is_Symbol:
            return self._enter(VARIABLE, self._variables[expression.name])
        if expression.is_number:
            return self._constant(expression)
        if expression.is_Add or expression.is_Mul:
            operation = ADD if expression.is_Add else MULTIPLY
            operands = [self.node(operand) for operand in expression.args]
            return reduce(lambda one, other: self._enter(operation, one, other), operands)
        if expression.is_Pow:
            return self._enter(POWER, *(self.node(operand) for operand in expression.args))
        if expression.func in (sympy.conjugate, sympy.re):
            return self.node(expression.args[0])
        if expression.func == sympy.im:
            return self._constant(sympy.Integer(0))
        if expression.func in FUNCTIONS:
            (operand,) = expression.args
            node = self.node(operand)
            return self._enter(FUNCTIONS[expression.func], node, node)
        raise SpecError(f"the angle '{expression}' has a function that no layer computes")

    def _constant(self, expression: Any) -> int:
        number = complex(expression)
        if number.imag != 0 or not math.isfinite(number.real):
            raise SpecError(f"an angle has the part '{expression}', which is no real number")
        return self._enter(CONSTANT, 0, 0, number.real)

    def _enter(self, operation: int, left: int, right: int = 0, constant: float = 0.0) -> int:
        entry = operation, left, right, constant
        if entry not in self._known:
            self._known[entry] = len(self.entries)
            self.entries.append(entry)
        return self._known[entry]


_NUMPY: dict[int, Any] = {
    ADD: np.add,
    MULTIPLY: np.multiply,
    POWER: np.power,
    SIN: np.sin,
    COS: np.cos,
    TAN: np.tan,
    ASIN: np.arcsin,
    ACOS: np.arccos,
    ATAN: np.arctan,
    EXP: np.exp,
    LOG: np.log,
    ABS: np.abs,
    SIGN: np.sign,
}

_SLOPES: dict[int, Callable[[Array, Array], Any]] = {
    SIN: lambda operand, value: np.cos(operand),
    COS: lambda operand, value: -np.sin(operand),
    TAN: lambda operand, value: 1 + value**2,
    ASIN: lambda operand, value: 1 / np.sqrt(1 - operand**2),
    ACOS: lambda operand, value: -1 / np.sqrt(1 - operand**2),
    ATAN: lambda operand, value: 1 / (1 + operand**2),
    EXP: lambda operand, value: value,
    LOG: lambda operand, value: 1 / operand,
    ABS: lambda operand, value: np.sign(operand),
    SIGN: lambda operand, value: np.zeros_like(operand),
}


def _apply(operation: int, left: Array, right: Array) -> Array:
    function = _NUMPY[operation]
    return function(left, right) if operation in (ADD, MULTIPLY, POWER) else function(left)


def _slope(operation: int, operand: Array, value: Array) -> Array:
    """The derivative of a function of one operand, whose value is known."""
    return np.asarray(_SLOPES[operation](operand, value))
