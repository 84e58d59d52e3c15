"""What peers that compute in JAX have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .contest import Array, Step


def jax_array(array: Array) -> Any:
    """The array where JAX computes."""
    import jax

    return jax.numpy.asarray(array)


def jax_step(layer: Callable[[Any, Any], Any], dtype: str) -> Step:
    """The compiled step of a layer (B, F), (W,) -> (B, M) written in JAX.

    Sets JAX's precision to the dtype's, which is a setting of the whole process.
    """
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")

    @jax.jit
    def compiled(features: Any, weights: Any, cotangent: Any) -> Any:
        values, pull = jax.vjp(layer, features, weights)
        return values, *pull(cotangent)

    return lambda *arrays: jax.block_until_ready(compiled(*arrays))
