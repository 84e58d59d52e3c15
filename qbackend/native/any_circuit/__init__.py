"""Any circuit, exact: rotations about Pauli strings, batched, on the CPU and in torch.

Lowest first, with the names that other folders use:

- `strings`
- `turned`: turned_circuit
- `tensors`: TorchLayer
"""
