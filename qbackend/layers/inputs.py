"""What kinds of numbers a layer takes: floating point as features and weights, whole numbers as
counts, whichever library they come from.

Nothing else is converted: half of an integer's angle, or a complex number's real part, is not
what anybody meant.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, OptionError, UserError

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]
Numbers = TypeVar("Numbers", Array, "torch.Tensor")
"""An array on the CPU, or a tensor on any device, of which nothing is asked that would have to wait
for that device."""

SEEDS = 2**64
"""There are so many: torch's generators take no others."""


def library_of(numbers: Any) -> Any:
    """NumPy for an array, torch for a tensor: what both call by one name, and take alike."""
    if isinstance(numbers, np.ndarray):
        return np
    import torch

    return torch


def constant_like(constant: NDArray[Any], numbers: Any) -> Any:
    """A constant as something to compute with `numbers` by; it stays on a tensor's device."""
    if isinstance(numbers, np.ndarray):
        return constant
    return _constant_on(constant.tobytes(), constant.dtype.str, constant.shape, numbers.device)


@cache
def _constant_on(
    content: bytes, dtype: str, shape: tuple[int, ...], device: torch.device
) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.frombuffer(content, dtype).reshape(shape).copy()).to(device)


def row_numbers(numbers: Any) -> Any:
    """0, 1, ... of its rows (B, ...)."""
    library = library_of(numbers)
    where = {} if library is np else {"device": numbers.device}
    return library.arange(len(numbers), **where)


def patched(
    rows: Any, values: tuple[Any, ...], by: Callable[..., tuple[Any, ...]], *given: Any
) -> tuple[Any, ...]:
    """Values (B, ...) with others in some rows (B,): those that `by` makes of rows of `given`.

    Of arrays it makes them for these rows alone, and the values change in place; which rows of a
    tensor these are, its device need not say.
    """
    if isinstance(rows, np.ndarray):
        if rows.any():
            for value, new in zip(values, by(*(each[rows] for each in given)), strict=True):
                value[rows] = new
        return values
    import torch

    return tuple(
        torch.where(rows.view(-1, *[1] * (value.ndim - 1)), new, value)
        for value, new in zip(values, by(*given), strict=True)
    )


def in_float32_or_float64(what: str, tensor: torch.Tensor) -> torch.Tensor:
    """Half precision as float32; float32 and float64 as they are.

    Raises:
        InputError: integers, booleans or complex numbers.
    """
    if not tensor.is_floating_point():
        raise InputError(
            f"{what} are {tensor.dtype}, and a layer takes floating-point numbers: "
            "convert them with .float() or .double()"
        )
    return tensor if tensor.element_size() >= 4 else tensor.float()


def check_weights(weights: torch.Tensor | NDArray[np.float64], n_weights: int) -> None:
    """Raise `InputError` unless `weights` are (W,) for W = `n_weights`."""
    if weights.shape != (n_weights,):
        shape = tuple(weights.shape)
        raise InputError(f"the layer takes {n_weights} weights, ({n_weights},), got shape {shape}")


def float64_array(what: str, values: ArrayLike) -> NDArray[np.float64]:
    """Floating-point numbers as a float64 array.

    Raises:
        InputError: integers, booleans or complex numbers, or no numbers at all.
    """
    array = np.asarray(values)
    if array.dtype.kind != "f":
        raise InputError(
            f"{what} are {array.dtype}, and a layer takes floating-point numbers: "
            "convert them with .astype(float)"
        )
    return array.astype(np.float64, copy=False)


def whole_number(
    what: str, value: Any, error: type[UserError] = OptionError, *, least: int = 1
) -> int:
    """A whole number of Python's, NumPy's or torch's as Python's.

    Raises:
        UserError: of the kind `error`, for anything else and for less than `least`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise error(f"{what} must be a whole number of at least {least}, got {value!r}")
    return number


def seed_number(seed: Any) -> int | None:
    """A seed as Python's whole number; None, which draws one, as it is.

    Raises:
        OptionError: not a whole number from 0 to 2^64 - 1.
    """
    if seed is None:
        return None
    number = whole_number("seed", seed, least=0)
    if number >= SEEDS:
        raise OptionError(f"seed must be below 2^64 = {SEEDS}, got {number}")
    return number


def seed_or_drawn(seed: Any) -> int:
    """The seed, or one from torch's generator, so that `torch.manual_seed` decides it.

    Raises:
        OptionError: see `seed_number`.
    """
    # The command line reads names of options long before it needs torch.
    import torch

    number = seed_number(seed)
    return int(torch.randint(2**63 - 1, (), device="cpu")) if number is None else number


def check_finite(what: str, values: NDArray[np.floating]) -> None:
    """Raise `InputError` that names the first row of `values` with a NaN or infinite entry."""
    # One product tells in almost every case; only one that overflows needs the closer look.
    if math.isfinite(np.vdot(values, values)):
        return
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise InputError(f"{what} row {row} has an entry that is not finite: {values[row]}")
