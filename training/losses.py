"""How wrong an answer is: Tversky loss and weighted cross-entropy (Salehi et al. 2017; Abraham and Khan 2019).

The Tversky index is taken over the whole batch: most crops hold no lesion, and an index of none means nothing.
Called by training/train.
"""

from torch import Tensor
from torch.nn import functional

from training.configuration import Configuration

SMOOTH_PX = 20.0
"""Added to both sides of the index: about one small lesion."""


def lesion_loss(logit: Tensor, target: Tensor, configuration: Configuration) -> Tensor:
    """(N, 1, H, W) logit and target -> a scalar."""
    logit = logit.float()
    probability = logit.sigmoid()
    hit = (probability * target).sum()
    missed = ((1 - probability) * target).sum()
    false = (probability * (1 - target)).sum()
    alpha = configuration.tversky_alpha
    index = (hit + SMOOTH_PX) / (hit + alpha * missed + (1 - alpha) * false + SMOOTH_PX)
    tversky = (1 - index).clamp(min=1e-6) ** configuration.tversky_gamma
    weight = target.new_tensor(configuration.positive_weight)
    entropy = functional.binary_cross_entropy_with_logits(logit, target, pos_weight=weight)
    return tversky + configuration.cross_entropy * entropy
