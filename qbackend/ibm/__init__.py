"""IBM Quantum's dialect of a machine: its client, primitives, limits, costs and local mode.

Lowest first, with the names that other folders use:

- `codes`
- `credentials`
- `instructions`
- `qpu_seconds`
- `limits`
- `cost`
- `readout_mitigation`
- `results`
- `primitives`
- `local`
- `translate`
- `client`
- `service`
- `calibrations`
- `vendor`: IBM
"""
