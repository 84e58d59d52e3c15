"""What a device reports of itself, its noise, and the correction of that.

Lowest first, with the names that other folders use:

- `affine_map`: AffineMap, fit_affine_map
- `mixtures`: TransparentModel
- `properties`: DeviceProperties, ReportedGate, is_unitary, read_properties
- `noise_spec`: NoiseSpec, SavedNoise, load_noise, save_noise
- `noise`: ModelledLayer, NoisyLayer, WAIT, add_noise, assignment_matrices, build_noise_model,
  channel_after, compile_under_noise, noise_of
- `snapshots`: list_snapshots, load_snapshot, no_fractional_gates, reported_rep_delay, itself
- `table`: CompiledCost, DeviceInfo, describe, native_two_qubit_gate
"""
