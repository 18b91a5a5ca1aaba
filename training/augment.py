"""Random changes of a batch, so that a network trained on synthetic patients meets real scanners without surprise.

Geometry is one for all sequences of a sample, but for a small shift of each (misregistration); intensities change for
each sequence by itself. Zeros stay zeros. A batch comes as its series, one row for each sequence that a sample keeps:
what input dropout removes is not worked on. Called by training/sampling. Intensities are medians of the deep brain.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from training.configuration import Augmentation

AIR = 0.12
"""Medians below which a voxel counts as air."""
FAINT = 0.01
"""Medians below which a voxel counts as a zero: interpolation bleeds a little of its neighbours into it."""


def augment(
    series: Tensor,
    owner: Tensor,
    target: Tensor,
    brain: Tensor,
    law: Augmentation,
    size: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Change a batch of N samples with K series among them; `series` is used up.

    `series` (K, 5, R, R) of the samples `owner` (K,), `target` (N, 1, R, R), `brain` (N, 5, R, R; -1 where unknown) ->
    series (K, 5, size, size) and target (N, 1, size, size).
    """
    stripped = _chosen((len(brain),), law.strip, generator).tolist()
    airless = _chosen((len(brain),), law.mask_air, generator).tolist()
    cut = {at: _beyond(brain[at], law.strip_margin_px, generator) for at, chosen in enumerate(stripped) if chosen}
    grid = _grid(target, law, size, generator)
    shift = _shift(owner, len(target), law, target.shape[-1], generator)
    changed = torch.empty(len(series), series.shape[1], size, size)
    for row, sample in enumerate(owner.tolist()):  # one by one: a series fits the processor's cache, a batch does not
        one = series[row]
        if stripped[sample]:
            one.masked_fill_(cut[sample], 0.0)
        if airless[sample]:
            one.masked_fill_(one < AIR, 0.0)
        one = functional.grid_sample(one[None], grid[sample][None] + shift[row], align_corners=False)[0]
        empty = one < FAINT
        one = _intensity(_resolution(one, law, generator), law, generator)
        torch.clamp(one, min=FAINT, out=changed[row]).masked_fill_(empty, 0.0)
    mask = functional.grid_sample(target, grid, align_corners=False)
    return changed, (mask > 0.5).float()


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def _number(low: float, high: float, generator: torch.Generator) -> float:
    return float(_uniform((), low, high, generator))


def _chosen(shape: tuple[int, ...], probability: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) < probability


def _happens(probability: float, generator: torch.Generator) -> bool:
    return bool(_chosen((), probability, generator))


def _beyond(brain: Tensor, margin_px: int, generator: torch.Generator) -> Tensor:
    """Where stripping cuts (5, R, R): beyond the brain and a ragged margin around it; nowhere where it is unknown."""
    if not margin_px or bool((brain < 0).any()):
        return brain == 0
    near = functional.avg_pool2d(brain, 2 * margin_px + 1, 1, margin_px, count_include_pad=False)
    knots = torch.randn(1, 1, 12, 12, generator=generator) * 0.1
    ragged = functional.interpolate(knots, size=brain.shape[-2:], mode="bilinear", align_corners=True)[0]
    return (brain == 0) & (near <= (ragged + _number(0.0, 0.6, generator)).clamp(min=0.0))


def _grid(target: Tensor, law: Augmentation, size: int, generator: torch.Generator) -> Tensor:
    """(N, size, size, 2): where each pixel of a changed sample comes from."""
    count, read = len(target), target.shape[-1]
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
    return functional.affine_grid(matrix, [count, 1, size, size], align_corners=False)


def _shift(owner: Tensor, samples: int, law: Augmentation, read: int, generator: torch.Generator) -> Tensor:
    """(K, 2): misregistration of each series, in half of the samples."""
    shift = torch.randn(len(owner), 2, generator=generator) * (law.misregistration_px * 2 / read)
    moved: Tensor = shift * _chosen((samples, 1), 0.5, generator)[owner]
    return moved


def _resolution(ratio: Tensor, law: Augmentation, generator: torch.Generator) -> Tensor:
    """Blur, coarse pixels and thick slices of one series (5, H, W)."""
    if _happens(law.thick, generator):
        ratio.lerp_(_smooth_through(ratio), _number(0.4, 1.0, generator))
    if _happens(law.blur, generator):
        ratio.lerp_(functional.avg_pool2d(ratio, 3, 1, 1), _number(0.2, 1.0, generator))
    if _happens(law.coarse, generator):
        factor = _number(1.3, 2.5, generator)
        small = functional.interpolate(ratio[None], scale_factor=1 / factor, mode="area")
        ratio = functional.interpolate(small, size=ratio.shape[-2:], mode="bilinear")[0]
    return ratio


def _smooth_through(ratio: Tensor) -> Tensor:
    """Mean of each slice of (5, H, W) with its neighbours."""
    before = torch.cat([ratio[:1], ratio[:-1]])
    after = torch.cat([ratio[1:], ratio[-1:]])
    return (before + ratio + after) / 3


def _intensity(ratio: Tensor, law: Augmentation, generator: torch.Generator) -> Tensor:
    """Gamma, contrast, gain, bias field and noise of one series (5, H, W), in place."""
    if _happens(0.5, generator):
        gamma = math.exp(_number(math.log(law.gamma[0]), math.log(law.gamma[1]), generator))
        ratio.clamp_(min=1e-3).pow_(gamma)
    field = torch.randn(1, 1, 4, 4, generator=generator) * law.bias
    bias = functional.interpolate(field, size=ratio.shape[-2:], mode="bilinear", align_corners=True)[0].exp_()
    contrast = _number(*law.contrast, generator)
    ratio.mul_(contrast).add_(1 - contrast).mul_(bias.mul_(_number(*law.gain, generator)))
    if _happens(0.5, generator):
        ratio.add_(torch.randn(ratio.shape, generator=generator), alpha=_number(0.0, law.noise, generator))
    return ratio
