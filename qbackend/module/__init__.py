"""The layer as torch sees it: one row of features at a time, or every pixel of feature maps.

Lowest first, with the names that other folders use:

- `compilation`
- `exact_layer`
- `network`: LayerNetwork
- `layer_function`
- `stacked_forms`
- `torch_compiler`
- `pointwise`: QuantumPointwiseConv2d, kernel_spec, n_kernels
- `quantum_layer`: QuantumLayer
- `warmup`: Warmed, warmed, work
"""
