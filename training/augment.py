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
    """Change a batch of N samples with K series among them.

    `series` (K, 5, R, R) of the samples `owner` (K,), `target` (N, 1, R, R), `brain` (N, 5, R, R; -1 where unknown) ->
    series (K, 5, size, size) and target (N, 1, size, size).
    """
    series = _mask(series, owner, brain, law, generator)
    series, target = _move(series, owner, target, law, size, generator)
    empty = series < FAINT
    series = _resolution(series, law, generator)
    series = _intensity(series, law, generator)
    return series.clamp_(min=FAINT).masked_fill_(empty, 0.0), target


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def _chosen(shape: tuple[int, ...], probability: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) < probability


def _rows(count: int, probability: float, generator: torch.Generator) -> list[int]:
    rows: list[int] = _chosen((count,), probability, generator).nonzero()[:, 0].tolist()
    return rows


def _mask(series: Tensor, owner: Tensor, brain: Tensor, law: Augmentation, generator: torch.Generator) -> Tensor:
    """Skull stripping and masked air, as some sites and public sets deliver; for all series of a sample alike."""
    stripped = _chosen((len(brain),), law.strip, generator)
    airless = _chosen((len(brain),), law.mask_air, generator)
    for row, sample in enumerate(owner.tolist()):
        if stripped[sample]:
            series[row].masked_fill_(brain[sample] == 0, 0.0)
        if airless[sample]:
            series[row].masked_fill_(series[row] < AIR, 0.0)
    return series


def _move(
    series: Tensor, owner: Tensor, target: Tensor, law: Augmentation, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
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
    grid = functional.affine_grid(matrix, [count, 1, size, size], align_corners=False)
    shift = torch.randn(len(series), 2, generator=generator) * (law.misregistration_px * 2 / read)
    shift = shift * _chosen((count, 1), 0.5, generator)[owner]
    moved = functional.grid_sample(series, grid[owner] + shift[:, None, None, :], align_corners=False)
    mask = functional.grid_sample(target, grid, align_corners=False)
    return moved, (mask > 0.5).float()


def _resolution(series: Tensor, law: Augmentation, generator: torch.Generator) -> Tensor:
    """Blur, coarse pixels and thick slices, each series by itself."""
    count = len(series)
    thickness = _uniform((count,), 0.4, 1.0, generator)
    for row in _rows(count, law.thick, generator):
        series[row].lerp_(_smooth_through(series[row]), float(thickness[row]))
    softness = _uniform((count,), 0.2, 1.0, generator)
    for row in _rows(count, law.blur, generator):
        series[row].lerp_(functional.avg_pool2d(series[row], 3, 1, 1), float(softness[row]))
    for row in _rows(count, law.coarse, generator):
        factor = float(_uniform((1,), 1.3, 2.5, generator))
        small = functional.interpolate(series[row][None], scale_factor=1 / factor, mode="area")
        series[row] = functional.interpolate(small, size=series.shape[-2:], mode="bilinear")[0]
    return series


def _smooth_through(ratio: Tensor) -> Tensor:
    """Mean of each slice of (5, H, W) with its neighbours."""
    before = torch.cat([ratio[:1], ratio[:-1]])
    after = torch.cat([ratio[1:], ratio[-1:]])
    return (before + ratio + after) / 3


def _intensity(series: Tensor, law: Augmentation, generator: torch.Generator) -> Tensor:
    count, _, height, width = series.shape
    gamma = _uniform((count,), math.log(law.gamma[0]), math.log(law.gamma[1]), generator).exp()
    contrast = _uniform((count, 1, 1, 1), *law.contrast, generator)
    gain = _uniform((count, 1, 1, 1), *law.gain, generator)
    field = torch.randn(count, 1, 4, 4, generator=generator) * law.bias
    bias = functional.interpolate(field, size=(height, width), mode="bilinear", align_corners=True).exp_()
    for row in _rows(count, 0.5, generator):
        series[row].clamp_(min=1e-3).pow_(float(gamma[row]))
    series.sub_(1).mul_(contrast).add_(1).mul_(bias.mul_(gain))
    level = _uniform((count,), 0.0, law.noise, generator)
    for row in _rows(count, 0.5, generator):
        series[row].add_(torch.randn(series.shape[1:], generator=generator), alpha=float(level[row]))
    return series
