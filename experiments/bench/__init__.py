"""How fast the quantum layer is, beside other simulators that do the same."""

from .command import run_bench

__all__ = ["run_bench"]
