"""Any other Qiskit backend, given as an object or by where to find it.

Lowest first, with the names that other folders use:

- `finding`: executed, find, importable_from
- `sampled`
- `objects`: backend_at, backend_of
"""
