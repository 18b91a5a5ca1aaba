"""Whether a registration can be trusted: a misaligned series is dropped with its reason, never fused (invariant 6).

Called by the pipeline after register. Pure measurement: no search of its own. Limits were set between aligned and
misaligned pairs of real and synthetic heads (tests/bench/registration.py prints both sides).
"""

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
SMALLEST_OVERLAP = 0.6
"""Dice of both head masks within the common field of view; a brain without its skull against a whole head has .69."""
SMALLEST_EDGE_AGREEMENT = 0.54
"""Weighted mean of the squared cosine of both gradients. Real pairs of one head: .58 and more, thick slices too;
another head, or a mirrored one: .51 at most; chance: 1/3."""
SMALLEST_PEAK = 1.2
"""Agreement above chance here, over the best 6 mm away. Real pairs of one head: 1.57 and more; synthetic
ones, thick or lesioned: 1.3 and more. Alone it does not tell another head (up to 1.3): the edges do."""
LARGEST_OFFSET_MM = 1.5
"""How far away the edges would agree best, by parabolas along the axes. Aligned: up to 1.0; 2 mm off: 1.5 and more."""

_WORKING_MM = 2.0
_SMOOTHING_VOXELS = 0.7
_POINTS = 30_000
_CHANCE = 1 / 3
"""Mean squared cosine of random directions."""
_FAR_MM, _NEAR_MM = 6.0, 2.0
_ENOUGH_VOXELS = 1000


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
    reason = _implausible(alignment) or doubt(measure(fixed, moving, alignment))
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
    if inner.sum() < _ENOUGH_VOXELS:
        return Evidence(coverage=coverage, overlap=overlap, peak=0.0, edge_agreement=0.0, offset_mm=float("inf"))
    edges = _Edges.of(still, _brought(other.voxels, other, still, alignment.transform), inner)
    here = edges.agreement((0, 0, 0))
    far = max(edges.agreement(shift) for shift in edges.shifts(_FAR_MM))
    return Evidence(
        coverage=coverage,
        overlap=overlap,
        edge_agreement=here,
        peak=(here - _CHANCE) / max(far - _CHANCE, 0.02),
        offset_mm=edges.offset_mm(here),
    )


def _implausible(alignment: Alignment) -> str:
    moved, turned = alignment.quality["translation_mm"], alignment.quality["rotation_degrees"]
    if not np.isfinite(alignment.transform).all() or moved > LARGEST_TRANSLATION_MM:
        return f"the head would have moved by {moved:.0f} mm"
    if turned > LARGEST_ROTATION_DEGREES:
        return f"the head would have turned by {turned:.0f} degrees"
    return ""


def doubt(found: Evidence) -> str:
    """Why an alignment of which so much was measured cannot be trusted; empty where it can."""
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
class _Edges:
    """The gradients of both images inside the head, on the grid of the reference."""

    indices: NDArray[np.int64]
    """(N, 3): voxels looked at."""
    still: Float32
    """(3, N): gradients of the reference there."""
    brought: Float32
    """(3, Z, Y, X): gradients of the series, brought onto the grid."""
    spacing_mm_zyx: Float64

    @classmethod
    def of(cls, still: Volume, brought: Float32, inner: NDArray[np.bool_]) -> "_Edges":
        indices = np.argwhere(inner)
        indices = indices[:: max(1, len(indices) // _POINTS)]
        spacing = np.array(still.grid.spacing_mm_xyz[::-1])
        first = _gradient(still.voxels, spacing)[:, *indices.T]
        return cls(indices=indices, still=first, brought=_gradient(brought, spacing), spacing_mm_zyx=spacing)

    def agreement(self, shift_zyx: tuple[int, ...]) -> float:
        """Squared cosine between the gradients, the series shifted by whole voxels; strong edges count more, evenly
        from the 90th percentile on."""
        at = np.clip(self.indices + np.array(shift_zyx), 0, np.array(self.brought.shape[1:]) - 1)
        other = self.brought[:, *at.T]
        lengths = [np.linalg.norm(gradient, axis=0) + 1e-9 for gradient in (self.still, other)]
        weight = np.prod([np.minimum(length / np.percentile(length, 90), 1.0) for length in lengths], axis=0)
        cosine = (self.still * other).sum(axis=0) / (lengths[0] * lengths[1])
        return float((weight * cosine**2).sum() / max(float(weight.sum()), 1e-9))

    def shifts(self, length_mm: float) -> list[tuple[int, ...]]:
        """Back and forth along each axis, by about so much and at least one voxel."""
        steps = np.maximum(1, np.round(length_mm / self.spacing_mm_zyx)).astype(int)
        return [tuple(int(v) for v in sign * np.diag(steps)[axis]) for axis in range(3) for sign in (1, -1)]

    def offset_mm(self, here: float) -> float:
        """Length of the estimated way to the best agreement: two steps along an axis that has no peak."""
        along = []
        shifts = self.shifts(_NEAR_MM)
        for ahead, behind in zip(shifts[::2], shifts[1::2], strict=True):
            plus, minus = self.agreement(ahead), self.agreement(behind)
            bend = 2 * here - plus - minus
            steps = np.clip((plus - minus) / (2 * bend), -2, 2) if bend > 0 else 2.0
            along.append(steps * float(np.abs(ahead) @ self.spacing_mm_zyx))
        return float(np.linalg.norm(along))


def _gradient(image: Float32, spacing_mm_zyx: Float64) -> Float32:
    """(3, Z, Y, X): change by mm along each axis, a little smoothed; zero along an axis of a single voxel."""
    smooth = ndi.gaussian_filter(image, _SMOOTHING_VOXELS)
    along = [np.gradient(smooth, s, axis=a) if image.shape[a] > 1 else smooth * 0 for a, s in enumerate(spacing_mm_zyx)]
    return np.stack(along).astype(np.float32)


def _brought(voxels: Float32, other: Volume, still: Volume, transform: Float64) -> Float32:
    return resample(Volume(voxels=voxels, grid=other.grid), still.grid, transform).voxels
