"""The quantum pointwise convolution as it is defined, written with dense matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models import QuantumPointwiseConv2d

COMPLEX = torch.complex128


def conv(*args: object, **options: object) -> QuantumPointwiseConv2d:
    """A layer in float64 with weights far from the identity."""
    layer = QuantumPointwiseConv2d(*args, **{"seed": 0, **options}).double()  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=2.0, generator=generator)
    return layer


def images(n_channels: int, *, size: tuple[int, int] = (3, 5), n_images: int = 2) -> Tensor:
    """Random signed images; one pixel is zero, one has a single channel."""
    generator = torch.Generator().manual_seed(n_channels)
    drawn = torch.randn(n_images, n_channels, *size, dtype=torch.float64, generator=generator)
    drawn[0, :, 0, 1] = 0
    drawn[-1, 1:, -1, 0] = 0
    return drawn


def on_wire(gate: Tensor, wire: int, n_wires: int) -> Tensor:
    """A gate on one wire as a matrix over all of them, wire 0 first."""
    ahead, behind = (torch.eye(2**n, dtype=COMPLEX) for n in (wire, n_wires - wire - 1))
    return torch.kron(torch.kron(ahead, gate), behind)


def rotation(pauli: Tensor, angle: Tensor) -> Tensor:
    """exp(-i angle pauli / 2)."""
    return torch.cos(angle / 2) * torch.eye(2, dtype=COMPLEX) - 1j * torch.sin(angle / 2) * pauli


Y = torch.tensor([[0, -1j], [1j, 0]], dtype=COMPLEX)
Z = torch.tensor([[1, 0], [0, -1]], dtype=COMPLEX)
X = torch.tensor([[0, 1], [1, 0]], dtype=COMPLEX)
ZERO, ONE = (torch.diag(torch.tensor(bits, dtype=COMPLEX)) for bits in ((1, 0), (0, 1)))


def unitary(weights: Tensor, n_wires: int, depth: int) -> Tensor:
    """Strongly entangling layers as one matrix: Rot on each wire, then CNOTs of growing reach."""
    angles = weights.to(COMPLEX).reshape(depth, n_wires, 3)
    matrix = torch.eye(2**n_wires, dtype=COMPLEX)
    for layer in range(depth):
        for wire in range(n_wires):
            phi, theta, omega = angles[layer, wire]
            rot = rotation(Z, omega) @ rotation(Y, theta) @ rotation(Z, phi)
            matrix = on_wire(rot, wire, n_wires) @ matrix
        if n_wires == 1:
            continue
        reach = layer % (n_wires - 1) + 1
        for control in range(n_wires):
            target = (control + reach) % n_wires
            flip = on_wire(ONE, control, n_wires) @ on_wire(X, target, n_wires)
            matrix = (on_wire(ZERO, control, n_wires) + flip) @ matrix
    return matrix


def definition(layer: QuantumPointwiseConv2d, given: Tensor, depth: int) -> Tensor:
    """The layer's maps, pixel by pixel as the working definition has them."""
    vertical, horizontal = layer.stride
    vectors = given[:, :, ::vertical, ::horizontal].movedim(1, -1)
    n_wires = max(1, int(np.ceil(np.log2(layer.in_channels))))
    lengths = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    is_zero = lengths < 1e-12
    units = torch.where(is_zero, 0, vectors / torch.where(is_zero, 1, lengths))
    padded = torch.nn.functional.pad(units, (0, 2**n_wires - layer.in_channels))
    outputs = []
    for kernel in layer.kernels:
        state = padded.to(COMPLEX) @ unitary(kernel.weight, n_wires, depth).T
        for wire in range(n_wires):
            outputs.append((state.conj() * (state @ on_wire(Z, wire, n_wires))).sum(-1).real)
    maps = torch.stack(outputs, dim=1)[:, : layer.out_channels]
    if layer.length:
        maps = torch.cat([maps, torch.where(is_zero, 0, lengths)[..., 0].unsqueeze(1)], dim=1)
    if layer.scale is not None and layer.shift is not None:
        maps = maps * layer.scale[:, None, None] + layer.shift[:, None, None]
    return maps


def gradients(layer: torch.nn.Module, given: Tensor, maps: Tensor) -> list[Tensor]:
    """Of a fixed random sum of the maps, by the images and every weight."""
    cotangent = torch.randn(maps.shape, generator=torch.Generator().manual_seed(2)).to(maps)
    return list(torch.autograd.grad(maps, [given, *layer.parameters()], cotangent))


@dataclass(frozen=True)
class Case:
    """A layer that differs from the plain one in one respect or two."""

    in_channels: int
    out_channels: int
    depth: int = 2
    stride: int | tuple[int, int] = 1
    length: bool = False
    affine: bool = False
