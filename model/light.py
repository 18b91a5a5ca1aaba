"""A DeepLab-style network for small lesions on a CPU: 2.8 GFLOP a slice of 256 x 256 x 20, or 6.2 where it is wide.

DeepLab V3 decides at 1/8 of the resolution, where a metastasis of 3 mm is less than half a cell. Here an encoder to
1/8 with atrous pyramid (Chen et al. 2017) gives the context, and a decoder with skips at 1/4 and 1/2 (Chen et al. 2018)
gives the place; the last layer writes 2 x 2 pixels of each cell at once (Shi et al. 2016). There is no pooling over the
image, so that crops and whole slices are treated alike. Which sequences hold anything is read from the input itself and
steers gain and offset of the stem: the statistics of one sequence times 4 are not those of four.
Called by model/network only.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.channels import SLICES


@dataclass(frozen=True, slots=True)
class Widths:
    """How many channels there are."""

    half: int
    """At 1/2 of the resolution."""
    quarter: int
    eighth: int
    atrous: int
    """Of each branch of the pyramid."""


LIGHT = Widths(32, 64, 96, 48)
WIDE = Widths(48, 96, 160, 64)
DILATIONS = (2, 4, 8)
"""At 1/8: 16, 32 and 64 px, so up to 12 cm of context."""
GLANCE = 4
"""Every so many pixels are looked at to tell whether a sequence holds anything; all would cost a seventh of a step."""
PRIOR_LOGIT = -4.0
"""Start of the last bias: a lesion voxel is rare."""


class LightNetwork(nn.Module):
    """(N, channels, H, W) -> (N, 1, H, W) logit; H and W multiples of 8."""

    def __init__(self, channels: int, widths: Widths = LIGHT) -> None:
        super().__init__()
        half, quarter, eighth = widths.half, widths.quarter, widths.eighth
        self.sequences = channels // SLICES
        self.stem = nn.Conv2d(channels, half, 4, stride=2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(half)
        self.steer = nn.Linear(self.sequences, 2 * half)
        self.encode_half = _conv(half, half)
        self.to_quarter = _conv(half, quarter, stride=2)
        self.encode_quarter = _Block(quarter)
        self.to_eighth = _conv(quarter, eighth, stride=2)
        self.encode_eighth = _Block(eighth)
        self.pyramid = nn.ModuleList([_conv(eighth, widths.atrous, 1)])
        self.pyramid.extend(_conv(eighth, widths.atrous, dilation=d) for d in DILATIONS)
        self.project = _conv(widths.atrous * (1 + len(DILATIONS)), quarter, 1)
        self.decode_quarter = _conv(quarter, quarter)
        self.narrow = _conv(quarter, half, 1)
        self.decode_half = _conv(half, half)
        self.head = nn.Conv2d(half, 4, 1)
        self.shuffle = nn.PixelShuffle(2)
        nn.init.zeros_(self.steer.weight)
        nn.init.zeros_(self.steer.bias)
        nn.init.constant_(_bias(self.head), PRIOR_LOGIT)

    def forward(self, stack: Tensor) -> Tensor:
        """See the class."""
        seen = stack[:, :, ::GLANCE, ::GLANCE].unflatten(1, (self.sequences, SLICES))
        filled = seen.abs().amax(dim=(2, 3, 4)) > 0
        gain, offset = self.steer(filled.to(stack.dtype))[:, :, None, None].chunk(2, dim=1)
        stem = torch.relu(self.stem_norm(self.stem(stack)) * (1 + gain) + offset)
        half = stem + self.encode_half(stem)
        quarter = self.encode_quarter(self.to_quarter(half))
        eighth = self.encode_eighth(self.to_eighth(quarter))
        context = self.project(torch.cat([branch(eighth) for branch in self.pyramid], dim=1))
        quarter = self.decode_quarter(_up(context) + quarter)
        half = self.decode_half(_up(self.narrow(quarter)) + half)
        logit: Tensor = self.shuffle(self.head(half))
        return logit


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a skip (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(features + self.second(self.first(features)))


def _conv(inputs: int, outputs: int, size: int = 3, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (size // 2)
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def _up(features: Tensor) -> Tensor:
    return nn.functional.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
