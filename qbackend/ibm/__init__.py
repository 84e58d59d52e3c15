"""IBM Quantum's dialect of a machine: its client, primitives, limits, options and local mode.

Lowest first, with the names that other folders use:

- `credentials`
- `instructions`
- `limits`
- `cost`
- `mitigation`
- `primitives`
- `local`
- `runtime_workload`
- `translate`
- `transport`
- `connection`
- `service`
- `calibrations`
- `vendor`
"""
