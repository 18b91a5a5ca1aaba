"""Networks by name: shapes, cost, and a torchvision whose operators do not load."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from model.network import ARCHITECTURES, build
from model.torchvision_import import segmentation_models


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("channels", [20, 15])
def test_five_slices_in_one_logit_out(name, channels):
    with torch.inference_mode():
        assert build(name, channels).eval()(torch.zeros(1, channels, 64, 64)).shape == (1, 1, 64, 64)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="quartet_light"):
        build("unet")


@pytest.mark.parametrize(("name", "flops", "parameters"), [("quartet_light", 3e9, 1e6), ("quartet_wide", 7e9, 2e6)])
def test_the_light_networks_stay_light(name, flops, parameters):
    network = build(name).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        network(torch.zeros(1, 20, 256, 256))
    assert counted.get_total_flops() < flops
    assert sum(p.numel() for p in network.parameters()) < parameters


def test_torchvision_imports_here():
    assert hasattr(segmentation_models(), "deeplabv3_resnet50")
    assert segmentation_models() is segmentation_models()
