"""What torch's compilers are told: to call a layer as it is, and that none can be exported.

`uncompiled(function, *arguments)` calls the function, such that a compiled module does not look
into it: Dynamo fails within kernels that Numba compiles, and would take weights for constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..errors import OptionError


def refuse_export(instead: str) -> None:
    """Raise `OptionError`, which names what to export `instead`, while torch exports a module."""
    if torch.compiler.is_exporting() or torch.jit.is_tracing():
        raise not_exported(instead)


def not_exported(instead: str) -> OptionError:
    """The error for a layer that was to be exported."""
    return OptionError(
        "a quantum layer executes on its backend, which no exported program contains; put the "
        f"exact layer in torch operations into the module before you export it: {instead}"
    )


def _call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return function(*arguments, **options)


def __getattr__(name: str) -> Any:
    # Made on first use: Dynamo, which only those need who compile, takes seconds to load. While
    # it traces it looks names of modules up for good, and finds the function made.
    if name != "uncompiled":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    globals()[name] = torch.compiler.disable(_call)
    return globals()[name]
