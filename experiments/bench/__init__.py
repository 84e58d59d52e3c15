"""How fast the quantum layer is, beside other simulators that do the same.

Lowest first, with the names that other folders use:

- `circuits`
- `gates`
- `timing`
- `contest`
- `accelerator`
- `inference`
- `jax`
- `pennylane`
- `results`
- `suite`
- `command`: run_bench
"""
