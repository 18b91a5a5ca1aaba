"""The input-level dropout (ILD) of the paper: whole sequences are dropped, and what is left is scaled.

Grøvik et al. 2021, Methods and Fig. 4: all five slices of a sequence are zeroed or none, 0 to 3 of the 4 sequences,
never all; the input is multiplied by 1/(1-p), p the proportion dropped, in training and in inference alike. With n
sequences left the scale is 4/n: 1, 4/3, 2 or 4. The law by which subsets are drawn is left open there: a setting here.

Called by training/sampling, which draws and scales, and by worker/inference/predict, which scales what a study holds.
Both leave zeros where a sequence is not there and never compute with what it held, so the network has no such layer.
tests/support/ild_layer.py is the layer as the paper has it, and tests hold both to it. Knows tensors only.
"""

from collections.abc import Sequence
from enum import StrEnum

import torch
from torch import Tensor, nn

from model.channels import SEQUENCES
from model.subsets import all_subsets

KEEP_PROBABILITY = (0.75, 0.75, 0.75, 0.75)
"""Of each sequence under `SubsetLaw.BERNOULLI`, unless training says otherwise: Bernoulli(1/4) drops."""


class SubsetLaw(StrEnum):
    """How the subset of a training sample is drawn."""

    UNIFORM = "uniform"
    """Each subset of what is available that is not empty is as likely as another: .07/.27/.40/.27 for 0-3 dropped."""
    COUNT = "count"
    """First how many stay, each number as likely, then which: .25/.25/.25/.25. Full studies are trained on most."""
    BERNOULLI = "bernoulli"
    """Each sequence drops by itself, and one is kept where all would drop: .32/.42/.21/.05 for 0-3 dropped at 1/4 each.

    A sequence that sites often lack can drop more often than the others.
    """
    NONE = "none"
    """Nothing is dropped and nothing is scaled: the comparator of the paper."""


def kept_scale(present: Tensor) -> Tensor:
    """(N, 4) bool -> (N,) float32: 4/n, what the n sequences left are multiplied by. Raises ValueError for none."""
    kept = present.sum(dim=1)
    if bool((kept == 0).any()):
        raise ValueError("a sample without any sequence cannot be processed: at least one of four must be present")
    return len(SEQUENCES) / kept


def draw_subsets(
    law: SubsetLaw, available: Tensor, generator: torch.Generator, keep: Sequence[float] = KEEP_PROBABILITY
) -> Tensor:
    """Draw which sequences stay, for each sample of `available` (N, 4) bool (on the CPU) -> (N, 4) bool, never none.

    `keep` holds each sequence's probability to stay under `SubsetLaw.BERNOULLI`; the other laws do not read it.
    """
    if law is SubsetLaw.NONE:
        return available.clone()
    if law is SubsetLaw.BERNOULLI:
        return _bernoulli(available, generator, keep)
    subsets = torch.tensor(all_subsets())
    weight = (~subsets[None] | available[:, None]).all(dim=2).float()
    if law is SubsetLaw.COUNT:
        sizes = nn.functional.one_hot(subsets.sum(dim=1)).float()
        alike = weight @ sizes @ sizes.T
        weight = weight / alike.clamp(min=1)
    return subsets[torch.multinomial(weight, 1, generator=generator)[:, 0]]


def _bernoulli(available: Tensor, generator: torch.Generator, keep: Sequence[float]) -> Tensor:
    kept = available & (torch.rand(available.shape, generator=generator) < torch.tensor(keep))
    rescued = torch.multinomial(available.float(), 1, generator=generator)
    none_left = ~kept.any(dim=1, keepdim=True)
    return torch.where(none_left, torch.zeros_like(kept).scatter(1, rescued, True), kept)
