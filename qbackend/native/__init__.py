"""Our own simulator: exact, batched, with derivatives by the adjoint method."""

from .exact import NativeBackend

__all__ = ["NativeBackend"]
