"""Where the head is in a volume, by classical means: quick, for every contrast, with and without skull.

Called by resample (what to centre on), register (where to look), quality, and by the pipeline, which keeps detections
inside the head. Knows voxels and spacings only.
"""

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from worker.volume.geometry import Float32, Volume

_WORKING_MM = 3.0
"""Masks are found at about this spacing: fine enough for a head, and a fifth of a second."""
_CLOSING_MM = 9.0
"""Dark bone, sinuses and CSF between bright tissue are closed over up to about this width."""


def head_mask(volume: Volume) -> NDArray[np.bool_]:
    """(Z, Y, X) bool: the largest bright body with its holes filled; all False where nothing stands out.

    With a skull it is the head with the scalp, skull-stripped it is the brain.
    """
    factors = tuple(max(1, round(_WORKING_MM / s)) for s in reversed(volume.grid.spacing_mm_xyz))
    small = block_mean(volume.voxels, factors)
    spacing_mm = [s * f for s, f in zip(reversed(volume.grid.spacing_mm_xyz), factors, strict=True)]
    mask = _body(small, spacing_mm)
    for axis, factor in enumerate(factors):
        mask = np.repeat(mask, factor, axis=axis)
    z, y, x = volume.voxels.shape
    return np.ascontiguousarray(mask[:z, :y, :x])


def block_mean(voxels: Float32, factors: tuple[int, ...]) -> Float32:
    """Mean over blocks of `factors` voxels (Z, Y, X); blocks at the far edges may be smaller."""
    result: Float32 = voxels
    for axis, factor in enumerate(factors):
        if factor > 1:
            starts = np.arange(0, result.shape[axis], factor)
            counts = np.diff(np.append(starts, result.shape[axis]))
            shape = [1, 1, 1]
            shape[axis] = -1
            sums = np.add.reduceat(result, starts, axis=axis, dtype=np.float32)
            result = (sums / counts.reshape(shape)).astype(np.float32)
    return np.ascontiguousarray(result, dtype=np.float32)


def foreground_threshold(voxels: Float32) -> float:
    """Between background and tissue (Otsu over the values below the 99th percentile, halved: dark tissue is tissue)."""
    top = float(np.percentile(voxels, 99))
    bottom = float(voxels.min())
    if not top > bottom:
        return top
    counts, edges = np.histogram(np.clip(voxels, bottom, top), bins=128)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    best = float(centres[int(np.nanargmax(np.where(above > 0, between, np.nan)))])
    return bottom + 0.5 * (best - bottom)


def _body(small: Float32, spacing_mm: list[float]) -> NDArray[np.bool_]:
    finite = np.nan_to_num(small, nan=0.0, posinf=0.0, neginf=0.0)
    bright = finite > foreground_threshold(finite)
    if not bright.any() or bright.all():
        return np.zeros(small.shape, dtype=bool)
    radius = [max(1, round(_CLOSING_MM / 2 / s)) for s in spacing_mm]
    padded = np.pad(bright, [(r, r) for r in radius])
    ball = _ball(radius)
    closed = ndi.binary_closing(ndi.binary_opening(padded, ndi.generate_binary_structure(3, 1)), ball)
    labels, count = ndi.label(closed)
    if count == 0:
        return np.zeros(small.shape, dtype=bool)
    largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    for axis in range(3):
        for plane in range(largest.shape[axis]):
            index = tuple(plane if a == axis else slice(None) for a in range(3))
            largest[index] = ndi.binary_fill_holes(largest[index])
    z, y, x = radius
    body: NDArray[np.bool_] = largest[z:-z, y:-y, x:-x]
    return body


def _ball(radius: list[int]) -> NDArray[np.bool_]:
    z, y, x = (np.arange(-r, r + 1) / (r + 0.5) for r in radius)
    within: NDArray[np.bool_] = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= 1.0
    return within
