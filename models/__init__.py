"""Image classifiers with a quantum layer, their classical twins and their controls.

>>> from models import build_model
>>> model = build_model("hybrid-mnist", backend="aer", seed=7)

Lowest first:

- `streams`: random numbers for initial weights
- `blocks`: the parts that the published networks are made of
- `norm_biases`: biases that a BatchNorm takes away again
- `cnn`: the two families of classifiers
- `exchange`: other 1x1 convolutions in any network
- `pointwise_controls`: what stands in for quantum pointwise convolutions
- `pointwise_nets`: networks whose 1x1 convolutions can be exchanged
- `pointwise_plans`: these networks by name
- `catalogue`: all models by name
"""

from qbackend.module.pointwise import QuantumPointwiseConv2d

from .catalogue import ARMS, MODELS, arms_of, build_model
from .cnn import ClassicalCNN, HybridCNN, count_parameters, to_backend
from .exchange import exchange_pointwise, quantize_pointwise, restore_pointwise
from .pointwise_plans import POINTWISE_ARMS, PointwiseSpec

__all__ = [
    "ARMS",
    "MODELS",
    "POINTWISE_ARMS",
    "ClassicalCNN",
    "HybridCNN",
    "PointwiseSpec",
    "QuantumPointwiseConv2d",
    "arms_of",
    "build_model",
    "count_parameters",
    "exchange_pointwise",
    "quantize_pointwise",
    "restore_pointwise",
    "to_backend",
]
