"""Random changes of a batch, so that a network trained on synthetic patients meets real scanners without surprise.

Geometry is one for all sequences, but for a small shift of each (misregistration); intensities change for each sequence
by itself. Zeros stay zeros. Called by training/sampling. Intensities are medians of the deep brain.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from model.channels import SEQUENCES
from training.configuration import Augmentation

AIR = 0.12
"""Medians below which a voxel counts as air."""
FAINT = 0.01
"""Medians below which a voxel counts as a zero: interpolation bleeds a little of its neighbours into it."""


def augment(
    ratio: Tensor, target: Tensor, brain: Tensor, law: Augmentation, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """(N, 4, 5, R, R), (N, 1, R, R) and brain (N, 5, R, R; -1 where unknown) -> the first two at size x size."""
    ratio = _misfile(_mask(ratio, brain, law, generator), law, generator)
    ratio, target = _move(ratio, target, law, size, generator)
    empty = ratio < FAINT
    ratio = _resolution(ratio, law, generator)
    ratio = _intensity(ratio, law, generator)
    return ratio.clamp_(min=FAINT).masked_fill_(empty, 0.0), target


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def _chosen(shape: tuple[int, ...], probability: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) < probability


def _mask(ratio: Tensor, brain: Tensor, law: Augmentation, generator: torch.Generator) -> Tensor:
    """Skull stripping and masked air, as some sites and public sets deliver."""
    count = ratio.shape[0]
    for sample in _chosen((count,), law.strip, generator).nonzero()[:, 0].tolist():
        ratio[sample].masked_fill_((brain[sample] == 0)[None], 0.0)
    for sample in _chosen((count,), law.mask_air, generator).nonzero()[:, 0].tolist():
        ratio[sample].masked_fill_(ratio[sample] < AIR, 0.0)
    return ratio


def _misfile(ratio: Tensor, law: Augmentation, generator: torch.Generator) -> Tensor:
    """Exchange the two post-Gd sequences of some samples: sites call them as they like, and sets do not say."""
    gradient_echo, spin_echo = SEQUENCES.index("BRAVO"), SEQUENCES.index("POST_CUBE")
    for sample in _chosen((ratio.shape[0],), law.misfiled, generator).nonzero()[:, 0].tolist():
        pair = ratio[sample, [gradient_echo, spin_echo]]
        if bool(pair.flatten(1).any(dim=1).all()):
            ratio[sample, [spin_echo, gradient_echo]] = pair
    return ratio


def _move(
    ratio: Tensor, target: Tensor, law: Augmentation, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    count, sequences, _, read, _ = ratio.shape
    angle = _uniform((count,), -law.rotation_deg, law.rotation_deg, generator) * (math.pi / 180)
    scale = _uniform((count,), *law.scale, generator)
    stretch = _uniform((count,), 1 - law.anisotropy, 1 + law.anisotropy, generator)
    mirror = 1 - 2 * _chosen((count,), law.flip, generator).float()
    zoom = size / read / scale
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0] = mirror * zoom * stretch * angle.cos()
    matrix[:, 0, 1] = -mirror * zoom * angle.sin()
    matrix[:, 1, 0] = zoom * stretch * angle.sin()
    matrix[:, 1, 1] = zoom * angle.cos()
    grid = functional.affine_grid(matrix, [count, 1, size, size], align_corners=False)
    shift = torch.randn(count, sequences, 2, generator=generator) * (law.misregistration_px * 2 / read)
    shift = shift * _chosen((count, 1, 1), 0.5, generator)
    apart = (grid[:, None] + shift[:, :, None, None, :]).flatten(0, 1)
    moved = functional.grid_sample(ratio.flatten(0, 1), apart, align_corners=False).unflatten(0, (count, sequences))
    mask = functional.grid_sample(target, grid, align_corners=False)
    return moved, (mask > 0.5).float()


def _resolution(ratio: Tensor, law: Augmentation, generator: torch.Generator) -> Tensor:
    """Blur, coarse pixels and thick slices, each sequence by itself."""
    count, sequences = ratio.shape[:2]
    thickness = _uniform((count, sequences), 0.4, 1.0, generator)
    for sample, sequence in _chosen((count, sequences), law.thick, generator).nonzero().tolist():
        chosen = ratio[sample, sequence]
        chosen.lerp_(_smooth_through(chosen), float(thickness[sample, sequence]))
    softness = _uniform((count, sequences), 0.2, 1.0, generator)
    for sample, sequence in _chosen((count, sequences), law.blur, generator).nonzero().tolist():
        chosen = ratio[sample, sequence]
        chosen.lerp_(functional.avg_pool2d(chosen, 3, 1, 1), float(softness[sample, sequence]))
    for sample, sequence in _chosen((count, sequences), law.coarse, generator).nonzero().tolist():
        factor = float(_uniform((1,), 1.3, 2.5, generator))
        small = functional.interpolate(ratio[sample, sequence][None], scale_factor=1 / factor, mode="area")
        ratio[sample, sequence] = functional.interpolate(small, size=ratio.shape[-2:], mode="bilinear")[0]
    return ratio


def _smooth_through(ratio: Tensor) -> Tensor:
    """Mean of each slice of (5, H, W) with its neighbours."""
    before = torch.cat([ratio[:1], ratio[:-1]])
    after = torch.cat([ratio[1:], ratio[-1:]])
    return (before + ratio + after) / 3


def _intensity(ratio: Tensor, law: Augmentation, generator: torch.Generator) -> Tensor:
    count, sequences, _, height, width = ratio.shape
    each = (count, sequences, 1, 1, 1)
    curved = _chosen((count, sequences), 0.5, generator)
    gamma = _uniform((count, sequences), math.log(law.gamma[0]), math.log(law.gamma[1]), generator).exp()
    contrast = _uniform(each, *law.contrast, generator)
    gain = _uniform(each, *law.gain, generator)
    field = torch.randn(count * sequences, 1, 4, 4, generator=generator) * law.bias
    bias = functional.interpolate(field, size=(height, width), mode="bilinear", align_corners=True).exp_()
    factor = bias.unflatten(0, (count, sequences)) * gain
    for sample, sequence in curved.nonzero().tolist():
        ratio[sample, sequence].clamp_(min=1e-3).pow_(float(gamma[sample, sequence]))
    ratio.sub_(1).mul_(contrast).add_(1).mul_(factor)
    level = _uniform((count, sequences), 0.0, law.noise, generator)
    for sample, sequence in _chosen((count, sequences), 0.5, generator).nonzero().tolist():
        noise = torch.randn(ratio.shape[2:], generator=generator)
        ratio[sample, sequence].add_(noise, alpha=float(level[sample, sequence]))
    return ratio
