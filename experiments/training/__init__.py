"""The training loop, its losses, optimisers and schedules.

Lowest first, with the names that other folders use:

- `recorder`: CudaRecorder
- `captured`
- `optimise`: build_loss, build_optimiser
- `learner`
- `train`: Training, steps_per_epoch
"""
