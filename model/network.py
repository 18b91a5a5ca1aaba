"""The networks: five slices of each sequence in, the logit of the centre slice out.

`build` makes each of them by name. Three are the paper's DeepLab V3 (torchvision's, with 20 input channels and one
logit); `quartet_light` and `quartet_wide` are candidates for small lesions and for processors without a GPU: see
model/light.py.
Called by model/checkpoint and training. Input dropout lies in front of a network, not in it (model/input_dropout).
"""

from typing import cast

from torch import Tensor, nn

from model.channels import CHANNELS
from model.light import LIGHT, WIDE, LightNetwork
from model.torchvision_import import segmentation_models

DEEPLABS = ("deeplabv3_resnet50", "deeplabv3_resnet101", "deeplabv3_mobilenet_v3_large")
LIGHTS = {"quartet_light": LIGHT, "quartet_wide": WIDE}
ARCHITECTURES = (*DEEPLABS, *LIGHTS)


class DeepLabV3(nn.Module):
    """torchvision's DeepLab V3 (Chen et al. 2017, output stride 8; 16 for MobileNet), without pretrained weights."""

    def __init__(self, name: str, channels: int) -> None:
        super().__init__()
        make = getattr(segmentation_models(), name)
        self.net = make(weights=None, weights_backbone=None, num_classes=1, aux_loss=False)
        first = next(m for m in self.net.backbone.modules() if isinstance(m, nn.Conv2d))
        widened = nn.Conv2d(
            channels,
            first.out_channels,
            cast("tuple[int, int]", first.kernel_size),
            cast("tuple[int, int]", first.stride),
            cast("tuple[int, int]", first.padding),
            bias=False,
        )
        _replace(self.net.backbone, first, widened)

    def forward(self, stack: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, H, W) logit."""
        logit: Tensor = self.net(stack)["out"]
        return logit


def build(name: str, channels: int = CHANNELS) -> nn.Module:
    """A network by name, freshly initialised from torch's global generator: (N, channels, H, W) -> (N, 1, H, W) logit.

    Raises ValueError for an unknown name. H and W are multiples of 8.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"no architecture {name!r}; known here: {', '.join(ARCHITECTURES)}")
    return LightNetwork(channels, LIGHTS[name]) if name in LIGHTS else DeepLabV3(name, channels)


def _replace(root: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for module in root.modules():
        for name, child in module.named_children():
            if child is old:
                setattr(module, name, new)
                return
