"""Statevectors on CUDA: layers as programs that fused kernels read, in a launch or two each way.

Lowest first, with the names that other folders use:

- `bits`
- `turned`
- `tape`
- `own_circuit`
- `coordinates`
- `code`
- `parameters`
- `driver`: Cuda, DOUBLE, Machine, called, kept_in, machine_of
- `passes`
- `launches`
- `spec_plan`
- `circuit_plan`
- `engine`: Engine
"""
