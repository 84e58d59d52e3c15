"""Networks whose 1x1 convolutions can be exchanged, all built with classical ones.

`qpcnn-s` and `qpcnn-m` are small stacks of 3x3 depthwise and 1x1 convolutions in the style of
MobileNet (arXiv 1704.04861); MobileNetV2 (arXiv 1801.04381) and ResNet-18 (arXiv 1512.03385) are
torchvision's in the form that is usual for images of 32x32 pixels
(https://github.com/kuangliu/pytorch-cifar). None of them claims to be the network of
arXiv 2412.01241, which is not public.

Letters: B batch, C channels, H, W pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torchvision.models import MobileNetV2, ResNet
from torchvision.models.resnet import BasicBlock

from qbackend.errors import OptionError

from .blocks import ACTIVATIONS, AveragePool

MOBILENET_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks, stride: the paper's but for the second stage's stride of 2."""


class PointwiseStage(nn.Sequential):
    """A depthwise 3x3 and a pointwise convolution, each with BatchNorm and ReLU.

    (B, C, H, W) -> (B, `out_channels`, H', W'); the stride is the depthwise convolution's.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, activation: str = "relu"
    ) -> None:
        act = ACTIVATIONS[activation]
        depthwise = nn.Conv2d(
            in_channels, in_channels, 3, stride, padding=1, groups=in_channels, bias=False
        )
        layers: list[tuple[str, nn.Module]] = [
            ("depthwise", depthwise),
            ("depthwise_norm", nn.BatchNorm2d(in_channels)),
            ("depthwise_relu", act()),
            ("pointwise", nn.Conv2d(in_channels, out_channels, 1, bias=False)),
            ("pointwise_norm", nn.BatchNorm2d(out_channels)),
            ("pointwise_relu", act()),
        ]
        super().__init__(OrderedDict(layers))


class PointwiseCNN(nn.Module):
    """Images to logits through a 3x3 convolution of stride 2, stages, a pool and a linear head.

    (B, C, H, W) -> (B, classes) for any H and W.

    Args:
        in_channels: of an image.
        n_classes: number of logits.
        stem: channels behind the first convolution.
        stages: channels behind each stage, and its stride.
        pooled: side of the square that each channel is averaged to before the head.
        activation: one of `ACTIVATIONS`.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        stem: int,
        stages: Sequence[tuple[int, int]],
        pooled: int = 2,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(stem),
            ACTIVATIONS[activation](),
        )
        self.stages = nn.Sequential()
        channels = stem
        for wider, stride in stages:
            self.stages.append(PointwiseStage(channels, wider, stride, activation))
            channels = wider
        self.pool = nn.Sequential(AveragePool(pooled), nn.Flatten())
        self.head = nn.Linear(channels * pooled**2, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        # A pixel's channels then lie side by side, as the 1x1 convolutions read them.
        images = images.to(memory_format=torch.channels_last)
        return self.head(self.pool(self.stages(self.stem(images))))


@dataclass(frozen=True)
class PointwiseStages:
    """Makes a `PointwiseCNN`, whose arguments these are.

    Attributes:
        channels: behind the stem, and behind each stage.
        strides: of the stages; those beyond have 1.
        depth: convolutions of each stage, of which the first has its stride.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    depth: int = 1
    pooled: int = 2
    activation: str = "relu"

    keys: ClassVar[tuple[str, ...]] = ("channels", "depth", "pooled", "activation")

    def __post_init__(self) -> None:
        if len(self.channels) < 2:
            raise OptionError(
                "channels: name those behind the first convolution and behind each stage, at "
                f"least two numbers, got {list(self.channels)}"
            )

    def __call__(self, in_channels: int, n_classes: int) -> PointwiseCNN:
        stem, *widths = self.channels
        strides = (*self.strides, *(1,) * len(widths))
        firsts = zip(widths, strides, strict=False)
        stages = [
            (width, stride if place == 0 else 1)
            for width, stride in firsts
            for place in range(self.depth)
        ]
        return PointwiseCNN(
            in_channels,
            n_classes,
            stem=stem,
            stages=stages,
            pooled=self.pooled,
            activation=self.activation,
        )


qpcnn_s = PointwiseStages((16, 32, 64), (2, 2))
"""Pointwise convolutions 16 to 32 and 32 to 64, at a quarter and an eighth of the side."""

qpcnn_m = PointwiseStages((32, 64, 128, 128), (1, 2, 2))
"""Pointwise convolutions 32 to 64, 64 to 128 and 128 to 128, from half of the side to an eighth."""


def mobilenet_v2(in_channels: int, n_classes: int) -> MobileNetV2:
    """Torchvision's MobileNetV2 without the strides of its stem and of its second stage."""
    network = MobileNetV2(n_classes, inverted_residual_setting=[list(s) for s in MOBILENET_STAGES])
    network.features[0][0] = _stem(in_channels, 32)
    return network.to(memory_format=torch.channels_last)


def resnet18(in_channels: int, n_classes: int) -> ResNet:
    """Torchvision's ResNet-18 with a 3x3 stem of stride 1 and without the first max-pool."""
    network = ResNet(BasicBlock, [2, 2, 2, 2], n_classes)
    network.conv1 = _stem(in_channels, 64)
    network.maxpool = nn.Identity()
    return network.to(memory_format=torch.channels_last)


def _stem(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3x3 convolution, initialised as torchvision initialises the others of both networks."""
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    return convolution
