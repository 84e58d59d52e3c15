"""Qiskit Aer: exact, sampled, and with a device's noise.

Lowest first, with the names that other folders use:

- `machine`: simulated
- `runs`
- `circuit_states`
- `exact`: AerExact, AerSampled
- `noisy`: AerNoisy, AerNoisySampled
- `own_noise`: AerOwnNoise, check_model, compile_to_model, has_noise, width
"""
