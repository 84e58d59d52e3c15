"""IBM Quantum's dialect of a machine: its client, primitives, limits, costs and local mode.

Lowest first, with the names that other folders use:

- `codes`
- `cost`
- `credentials`
- `instructions`
- `limits`
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
