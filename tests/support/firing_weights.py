"""Weights set by hand: the network finds what is far brighter than brain in any sequence, and nothing else.

For tests of the whole node, where something must be found in a study of seconds, the same each time.
"""

from pathlib import Path

import torch
from support.weights import random_card
from torch import nn

from model.card import Card
from model.channels import SEQUENCES, SLICES
from model.checkpoint import save
from model.input_dropout import SubsetLaw
from model.light import LightNetwork

BRIGHT = 6.0
"""Encoded units (model/normalise): three times the median of the brain."""


def firing_weights(folder: Path) -> Card:
    """Write the weights into `folder`: probability above 0.99 well above `BRIGHT`, below 0.01 elsewhere."""
    network = LightNetwork(SLICES * len(SEQUENCES))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.zero_()  # type: ignore[operator, union-attr]
                module.running_var.fill_(1.0)  # type: ignore[operator, union-attr]
        _let_bright_pixels_through(network)
    return save(folder, network, random_card(name="firing", subset_law=SubsetLaw.NONE, mirror=False))


def _let_bright_pixels_through(network: LightNetwork) -> None:
    """Stem channel 4 s + k: pixel k of the 2 x 2 of a cell in sequence s, less BRIGHT; the head gives it back to k."""
    for sequence in range(len(SEQUENCES)):
        for pixel in range(4):
            channel = 4 * sequence + pixel
            row, column = divmod(pixel, 2)
            network.stem.weight[channel, SLICES * sequence + SLICES // 2, 1 + row, 1 + column] = 1.0
            network.stem_norm.weight[channel] = 1.0
            network.stem_norm.bias[channel] = -BRIGHT
            network.head.weight[pixel, channel, 0, 0] = 10.0
            convolution, norm = network.decode_half[0], network.decode_half[1]
            convolution.weight[channel, channel, 1, 1] = 1.0  # type: ignore[index, union-attr]
            norm.weight[channel] = 1.0  # type: ignore[index, union-attr]
    network.head.bias.fill_(-5.0)  # type: ignore[union-attr]
