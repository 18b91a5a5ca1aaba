"""How wrong an answer is: Tversky loss and weighted cross-entropy (Salehi et al. 2017; Abraham and Khan 2019).

The Tversky index is taken over the whole batch, or of each crop by itself and then averaged: a lesion of 3 mm then
counts as much as one of 30 mm, and a false object in a crop without lesion as much as a missed one, as in the paper's
means over patients. Called by training/train.
"""

from torch import Tensor
from torch.nn import functional

from training.configuration import Configuration, TverskyOver

SMOOTH_PX = {TverskyOver.BATCH: 20.0, TverskyOver.CROP: 6.0}
"""Added to both sides of the index: about one small lesion, or a slice of one."""


def lesion_loss(logit: Tensor, target: Tensor, configuration: Configuration) -> Tensor:
    """(N, 1, H, W) logit and target -> a scalar."""
    logit = logit.float()
    probability = logit.sigmoid()
    over = configuration.tversky_over
    axes = (0, 1, 2, 3) if over is TverskyOver.BATCH else (1, 2, 3)
    hit = (probability * target).sum(dim=axes)
    missed = ((1 - probability) * target).sum(dim=axes)
    false = (probability * (1 - target)).sum(dim=axes)
    alpha, smooth = configuration.tversky_alpha, SMOOTH_PX[over]
    index = (hit + smooth) / (hit + alpha * missed + (1 - alpha) * false + smooth)
    tversky = ((1 - index).clamp(min=1e-6) ** configuration.tversky_gamma).mean()
    weight = target.new_tensor(configuration.positive_weight)
    entropy = functional.binary_cross_entropy_with_logits(logit, target, pos_weight=weight)
    return tversky + configuration.cross_entropy * entropy
