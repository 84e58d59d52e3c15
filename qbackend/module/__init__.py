"""The layer as torch sees it: one row of features at a time, or every pixel of feature maps.

Lowest first, with the names that other folders use:

- `network`
- `stacked_forms`
- `torch_compiler`
- `pointwise`: QuantumPointwiseConv2d
- `quantum_layer`: QuantumLayer
"""
