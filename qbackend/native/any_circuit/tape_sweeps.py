"""Tapes, compiled: the angles of a block of rows, and back for gradients.

Always in float64, L rows at once; see `split_tape` for how operands are written.

Letters: K nodes, K' moving nodes, L lanes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...kernels.cache import helper
from ...layers.tape import (
    ABS,
    ADD,
    ASIN,
    ATAN,
    CONSTANT,
    COS,
    EXP,
    LOG,
    MULTIPLY,
    POWER,
    SIGN,
    SIN,
    TAN,
    VARIABLE,
)  # fmt: skip

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@helper
def value(operation: int, left: float, right: float) -> float:
    """What a node is worth, for its operands."""
    if operation == ADD:
        return left + right
    if operation == MULTIPLY:
        return left * right
    if operation == POWER:
        return left**right
    if operation == SIN:
        return math.sin(left)
    if operation == COS:
        return math.cos(left)
    if operation == TAN:
        return math.tan(left)
    if operation == EXP:
        return math.exp(left)
    if operation == ABS:
        return abs(left)
    if operation == SIGN:
        return np.sign(left)
    if operation == ATAN:
        return math.atan(left)
    # Outside of their domains they have no value, where Python would raise.
    if operation == LOG:
        return math.log(left) if left > 0 else math.nan
    if abs(left) > 1:
        return math.nan
    return math.asin(left) if operation == ASIN else math.acos(left)


@helper
def slope(operation: int, operand: float, result: float) -> float:
    """The derivative of a function of one operand."""
    if operation == SIN:
        return math.cos(operand)
    if operation == COS:
        return -math.sin(operand)
    if operation == TAN:
        return 1 + result * result
    if operation == EXP:
        return result
    if operation == ABS:
        return np.sign(operand)
    if operation == ATAN:
        return 1 / (1 + operand * operand)
    if operation == LOG:
        return 1 / operand if operand != 0 else math.inf
    if operation == SIGN:
        return 0.0
    root = math.sqrt(1 - operand * operand) if abs(operand) <= 1 else math.nan
    steep = 1 / root if root != 0 else math.inf
    return steep if operation == ASIN else -steep


@helper
def by_base(base: float, exponent: float) -> float:
    """The derivative of a power by its base."""
    return 0.0 if exponent == 0 else exponent * power(base, exponent - 1)


@helper
def by_exponent(base: float, result: float) -> float:
    """And by its exponent; 0 ** x is 0 for every x above 0."""
    if result == 0:
        return 0.0
    return result * math.log(base) if base > 0 else math.nan


@helper
def power(base: float, exponent: float) -> float:
    """base ** exponent, infinite or no number where Python would raise."""
    return np.power(base, exponent)


@helper
def run_shared(tape: IntArray, constants: Array, weights: Array, nodes: Array) -> None:
    """Fill `nodes` (K,)."""
    for node in range(len(tape)):
        operation, left, right = tape[node]
        if operation == VARIABLE:
            nodes[node] = weights[left]
        elif operation == CONSTANT:
            nodes[node] = constants[node]
        elif operation == POWER:
            nodes[node] = power(nodes[left], nodes[right])
        else:
            nodes[node] = value(operation, nodes[left], nodes[right])


@helper
def pull_shared(tape: IntArray, nodes: Array, gradients: Array, of_weights: Array) -> None:
    """Gradient by the weights (W,), from those by the nodes (K,), which are overwritten."""
    of_weights[:] = 0.0
    for node in range(len(tape) - 1, -1, -1):
        operation, left, right = tape[node]
        gradient = gradients[node]
        if gradient == 0:
            continue
        if operation == VARIABLE:
            of_weights[left] += gradient
        elif operation == ADD:
            gradients[left] += gradient
            gradients[right] += gradient
        elif operation == MULTIPLY:
            by_left, by_right = gradient * nodes[right], gradient * nodes[left]
            gradients[left] += by_left
            gradients[right] += by_right
        elif operation == POWER:
            gradients[left] += gradient * by_base(nodes[left], nodes[right])
            if tape[right, 0] != CONSTANT:
                gradients[right] += gradient * by_exponent(nodes[left], nodes[node])
        elif operation != CONSTANT:
            gradients[left] += gradient * slope(operation, nodes[left], nodes[node])


@helper
def run_moving(tape: IntArray, shared: Array, features: Array, nodes: Array) -> None:
    """Fill `nodes` (K', L) for features (F, L) and shared nodes (K,)."""
    n_lanes = nodes.shape[1]
    for node in range(len(tape)):
        operation, left, right = tape[node]
        if operation == VARIABLE:
            for lane in range(n_lanes):
                nodes[node, lane] = features[left, lane]
        elif operation == ADD and right >= 0 and left >= 0:
            for lane in range(n_lanes):
                nodes[node, lane] = nodes[left, lane] + nodes[right, lane]
        elif operation == MULTIPLY and right >= 0 and left >= 0:
            for lane in range(n_lanes):
                nodes[node, lane] = nodes[left, lane] * nodes[right, lane]
        elif operation in (ADD, MULTIPLY):
            factor, other = (shared[~left], right) if left < 0 else (shared[~right], left)
            if operation == ADD:
                for lane in range(n_lanes):
                    nodes[node, lane] = nodes[other, lane] + factor
            else:
                for lane in range(n_lanes):
                    nodes[node, lane] = nodes[other, lane] * factor
        else:
            for lane in range(n_lanes):
                one = nodes[left, lane] if left >= 0 else shared[~left]
                other_value = nodes[right, lane] if right >= 0 else shared[~right]
                if operation == POWER:
                    nodes[node, lane] = power(one, other_value)
                else:
                    nodes[node, lane] = value(operation, one, other_value)


@helper
def pull_moving(
    tape: IntArray,
    shared_tape: IntArray,
    shared: Array,
    nodes: Array,
    gradients: Array,
    of_features: Array,
    of_shared: Array,
) -> None:
    """Gradients by features (F, L), and added to those by shared nodes (K,).

    From those by the moving nodes (K', L), which are overwritten.
    """
    n_lanes = nodes.shape[1]
    of_features[:] = 0.0
    for node in range(len(tape) - 1, -1, -1):
        operation, left, right = tape[node]
        if operation == VARIABLE:
            for lane in range(n_lanes):
                of_features[left, lane] += gradients[node, lane]
        elif operation == ADD:
            _add(left, node, gradients, of_shared)
            _add(right, node, gradients, of_shared)
        elif operation == MULTIPLY:
            _add_product(left, right, node, shared, nodes, gradients, of_shared)
            _add_product(right, left, node, shared, nodes, gradients, of_shared)
        else:
            is_constant = right < 0 and shared_tape[~right, 0] == CONSTANT
            for lane in range(n_lanes):
                gradient = gradients[node, lane]
                # Where nothing is asked, a pole is no answer.
                if gradient == 0:
                    continue
                one = nodes[left, lane] if left >= 0 else shared[~left]
                if operation != POWER:
                    gradients[left, lane] += gradient * slope(operation, one, nodes[node, lane])
                    continue
                other = nodes[right, lane] if right >= 0 else shared[~right]
                by_left = gradient * by_base(one, other)
                if left >= 0:
                    gradients[left, lane] += by_left
                else:
                    of_shared[~left] += by_left
                if is_constant:
                    continue
                by_right = gradient * by_exponent(one, nodes[node, lane])
                if right >= 0:
                    gradients[right, lane] += by_right
                else:
                    of_shared[~right] += by_right


@helper
def _add(operand: int, node: int, gradients: Array, of_shared: Array) -> None:
    """The gradient by a node to that by an operand of its sum."""
    if operand >= 0:
        for lane in range(gradients.shape[1]):
            gradients[operand, lane] += gradients[node, lane]
    else:
        for lane in range(gradients.shape[1]):
            of_shared[~operand] += gradients[node, lane]


@helper
def _add_product(
    operand: int,
    other: int,
    node: int,
    shared: Array,
    nodes: Array,
    gradients: Array,
    of_shared: Array,
) -> None:
    """The same for an operand of its product with another; at most one of them is shared."""
    n_lanes = gradients.shape[1]
    if operand < 0:
        for lane in range(n_lanes):
            of_shared[~operand] += gradients[node, lane] * nodes[other, lane]
    elif other < 0:
        for lane in range(n_lanes):
            gradients[operand, lane] += gradients[node, lane] * shared[~other]
    else:
        for lane in range(n_lanes):
            gradients[operand, lane] += gradients[node, lane] * nodes[other, lane]
