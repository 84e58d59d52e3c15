"""Code that `torch.compile` calls as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., object])


def left_as_it_is(function: Function) -> Function:
    """`function`, such that a compiled module calls it without looking into it.

    Dynamo fails within kernels that Numba compiles, and would take weights for constants.
    """
    # Otherwise the function itself: Dynamo takes seconds to load, and its wrapper part of a call.
    return torch.compiler.disable(function) if torch.compiler.is_compiling() else function
