"""IBM Quantum's dialect of a machine: its client, primitives, limits, options and local mode.

Lowest first, with the names that other folders use:

- `credentials`: find_credentials
- `mitigation`: check_installed
- `options`: Decoupling, ExecutionOptions, Generation, Mitigation, Mode, Primitive, check_local
- `instructions`
- `limits`: shots_performed, itself
- `primitives`: decode, measured_qubits
- `local`: LocalService
- `runtime_workload`
- `translate`
- `transport`
- `connection`
- `service`: connect, itself
- `calibrations`: load_live
"""
