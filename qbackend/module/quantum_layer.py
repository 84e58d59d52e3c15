"""The quantum layer as a torch module: a `LayerNetwork` behind a TorchConnector.

Letters: B batch, F features, W weights, M observables.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from qiskit import QuantumCircuit
from qiskit_machine_learning.connectors import TorchConnector
from torch import nn

from ..circuits.logical import compile_layer
from ..errors import InputError
from ..layers.circuit_layer import CircuitLayer
from ..layers.inputs import in_float32_or_float64, seed_or_drawn
from ..layers.program import Layer
from ..layers.spec import LayerSpec
from ..native.any_circuit.tensors import plain_module
from ..registry import AnyBackend, get_backend
from ..seam.backend import QuantumBackend
from . import torch_compiler
from .compilation import Compilation, compilation_of
from .exact_layer import ExactLayer
from .layer_function import values_of
from .network import COMPUTED, LayerNetwork


class _OwnWeight:
    """The trainable weights, (W,), radians: an attribute as in any module.

    TorchConnector has a property of that name, which nobody can set. What a module sets in its
    place, as `torch.nn.utils.prune` and others do, comes before this.
    """

    def __get__(self, layer: nn.Module, owner: type) -> nn.Parameter:
        weight = layer._parameters.get("weight")
        if weight is None:
            raise AttributeError(f"'{owner.__name__}' has no weight")
        return weight


class QuantumLayer(TorchConnector):
    """A circuit as a torch module: features (..., F) to expectation values (..., M).

    The output has the features' dtype (float32 or float64) and device. Half-precision features
    are computed in float32. A layer moves between backends with `to_backend`, its weights
    unchanged.

    Args:
        spec: the layer, a `LayerSpec` of the catalogue or a `CircuitLayer` of your own.
        backend: a name or an object for `get_backend`, of Qiskit's or of ours.
        shots: per row, where the named backend samples.
        seed: of the initial weights, uniform in [0, 2π), and of the sampling; None draws one from
            torch's generator, as `torch.manual_seed` has it.
        gradient: "auto" (the backend's own way), "vjp", "parameter-shift" or "spsa". On a machine
            derivatives are paid for: they are asked for when a backward pass wants them, or, in
            training mode and by a gradient that is named here, in one request with the outputs.
        options: what the named backend takes besides, see `get_backend`: `approve`, for one.

    Raises:
        TypeError: what is given is no layer; the message shows how to make one of a circuit.
        UnknownNameError: no such backend.
        OptionError: a layer, shots or a gradient that the backend cannot do, or no seed.
    """

    _neural_network: LayerNetwork

    def __init__(
        self,
        spec: Layer,
        backend: AnyBackend = "aer",
        *,
        shots: int | None = None,
        seed: int | None = None,
        gradient: str = "auto",
        **options: Any,
    ) -> None:
        # TorchConnector's own initialiser registers the weights under two names, which doubles
        # them in every state_dict, and initialises in [-1, 1].
        nn.Module.__init__(self)
        self._sparse = False
        layer, seed = _as_layer(spec), seed_or_drawn(seed)
        self._neural_network = LayerNetwork(
            layer,
            get_backend(backend, shots=shots, seed=seed, layer=layer, **options),
            gradient=gradient,
            seed=seed,
        )
        generator = torch.Generator().manual_seed(seed)
        angles = 2 * math.pi * torch.rand(layer.n_weights, generator=generator)
        self.register_parameter("weight", nn.Parameter(angles))

    weight = _OwnWeight()

    @property
    def _weights(self) -> nn.Parameter:  # type: ignore[override]
        """The name that TorchConnector knows them by."""
        return self.weight

    @property
    def neural_network(self) -> LayerNetwork:
        """The layer on its backend, as qiskit-machine-learning sees it."""
        return self._neural_network

    @neural_network.setter
    def neural_network(self, network: LayerNetwork) -> None:
        self._neural_network = network

    @property
    def spec(self) -> Layer:
        """What the layer is, apart from where it runs."""
        return self.neural_network.spec

    @property
    def backend(self) -> QuantumBackend:
        """What executes it."""
        return self.neural_network.backend

    @property
    def compiled(self) -> Compilation:
        """What the backend compiled it to; printed, it says what the device reports of it."""
        return compilation_of(self.neural_network.compiled, self.backend)

    def circuit(self) -> QuantumCircuit:
        """A copy of the layer's circuit, as it was given, with its parameters open."""
        spec = self.spec
        given = spec.circuit if isinstance(spec, CircuitLayer) else compile_layer(spec).circuit
        return given.copy()

    def forward(self, input_data: torch.Tensor | None = None) -> torch.Tensor:
        """Expectation values (..., M) of features (..., F).

        Raises:
            InputError: wrong number of features or weights, integers, booleans or complex numbers,
                or an entry that is not finite.
        """
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            torch_compiler.refuse_export("layer.to_torch()")
            return torch_compiler.uncompiled(self._outputs, input_data, keep=True)
        return self._outputs(input_data, keep=True)

    def recomputed(self, input_data: torch.Tensor) -> torch.Tensor:
        """The same, with nothing kept for the backward pass, which goes forward once more.

        For batches whose states would not fit into memory. Where the backend has no derivatives of
        its own this is `forward`, which keeps no states there.
        """
        return self._outputs(input_data, keep=self.neural_network.gradient != "vjp")

    def _outputs(self, input_data: torch.Tensor | None, *, keep: bool) -> torch.Tensor:
        network, weight = self._neural_network, self.weight
        n_features = network.num_inputs
        if input_data is not None and not isinstance(input_data, torch.Tensor):
            raise InputError(
                f"a layer takes a torch tensor of features, got {type(input_data).__name__}: "
                "torch.as_tensor makes one"
            )
        if input_data is None or input_data.ndim == 0 or input_data.shape[-1] != n_features:
            shape = None if input_data is None else tuple(input_data.shape)
            raise InputError(
                f"the layer takes {n_features} features ({_described(self.spec)}), "
                f"got shape {shape}"
            )
        features = input_data
        if features.ndim != 2:
            features = features.reshape(-1, n_features)
        if features.dtype not in COMPUTED:
            features = in_float32_or_float64("features", features)
        differentiate = torch.is_grad_enabled() and (features.requires_grad or weight.requires_grad)
        arguments = features, weight, network, differentiate, keep, self.training
        if features.is_cpu:
            values = values_of(*arguments)
        else:
            # Elsewhere backends are torch's operations, which autocast would do in half precision.
            with torch.autocast(features.device.type, enabled=False):
                values = values_of(*arguments)
        if input_data.ndim != 2:
            values = values.reshape(*input_data.shape[:-1], self.spec.n_outputs)
        return values if values.dtype == input_data.dtype else values.to(input_data.dtype)

    def to_backend(
        self,
        backend: AnyBackend,
        *,
        shots: int | None = None,
        seed: int | None = None,
        gradient: str = "auto",
        **options: Any,
    ) -> QuantumLayer:
        """Execute on another backend from now on, weights unchanged; returns self."""
        self._neural_network = LayerNetwork(
            self.spec,
            get_backend(backend, shots=shots, seed=seed, layer=self.spec, **options),
            gradient=gradient,
            seed=seed,
        )
        return self

    def to_torch(self) -> ExactLayer:
        """The exact layer in torch's own operations, with a copy of the weights.

        It needs no backend, can be trained, and exported by `torch.export` and to ONNX. Noise and
        shots of the backend are not in it: there a warning says so.
        """
        capabilities = self.backend.capabilities
        if capabilities.noisy or not capabilities.exact:
            warnings.warn(
                f"to_torch() gives the exact layer, without the noise and shots of "
                f"'{self.backend.name}'",
                stacklevel=2,
            )
        return ExactLayer(plain_module(self.spec), self.weight, self.spec.n_features)

    def reseed(self, seed: int | None) -> None:
        """Start the sequence of sampling seeds anew."""
        self.neural_network.reseed(seed)

    def __prepare_scriptable__(self) -> nn.Module:
        """What `torch.jit.script` asks for: there is nothing that it could compile."""
        raise torch_compiler.not_exported("layer.to_torch()")

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *arguments: Any
    ) -> None:
        # Qiskit's own TorchConnector saves its weights a second time, under this name.
        twin = state_dict.pop(f"{prefix}_weights", None)
        if twin is not None:
            state_dict.setdefault(f"{prefix}weight", twin)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def extra_repr(self) -> str:
        """What `print(module)` shows of the layer."""
        spec = self.spec
        counts = {
            "wires": spec.n_wires,
            "gates": self.circuit().size(),
            "features": spec.n_features,
            "weights": spec.n_weights,
            "outputs": spec.n_outputs,
        }
        shape = ", ".join(f"{count} {name}" for name, count in counts.items())
        return f"{spec.title}, {shape}, backend={self.backend.name!r}"


def _described(spec: Layer) -> str:
    kind = f"{spec.encoding} encoding" if isinstance(spec, LayerSpec) else spec.title
    return f"{spec.n_wires} wires, {kind}"


def _as_layer(spec: Any) -> Layer:
    """What can be a layer; raises `TypeError` that shows how for all else."""
    if all(hasattr(spec, name) for name in ("program", "n_features", "n_weights", "key")):
        layer: Layer = spec
        return layer
    if type(spec).__name__ == "QuantumCircuit":
        raise TypeError(
            "a circuit alone does not say which of its parameters are data: "
            "QuantumLayer(CircuitLayer(circuit, features=feature_map.parameters, "
            "weights=ansatz.parameters, observables=[SparsePauliOp('ZZ')]), backend='native')"
        )
    raise TypeError(
        f"a layer is a LayerSpec(n_wires=4, encoding='amplitude', ansatz='basic_entangler'), or a "
        f"CircuitLayer(circuit, features=..., weights=...), got {spec!r}"
    )
