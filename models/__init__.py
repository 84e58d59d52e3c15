"""Image classifiers with a quantum layer, their classical twins and their controls.

>>> from models import build_model
>>> model = build_model("hybrid-mnist", backend="aer", seed=7)
"""

from .catalogue import ARMS, MODELS, build_model
from .cnn import ClassicalCNN, HybridCNN, count_parameters, to_backend
from .pointwise import QuantumPointwiseConv2d

__all__ = [
    "ARMS",
    "MODELS",
    "ClassicalCNN",
    "HybridCNN",
    "QuantumPointwiseConv2d",
    "build_model",
    "count_parameters",
    "to_backend",
]
