"""Quantum pointwise convolution: a 1x1 convolution whose channel mixing is a circuit.

After arXiv 2412.01241, of which only the abstract could be read; layer lists and accuracies of the
paper are unknown here, so this is a layer in its style and no reproduction.

Letters: B batch, C channels, D = 2^Q amplitudes, H height, K kernels, Q wires, W width, M outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import LayerSpec, QuantumLayer, get_backend
from ..errors import InputError
from ..gradients.torch_circuit import unit_vectors
from ..layers.definitions import in_catalogue
from ..layers.inputs import in_float32_or_float64, seed_or_drawn, whole_number
from ..pixels.channel_forms import KERNEL_CHANNELS, channel_forms, pack
from ..pixels.channel_products import channel_products
from ..pixels.channel_states import channel_states
from ..pixels.layout import refuse_pixel
from ..registry import AnyBackend
from ..seam.backend import QuantumBackend
from ..seam.forms import PixelBackend
from . import torch_compiler
from .stacked_forms import StackedForms, has_forms, has_states, stacked_weights

FORM_WIRES = 8
"""Up to here all kernels of a layer are computed together, as quadratic forms where the backend has
them, or by their unitaries."""
STATE_COST = 6
"""Of a gate on one amplitude, where a product of channels in one form costs 1: measured, forwards
and backwards, on the CPU."""
MEASUREMENT_GATES = 5
"""Gates on a wire that cost as much as measuring all wires does, and loading the state."""
ROW_BYTES = 2**26
"""For the channel vectors of a chunk where a backend executes row by row."""


def is_elsewhere(features: Tensor) -> bool:
    """Whether no compiled kernel of the CPU can read them."""
    return not features.is_cpu


def kernel_spec(in_channels: int, ansatz: str, depth: int) -> LayerSpec:
    """One kernel: amplitudes on Q = ceil(log2 C) wires, at least one; raises `SpecError`."""
    return LayerSpec(max(1, (in_channels - 1).bit_length()), ansatz=ansatz, n_layers=depth)


def n_kernels(spec: LayerSpec, out_channels: int) -> int:
    """K, as many as M outputs need."""
    return -(-out_channels // spec.n_outputs)


class QuantumPointwiseConv2d(nn.Module):
    """Channel vectors of all pixels through K shared circuits: (B, C, H, W) -> (B, M, H', W').

    A pixel's C channels, padded with zeros to 2^Q, Q = ceil(log2 C) and at least 1, become a
    state's amplitudes; each kernel is a circuit that yields <Z> of each of its Q wires. There are
    K = ceil(M / Q) kernels; of the last one's outputs those beyond M are cut.

    Every output is a quadratic form of the normalised vector: it lies in [-1, 1], and the vector's
    length and sign are lost. `length` gives the length back as one more channel, the last. A
    vector of zeros (norm below 1e-12) gives zeros, and zero gradients.

    Weights start from a normal distribution of mean 0 and variance 1 / (4 (L + 2)) for L = depth,
    the Gaussian initialisation of Zhang et al. (NeurIPS 2022, arXiv 2203.09376) for observables of
    one wire: a deep circuit begins near the identity, up to its CNOTs, where gradients do not
    vanish, and yet no two kernels begin alike.

    The output has the input's dtype, device and memory format; half precision is computed in
    float32, under autocast too.

    Args:
        in_channels: C, at least 1.
        out_channels: M, at least 1, not counting the length.
        depth: repetitions L of the ansatz.
        ansatz: of the kernels, see `LayerSpec`.
        backend: where the kernels are executed, see `QuantumLayer`.
        stride: of the pixels that are taken, along both axes or (vertical, horizontal).
        length: append the vectors' lengths as a last channel.
        affine: scale and shift every output channel by trained numbers, as BatchNorm does.
        shots: per row, where the named backend samples.
        seed: of the initial weights and of the sampling; None draws one from torch's generator,
            as `torch.manual_seed` has it.
        gradient: how kernels are differentiated, see `QuantumLayer`.

    Attributes:
        kernels: the K quantum layers.
        scale, shift: of the affine map, (M,) or (M + 1,) each, None without.

    Raises:
        OptionError: a number out of range, or what the backend cannot do.
        SpecError: a depth or an ansatz that no circuit corresponds to.
        UnknownNameError: no such backend.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        depth: int,
        ansatz: str = "strongly_entangling",
        backend: AnyBackend = "aer",
        *,
        stride: int | tuple[int, int] = 1,
        length: bool = False,
        affine: bool = False,
        shots: int | None = None,
        seed: int | None = None,
        gradient: str = "auto",
    ) -> None:
        super().__init__()
        vertical, horizontal = stride if isinstance(stride, Sequence) else (stride, stride)
        self.stride = whole_number("stride", vertical), whole_number("stride", horizontal)
        in_channels = whole_number("in_channels", in_channels)
        out_channels = whole_number("out_channels", out_channels)
        self.in_channels, self.out_channels, self.length = in_channels, out_channels, length
        spec = kernel_spec(in_channels, ansatz, depth)
        seed = seed_or_drawn(seed)
        count = n_kernels(spec, out_channels)
        streams = np.random.SeedSequence(seed).generate_state(count).tolist()
        if not isinstance(backend, QuantumBackend):
            backend, shots = get_backend(backend, shots=shots, seed=seed, layer=spec), None
        self.kernels = nn.ModuleList(
            QuantumLayer(spec, backend, shots=shots, seed=stream, gradient=gradient)
            for stream in streams
        )
        for kernel, stream in zip(self._layers, streams, strict=True):
            generator = torch.Generator().manual_seed(stream)
            std = 1 / math.sqrt(4 * (spec.n_layers + 2))
            nn.init.normal_(kernel.weight, std=std, generator=generator)
        self._forms = StackedForms()
        n_channels = out_channels + length
        self.scale = nn.Parameter(torch.ones(n_channels)) if affine else None
        self.shift = nn.Parameter(torch.zeros(n_channels)) if affine else None

    @property
    def spec(self) -> LayerSpec:
        """What each kernel is."""
        return in_catalogue(self._layers[0].spec, "a layer on every pixel")

    @property
    def _layers(self) -> list[QuantumLayer]:
        return [cast(QuantumLayer, kernel) for kernel in self.kernels]

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, M, H', W') of images (B, C, H, W).

        Raises:
            InputError: wrong shape, integers, booleans or complex numbers, or an entry that is
                not finite. On an accelerator such an entry gives NaN: an error would have to wait.
        """
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise InputError(
                f"the layer takes images of {self.in_channels} channels, "
                f"(batch, {self.in_channels}, height, width), got shape {tuple(images.shape)}"
            )
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            torch_compiler.refuse_export("kernel.to_torch() of each of its kernels, on the pixels")
            return torch_compiler.uncompiled(self._maps, images)
        return self._maps(images)

    def _maps(self, images: Tensor) -> Tensor:
        taken = self._taken(images)
        with torch.autocast(images.device.type, enabled=False):
            features = in_float32_or_float64("the images", taken.flatten(2))
            if self._has_products(features):
                maps = self._by_products(features)
            elif self._prefers_states(features):
                maps = self._by_states(features)
            else:
                maps = self._by_forms(features) if self._has_forms() else self._by_rows(features)
            if self.scale is not None and self.shift is not None:
                scale, shift = (p.to(maps)[:, None] for p in (self.scale, self.shift))
                maps = torch.addcmul(shift, maps, scale)
        return maps.to(images.dtype).unflatten(2, taken.shape[2:])

    def channel_vectors(self, images: Tensor) -> Tensor:
        """What the kernels encode of images (B, C, H, W), a row per pixel taken: (B H' W', D).

        Raises:
            InputError: integers, booleans or complex numbers.
        """
        images = in_float32_or_float64("the images", images)
        rows = self._taken(images).flatten(2).transpose(1, 2).reshape(-1, self.in_channels)
        return self._padded(rows)

    def _taken(self, images: Tensor) -> Tensor:
        if self.stride == (1, 1):
            return images
        vertical, horizontal = self.stride
        return images[:, :, ::vertical, ::horizontal].contiguous(
            memory_format=torch.channels_last
            if images.is_contiguous(memory_format=torch.channels_last)
            else torch.contiguous_format
        )

    def _padded(self, rows: Tensor) -> Tensor:
        return functional.pad(rows, (0, self.spec.n_features - rows.shape[1]))

    def _has_products(self, features: Tensor) -> bool:
        """Whether to leave all to torch's products, where the features are."""
        is_narrow = self.spec.n_wires <= FORM_WIRES
        return is_elsewhere(features) and is_narrow and all(map(has_states, self._layers))

    def _by_products(self, features: Tensor) -> Tensor:
        weights = stacked_weights(self._layers)
        return channel_products(features, weights, self.spec, self.out_channels, length=self.length)

    def _prefers_states(self, features: Tensor) -> bool:
        """Whether the backend carries states, and that costs less than forms."""
        if not features.is_cpu or not all(map(has_states, self._layers)):
            return False
        spec = self.spec
        n_gates = len(self._layers) * (spec.n_layers * spec.n_wires + MEASUREMENT_GATES)
        n_products = self.in_channels * (self.in_channels + 1) // 2
        is_narrow = self.in_channels <= KERNEL_CHANNELS
        forms_cost = n_products * self.out_channels if is_narrow else math.inf
        return STATE_COST * n_gates * 2**spec.n_wires < forms_cost

    def _by_states(self, features: Tensor) -> Tensor:
        layer = self._layers[0]
        assert isinstance(layer.backend, PixelBackend)
        return channel_states(
            features,
            stacked_weights(self._layers),
            layer.neural_network.compiled,
            layer.backend,
            self.out_channels,
            length=self.length,
        )

    def _has_forms(self) -> bool:
        return self.spec.n_wires <= FORM_WIRES and all(map(has_forms, self._layers))

    def _by_forms(self, features: Tensor) -> Tensor:
        matrices = self._forms.matrices(self._layers).flatten(0, 1)
        used = matrices[: self.out_channels, : self.in_channels, : self.in_channels]
        return channel_forms(features, pack(used).to(features), length=self.length)

    def _by_rows(self, features: Tensor) -> Tensor:
        """Every pixel a row of every kernel, chunk by chunk."""
        if not torch.isfinite(features).all():
            refuse_pixel(features)
        n_images, n_channels, n_pixels = features.shape
        rows = features.transpose(1, 2).reshape(-1, n_channels)
        chunk = max(1, ROW_BYTES // (8 * self.spec.n_features))
        parts = [self._rows_of(part) for part in rows.split(chunk)]
        values = torch.cat(parts)[:, : self.out_channels]
        if self.length:
            # Along its unit vector a vector is as long as it is.
            norms = torch.sum(rows * unit_vectors(rows, dim=1), dim=1)
            values = torch.cat([values, norms[:, None]], dim=1)
        return values.unflatten(0, (n_images, n_pixels)).transpose(1, 2)

    def _rows_of(self, rows: Tensor) -> Tensor:
        padded = self._padded(rows)
        return torch.cat([_execute(kernel, padded) for kernel in self._layers], dim=1)

    def extra_repr(self) -> str:
        """What `print(module)` shows of the layer."""
        return f"{self.in_channels}, {self.out_channels}, stride={self.stride}"


def _execute(kernel: QuantumLayer, rows: Tensor) -> Tensor:
    """Outputs for rows, the states of which would stay until the backward pass where there are any.

    Elsewhere through the module itself: what watches it, as the count of rows that a machine would
    be asked for does, has to see them.
    """
    if kernel.neural_network.gradient == "vjp":
        return kernel.recomputed(rows)
    return kernel(rows)
