"""Torch without anything that would wait for a device, for code whose tests have none.

What a captured step must not do works on a CPU as on a device, and shows there in the results of
nothing: here it raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

READING = {"item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__"}
READING |= {"__array__", "__contains__", "nonzero", "argwhere", "masked_select", "unique", "equal"}
WAITING = {
    "_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2",
    "_linalg_svd", "_linalg_eigh", "_linalg_solve_ex", "linalg_inv_ex", "bincount",
}  # fmt: skip
"""Operators that read results on the host, or libraries that do."""
FROM_THE_HOST = ("tensor", "as_tensor", "from_numpy")
"""Copies of what lies in the host's memory, for which a device is waited for too."""


class SynchronisationError(AssertionError):
    """What would wait for a device."""


class _Calls(TorchFunctionMode):
    """What Python asks of torch."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if getattr(function, "__name__", "") in READING:
            raise SynchronisationError(f"{function.__name__} waits for the device")
        return function(*args, **(kwargs or {}))


class _Operators(TorchDispatchMode):
    """What torch executes, in backward passes too."""

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = operator.__name__.split(".")[0]
        if name in WAITING:
            raise SynchronisationError(f"{name} waits for the device")
        if name in ("index", "index_put", "index_put_") and any(
            each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1]
        ):
            raise SynchronisationError("an index by a mask waits for the device")
        return operator(*args, **(kwargs or {}))


@contextmanager
def no_synchronisation() -> Iterator[None]:
    """Whatever would wait for a device, or copy from the host to it, raises an error."""

    def refuse(*_: Any, **__: Any) -> None:
        raise SynchronisationError("a copy from the host waits for the device")

    copies = [patch.object(torch, name, refuse) for name in FROM_THE_HOST]
    for each in copies:
        each.start()
    try:
        with _Calls(), _Operators():
            yield
    finally:
        for each in copies:
            each.stop()
