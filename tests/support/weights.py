"""Folders of weights with random numbers in them: the form is real, the findings are not."""

from pathlib import Path

import torch

from model.card import Card
from model.channels import SLICES
from model.checkpoint import save
from model.input_dropout import SubsetLaw
from model.network import build
from model.subsets import all_subsets, subset_name


def random_card(**changes: object) -> Card:
    """A card of random weights; `changes` are fields of it."""
    fields: dict[str, object] = {
        "name": "random",
        "version": "0",
        "architecture": "quartet_light",
        "subset_law": SubsetLaw.UNIFORM,
        "thresholds": {subset_name(flags): 0.5 for flags in all_subsets()},
        "threshold_rule": "none",
    }
    return Card(**{**fields, **changes})  # type: ignore[arg-type]


def random_weights(folder: Path, **changes: object) -> Card:
    """Write random weights, the same for each call, whose statistics of normalisation are not trivial."""
    torch.manual_seed(3)
    card = random_card(**changes)
    network = build(card.architecture, SLICES * len(card.sequences))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)  # type: ignore[operator, union-attr]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[operator, union-attr]
    return save(folder, network, card)
