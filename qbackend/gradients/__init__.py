"""Derivatives: plans of rows for any backend, adjoint ones for `aer`, higher in torch.

Lowest first, with the names that other folders use:

- `adjoint`: ComplexArray, cuts, weight_gradient
- `higher`: Gradients, in_transform, is_first, pulled
- `plans`: GradientPlan, check_rotations, plan_angle_shift, plan_parameter_shift, plan_spsa
- `noisy_preparation`: PreparationAverage, averaged_gradient, feature_gradient,
  plan_noisy_shift
- `torch_circuit`: encoded, forms, outputs, unit_vectors
- `torch_unitaries`: unitaries
"""
