"""Statevectors on CUDA: a layer as a program that fused kernels read, in one launch each way.

Lowest first, with the names that other folders use:

- `bits`
- `turned`
- `tape`
- `own_circuit`
- `coordinates`
- `code`
- `parameters`
- `driver`: machine_of
- `passes`
- `launches`
- `spec_plan`
- `circuit_plan`
- `engine`: Engine
"""
