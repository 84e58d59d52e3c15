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

import torch
from torch import Tensor, nn
from torchvision.models import MobileNetV2, ResNet
from torchvision.models.resnet import BasicBlock

from .blocks import AveragePool

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

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        depthwise = nn.Conv2d(
            in_channels, in_channels, 3, stride, padding=1, groups=in_channels, bias=False
        )
        layers: list[tuple[str, nn.Module]] = [
            ("depthwise", depthwise),
            ("depthwise_norm", nn.BatchNorm2d(in_channels)),
            ("depthwise_relu", nn.ReLU()),
            ("pointwise", nn.Conv2d(in_channels, out_channels, 1, bias=False)),
            ("pointwise_norm", nn.BatchNorm2d(out_channels)),
            ("pointwise_relu", nn.ReLU()),
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
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        stem: int,
        stages: Sequence[tuple[int, int]],
        pooled: int = 2,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
        )
        self.stages = nn.Sequential()
        channels = stem
        for wider, stride in stages:
            self.stages.append(PointwiseStage(channels, wider, stride))
            channels = wider
        self.pool = nn.Sequential(AveragePool(pooled), nn.Flatten())
        self.head = nn.Linear(channels * pooled**2, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        # A pixel's channels then lie side by side, as the 1x1 convolutions read them.
        images = images.to(memory_format=torch.channels_last)
        return self.head(self.pool(self.stages(self.stem(images))))


def qpcnn_s(in_channels: int, n_classes: int) -> PointwiseCNN:
    """Pointwise convolutions 16 to 32 and 32 to 64, at a quarter and an eighth of the side."""
    return PointwiseCNN(in_channels, n_classes, stem=16, stages=((32, 2), (64, 2)))


def qpcnn_m(in_channels: int, n_classes: int) -> PointwiseCNN:
    """Pointwise convolutions 32 to 64, 64 to 128 and 128 to 128, from half of the side to an
    eighth."""
    return PointwiseCNN(in_channels, n_classes, stem=32, stages=((64, 1), (128, 2), (128, 2)))


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
