"""Statevectors on CUDA: a layer as a program that fused kernels read, in one launch each way.

Lowest first, with the names that other folders use:

- `bits`
- `strings`
- `coordinates`
- `code`
- `parameters`
- `driver`: Machine, machine_of
- `passes`
- `engine`: Engine
"""
