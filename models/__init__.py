"""Image classifiers with a quantum layer, their classical twins and their controls.

>>> from models import build_model
>>> model = build_model("hybrid-mnist", backend="aer", seed=7)

Lowest first:

- `streams`: random numbers for initial weights
- `blocks`: the parts that the published networks are made of
- `norm_biases`: biases that a BatchNorm takes away again
- `cnn`: the two families of classifiers
- `plan`: what a kind of network is to everything that works with it
- `hybrid`: networks with a quantum layer between two others, and its controls
- `classical`: networks without
- `exchange`: other 1x1 convolutions in any network
- `pointwise_controls`: what stands in for quantum pointwise convolutions
- `pointwise_nets`: networks whose 1x1 convolutions can be exchanged
- `pointwise_plans`: networks with quantum pointwise convolutions
- `factory`: networks that a function of the user's own makes
- `catalogue`: all models by name
"""

from qbackend import QuantumPointwiseConv2d

from .catalogue import MODELS, arms_of, build_model, find_plan
from .cnn import ClassicalCNN, HybridCNN, count_parameters, to_backend
from .exchange import exchange_pointwise, quantize_pointwise, restore_pointwise
from .factory import FactoryPlan, call_by_name
from .hybrid import ARMS
from .plan import ModelPlan
from .pointwise_plans import POINTWISE_ARMS, PointwiseSpec

__all__ = [
    "ARMS",
    "MODELS",
    "POINTWISE_ARMS",
    "ClassicalCNN",
    "FactoryPlan",
    "HybridCNN",
    "ModelPlan",
    "PointwiseSpec",
    "QuantumPointwiseConv2d",
    "arms_of",
    "build_model",
    "call_by_name",
    "count_parameters",
    "exchange_pointwise",
    "find_plan",
    "quantize_pointwise",
    "restore_pointwise",
    "to_backend",
]
