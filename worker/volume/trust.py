"""Whether a registration can be trusted: a misaligned series is dropped with its reason, never fused (invariant 6).

Called by the pipeline after register. Pure measurement: no search of its own. Limits were set between aligned and
misaligned pairs of real and synthetic heads (tests/bench/registration.py prints both sides).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from worker.volume.alignment import Alignment
from worker.volume.geometry import Float32, Float64, Volume
from worker.volume.head import head_mask
from worker.volume.resample import coarser, resample

LARGEST_TRANSLATION_MM = 200.0
LARGEST_ROTATION_DEGREES = 60.0
"""A patient who lay down anew lies nearer than this; what is beyond is a search that got lost."""
SMALLEST_COVERAGE = 0.6
"""Part of the head of the reference that the series must show; a thick 2D FLAIR may lack the vertex."""
SMALLEST_OVERLAP = 0.7
"""Dice of both head masks within the common field of view."""
SMALLEST_PEAK = 1.12
"""Mutual information here over the best one 6 mm away. One head: 1.4 and more; another head or noise: up to 1.1."""
SMALLEST_EDGE_AGREEMENT = 0.42
"""Weighted mean of the squared cosine of both gradients. One head: .6 and more; chance: 1/3."""
LARGEST_OFFSET_MM = 1.5
"""How far away the match would be best, by a parabola through its values here and 3 mm to either side."""

_WORKING_MM = 2.0
_POINTS = 20_000
_BINS = 24
_FAR_MM, _NEAR_MM = 6.0, 3.0


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What can be measured of an alignment. Lengths in mm; the others are ratios."""

    coverage: float
    overlap: float
    peak: float
    edge_agreement: float
    offset_mm: float


def check(fixed: Volume, moving: Volume, alignment: Alignment) -> str:
    """Empty where the alignment can be trusted, else 'could not be aligned to the reference: ...'."""
    reason = _implausible(alignment) or _doubt(measure(fixed, moving, alignment))
    return f"could not be aligned to the reference: {reason}" if reason else ""


def measure(fixed: Volume, moving: Volume, alignment: Alignment) -> Evidence:
    """Measure how well both images agree under the alignment, and how much worse they do beside it."""
    still, other = coarser(fixed, _WORKING_MM), coarser(moving, _WORKING_MM)
    head, other_head = head_mask(still), head_mask(other)
    seen = _brought(np.ones_like(other.voxels), other, still, alignment.transform) > 0.5
    there = _brought(other_head.astype(np.float32), other, still, alignment.transform) > 0.5
    common = head & seen
    coverage = float(common.sum() / max(1, head.sum()))
    overlap = float(2 * (common & there).sum() / max(1, common.sum() + (there & seen).sum()))
    inner = ndi.binary_erosion(common & there, iterations=2)
    if inner.sum() < _BINS**2:
        return Evidence(coverage=coverage, overlap=overlap, peak=0.0, edge_agreement=0.0, offset_mm=float("inf"))
    brought = _brought(other.voxels, other, still, alignment.transform)
    matcher = _Matcher.of(still, other, inner, alignment.transform)
    here = matcher.information((0.0, 0.0, 0.0))
    far = max(matcher.information(shift) for shift in _shifts(_FAR_MM))
    return Evidence(
        coverage=coverage,
        overlap=overlap,
        peak=here / max(far, 1e-9),
        edge_agreement=_edge_agreement(still.voxels, brought, inner),
        offset_mm=matcher.offset_mm(here),
    )


def _implausible(alignment: Alignment) -> str:
    moved, turned = alignment.quality["translation_mm"], alignment.quality["rotation_degrees"]
    if not np.isfinite(alignment.transform).all() or moved > LARGEST_TRANSLATION_MM:
        return f"the head would have moved by {moved:.0f} mm"
    if turned > LARGEST_ROTATION_DEGREES:
        return f"the head would have turned by {turned:.0f} degrees"
    return ""


