"""Image classifiers with a quantum layer, their classical twins and their controls.

>>> from models import build_model
>>> model = build_model("hybrid-mnist", backend="aer", seed=7)
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
