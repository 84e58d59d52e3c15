"""Our own simulator, exact and under noise: batched, with derivatives by the adjoint method.

Lowest first, with the names that other folders use:

- `any_circuit`
- `cuda`
- `pauli`
- `noisy`: NativeNoisy
- `statevector`
- `forms`
- `pixel_circuits`
- `tensors`
- `exact`: NativeBackend
"""
