"""Qiskit Aer: exact, sampled, and with a device's noise.

Lowest first, with the names that other folders use:

- `machine`: simulated
- `noisy`: AerNoisy, AerNoisySampled
- `runs`
- `exact`: AerExact, AerSampled
"""
