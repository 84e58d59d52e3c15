"""Our own simulator: exact, batched, with derivatives by the adjoint method."""

from .native import NativeBackend

__all__ = ["NativeBackend"]
