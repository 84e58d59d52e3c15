"""The seam: what a backend is asked, what it answers, and how far the answer may be off.

Lowest first, with the names that other folders use:

- `backend_name`: BackendName
- `device`: Device, RepDelay, Source
- `requests`: CompiledLayer, Cost, Request, Result, angles_of, check_shots, local_cost
- `side_by_side`: WideRequest, side_by_side, single_values, widened
- `jobs`: Job, JobStatus, LocalJob
- `backend`: Capabilities, DifferentiableBackend, Forward, Gradients, Pullback, QuantumBackend,
  check_width
- `loading`: pull_loaded
- `forms`: Forms, PixelBackend, QuadraticBackend, encode, inverse_norms, products, pull_states,
  itself
- `simulators`: ExactSimulator, SamplingSimulator, simulator_capabilities
- `uncertainty`: Interval, between_randomisations, mean_interval, paired_share_interval,
  reach_of, reported, share_interval, standard_error
- `reading`: drawn, expected
"""
