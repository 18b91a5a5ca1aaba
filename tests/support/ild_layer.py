"""Input dropout as one layer on whole inputs, as the paper draws it (Fig. 4): what training and serving are held to."""

import torch
from torch import Tensor

from model.channels import SLICES

SCALES = {4: 1.0, 3: 4 / 3, 2: 2.0, 1: 4.0}
"""By the number of sequences left: 1/(1-p), p the proportion dropped."""


def drop_sequences(inputs: Tensor, present: Tensor) -> Tensor:
    """Zero the absent sequences of (N, 20, H, W) by (N, 4) bool, whatever they held, and scale the others."""
    scale = torch.tensor([SCALES[int(kept)] for kept in present.sum(dim=1)])
    absent = ~present.repeat_interleave(SLICES, dim=1)
    return (inputs * scale[:, None, None, None]).masked_fill(absent[:, :, None, None], 0.0)
