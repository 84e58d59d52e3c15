"""Circuits under noise in the Pauli basis: compiled for the CPU, fused on CUDA, anywhere by torch.

Lowest first, with the names that other folders use:

- `sweeps`
- `transfer`
- `program`
- `cpu`
- `tensors`
- `compact`
- `words`
- `fused`
- `layer`: LayerSimulation
- `on_device`: DeviceSimulation
"""