def _doubt(found: Evidence) -> str:
    if found.coverage < SMALLEST_COVERAGE:
        return f"it shows only {found.coverage:.0%} of the head that the reference shows"
    if found.overlap < SMALLEST_OVERLAP:
        return f"the outlines of the heads overlap by only {found.overlap:.0%}"
    if found.edge_agreement < SMALLEST_EDGE_AGREEMENT:
        return f"its edges agree with those of the reference by only {found.edge_agreement:.2f} (chance is 0.33)"
    if found.peak < SMALLEST_PEAK:
        return f"the match is hardly better than one 6 mm away ({found.peak:.2f} times)"
    if found.offset_mm > LARGEST_OFFSET_MM:
        return f"the match would be better {found.offset_mm:.1f} mm away"
    return ""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Matcher:
    """Mutual information between both images at fixed points, under small shifts of the reference."""

    points_mm: Float64
    ranks: NDArray[np.int64]
    """Of the reference's values at the points, in `_BINS` bins of equal size."""
    other: Volume
    transform: Float64

    @classmethod
    def of(cls, still: Volume, other: Volume, inner: NDArray[np.bool_], transform: Float64) -> "_Matcher":
        indices = np.argwhere(inner)
        indices = indices[:: max(1, len(indices) // _POINTS)]
        values = still.voxels[tuple(indices.T)]
        return cls(points_mm=still.grid.to_mm(indices), ranks=_ranks(values), other=other, transform=transform)

    def information(self, shift_mm: tuple[float, float, float]) -> float:
        """Mutual information in nat with the reference shifted by so much."""
        moved = (self.points_mm + shift_mm) @ self.transform[:3, :3].T + self.transform[:3, 3]
        at = self.other.grid.to_index(moved).T
        values = ndi.map_coordinates(self.other.voxels, at, order=1, mode="nearest")
        joint = np.bincount(self.ranks * _BINS + _ranks(values), minlength=_BINS**2).reshape(_BINS, _BINS)
        return _entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1)) - _entropy(joint.ravel())

    def offset_mm(self, here: float) -> float:
        """Length of the estimated way to the best match, axis by axis; `_NEAR_MM` and more where there is no peak."""
        along = []
        shifts = list(_shifts(_NEAR_MM))
        for ahead, behind in zip(shifts[::2], shifts[1::2], strict=True):
            plus, minus = self.information(ahead), self.information(behind)
            bend = 2 * here - plus - minus
            along.append(np.clip((plus - minus) / (2 * bend), -2, 2) if bend > 0 else 2.0)
        return float(np.linalg.norm(along) * _NEAR_MM)


def _shifts(length_mm: float) -> Iterator[tuple[float, float, float]]:
    for axis in range(3):
        for sign in (1.0, -1.0):
            x, y, z = (sign * length_mm if a == axis else 0.0 for a in range(3))
            yield x, y, z


def _brought(voxels: Float32, other: Volume, still: Volume, transform: Float64) -> Float32:
    return resample(Volume(voxels=voxels, grid=other.grid), still.grid, transform).voxels


def _ranks(values: NDArray[np.float32]) -> NDArray[np.int64]:
    edges = np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1])
    return np.searchsorted(edges, values).astype(np.int64)


def _entropy(counts: NDArray[np.int64]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def _edge_agreement(still: Float32, brought: Float32, inner: NDArray[np.bool_]) -> float:
    """Squared cosine between both gradients, weighted by how strong both are (capped at their 90th percentiles)."""
    z, y, x = ndi.find_objects(inner.astype(np.int8))[0]
    box = tuple(slice(max(0, s.start - 4), s.stop + 4) for s in (z, y, x))
    mask = inner[box]
    first, second = (_gradient(image[box])[:, mask] for image in (still, brought))
    lengths = [np.linalg.norm(gradient, axis=0) + 1e-9 for gradient in (first, second)]
    cosine = (first * second).sum(axis=0) / (lengths[0] * lengths[1])
    weight = np.prod([np.minimum(length / np.percentile(length, 90), 1.0) for length in lengths], axis=0)
    return float((weight * cosine**2).sum() / max(float(weight.sum()), 1e-9))


def _gradient(image: Float32) -> Float32:
    smooth = ndi.gaussian_filter(image, 1.0)
    return np.stack(np.gradient(smooth)).astype(np.float32)
