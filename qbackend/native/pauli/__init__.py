"""Circuits under noise in the Pauli basis, on the CPU by compiled kernels and anywhere by torch.

Lowest first, with the names that other folders use:

- `sweeps`
- `transfer`
- `program`
- `cpu`
- `tensors`
- `layer`: LayerSimulation
- `on_device`: DeviceSimulation
"""
