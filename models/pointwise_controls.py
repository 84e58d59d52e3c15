"""What can stand in the place of a quantum pointwise convolution: 1x1 convolutions without circuit.

Each control answers a question about the circuit. `LowRankPointwise` and `grouped_pointwise` have
as few weights and mix channels linearly: do few weights suffice? The two quadratic layers apply
forms y_o = aᵀ M_o a to the normalised channel vector a, as a circuit does (arXiv 2412.01241; see
`QuantumPointwiseConv2d`): does it take a circuit to choose the forms?

Letters: B batch, C channels, O output channels, H, W pixels, R rank.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from qbackend.gradients.torch_circuit import unit_vectors
from qbackend.layers.inputs import in_float32_or_float64
from qbackend.pixels.channel_forms import channel_forms, pack

Stride = tuple[int, int]


class LowRankPointwise(nn.Sequential):
    """A 1x1 convolution of rank R: (B, C, H, W) -> (B, O, H', W'), with R (C + O) weights."""

    def __init__(
        self, in_channels: int, out_channels: int, rank: int, stride: Stride = (1, 1)
    ) -> None:
        super().__init__(
            nn.Conv2d(in_channels, rank, 1, stride, bias=False),
            nn.Conv2d(rank, out_channels, 1, bias=False),
        )


def grouped_pointwise(
    in_channels: int, out_channels: int, n_weights: int, stride: Stride = (1, 1)
) -> nn.Conv2d:
    """The grouped 1x1 convolution whose number of weights, C O / groups, is nearest to `n_weights`.

    Nearest in ratio, of the numbers of groups that divide both C and O.
    """
    everything = in_channels * out_channels
    common = math.gcd(in_channels, out_channels)
    groups = min(
        (n for n in range(1, common + 1) if common % n == 0),
        key=lambda n: abs(math.log(everything / n / n_weights)),
    )
    return nn.Conv2d(in_channels, out_channels, 1, stride, groups=groups, bias=False)


class QuadraticPointwise(nn.Module):
    """A free symmetric form per output channel, on the normalised channel vector.

    (B, C, H, W) -> (B, O, H', W'), with O C (C + 1) / 2 weights. Every function of a quantum
    pointwise convolution is among its functions, whatever the circuit and its depth.

    Attributes:
        weight: (O, C (C + 1) / 2), the forms as `channel_forms` takes them.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: Stride = (1, 1)) -> None:
        super().__init__()
        self.in_channels, self.stride = in_channels, stride
        # The eigenvalues of symmetric matrices with entries of variance 1 / (4 C) fill [-1, 1]
        # (Wigner's semicircle), where a Pauli observable has its own.
        forms = torch.randn(out_channels, in_channels, in_channels) / math.sqrt(4 * in_channels)
        self.weight = nn.Parameter(pack(forms))

    def forward(self, images: Tensor) -> Tensor:
        vertical, horizontal = self.stride
        taken = images[:, :, ::vertical, ::horizontal]
        with torch.autocast(images.device.type, enabled=False):
            features = in_float32_or_float64("the images", taken.flatten(2))
            maps = channel_forms(features.to(self.weight), self.weight)
        return maps.to(images.dtype).unflatten(2, taken.shape[2:])

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {len(self.weight)}, stride={self.stride}"


class LowRankQuadraticPointwise(nn.Module):
    """Forms M_o = Σ_r w_or p_r p_rᵀ on the normalised channel vector, with R vectors p_r in common.

    (B, C, H, W) -> (B, O, H', W'), with R (C + O) weights: a `LowRankPointwise` that normalises
    before and squares between its two convolutions.
    """

    def __init__(
        self, in_channels: int, out_channels: int, rank: int, stride: Stride = (1, 1)
    ) -> None:
        super().__init__()
        self.directions = nn.Conv2d(in_channels, rank, 1, stride, bias=False)
        self.mixture = nn.Conv2d(rank, out_channels, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        features = in_float32_or_float64("the images", images)
        units = unit_vectors(features, dim=1).to(images.dtype)
        return self.mixture(self.directions(units).square())
