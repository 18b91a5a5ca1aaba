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
"""Dice of both head masks within the common field of view; a brain without its skull against a whole head must pass."""
SMALLEST_EDGE_AGREEMENT = 0.54
"""Weighted mean of the squared cosine of both gradients. Chance is 1/3; registered pairs
of one head have .58 and more, thick slices too. A safety net: the offset below tells more."""
LARGEST_OFFSET_MM = 3.0
"""How far away the edges of any half of the head would agree best, by parabolas along the axes. Registered
pairs of one head: up to 2.4; of another head, or off by 4 mm or 10 degrees: 4.6 and more. Turned by 6
degrees it may be 2.4, and one in seventeen of these gets by; mirrored 1.4, where the edges tell."""

_WORKING_MM = 2.0
_SMOOTHING_VOXELS = 0.7
_POINTS = 30_000
_STEP_MM = 2.0
_ENOUGH_VOXELS = 1000


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What can be measured of an alignment. Lengths in mm; the others are ratios."""

    coverage: float
    overlap: float
    edge_agreement: float
    offset_mm: float
    """The largest of the halves of the head: a turn moves them apart where the whole stays in place."""


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
        return Evidence(coverage=coverage, overlap=overlap, edge_agreement=0.0, offset_mm=float("inf"))
    edges = _Edges.of(still, _brought(other.voxels, other, still, alignment.transform), inner)
    return Evidence(
        coverage=coverage, overlap=overlap, edge_agreement=edges.agreement(), offset_mm=edges.largest_offset_mm()
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
    if found.offset_mm > LARGEST_OFFSET_MM:
        return f"a half of the head would match better {found.offset_mm:.1f} mm away"
    return ""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Edges:
    """The gradients of both images inside the head, on the grid of the reference."""

    indices: NDArray[np.int64]
    """(N, 3): voxels looked at."""
    still: Float32
    """(3, N): directions of the reference's gradients there."""
    strength: Float32
    """(N,): and their lengths, 1 from the 90th percentile on."""
    brought: Float32
    """(3, Z, Y, X): gradients of the series, brought onto the grid."""
    spacing_mm_zyx: Float64

    @classmethod
    def of(cls, still: Volume, brought: Float32, inner: NDArray[np.bool_]) -> "_Edges":
        indices = np.argwhere(inner)
        indices = indices[:: max(1, len(indices) // _POINTS)]
        spacing = np.array(still.grid.spacing_mm_xyz[::-1])
        first = _gradient(still.voxels, spacing)[:, *indices.T]
        length = np.linalg.norm(first, axis=0) + 1e-9
        strength = np.minimum(length / np.percentile(length, 90), 1.0)
        return cls(
            indices=indices, still=first / length, strength=strength, brought=_gradient(brought, spacing),
            spacing_mm_zyx=spacing,
        )  # fmt: skip

    def agreement(self) -> float:
        """Of the whole head, as it lies."""
        return _mean(self._compared((0, 0, 0)))

    def largest_offset_mm(self) -> float:
        """Of the six halves of the head: the way to where their edges would agree best."""
        here, beside = self._compared((0, 0, 0)), [self._compared(shift) for shift in self._shifts()]
        steps_mm = np.abs(self._shifts()[::2]) @ self.spacing_mm_zyx
        return max(_offset_mm(_mean(here, half), [_mean(b, half) for b in beside], steps_mm) for half in self._halves())

    def _compared(self, shift_zyx: tuple[int, ...]) -> tuple[Float32, Float32]:
        """(N,) squared cosine between the gradients times its weight, and the weight; the series shifted by whole
        voxels. Strong edges count more, evenly from the 90th percentile on.
        """
        at = np.clip(self.indices + np.array(shift_zyx), 0, np.array(self.brought.shape[1:]) - 1)
        other = self.brought[:, *at.T]
        length = np.linalg.norm(other, axis=0) + 1e-9
        weight = self.strength * np.minimum(length / np.percentile(length, 90), 1.0)
        cosine = (self.still * other).sum(axis=0) / length
        return weight * cosine**2, weight

    def _shifts(self) -> list[tuple[int, ...]]:
        """Ahead and behind along each axis, by about a step and at least one voxel."""
        steps = np.maximum(1, np.round(_STEP_MM / self.spacing_mm_zyx)).astype(int)
        return [tuple(int(v) for v in sign * np.diag(steps)[axis]) for axis in range(3) for sign in (1, -1)]

    def _halves(self) -> list[NDArray[np.bool_]]:
        """(N,) each: both sides of the middle along each axis."""
        middle = np.median(self.indices, axis=0)
        sides = [self.indices < middle, self.indices > middle]
        return [side[:, axis] for axis in range(3) for side in sides]


def _mean(compared: tuple[Float32, Float32], part: NDArray[np.bool_] | slice = slice(None)) -> float:
    return float(compared[0][part].sum() / max(float(compared[1][part].sum()), 1e-9))


def _offset_mm(here: float, beside: list[float], steps_mm: Float64) -> float:
    """Length of the way to the best agreement, by a parabola along each axis: two steps where it has no peak nearby.

    beside: the agreement one step ahead and one step behind, axis by axis.
    """
    ahead, behind = np.array(beside[::2]), np.array(beside[1::2])
    bend = 2 * here - ahead - behind
    steps = np.where(bend > 0, np.clip((ahead - behind) / np.where(bend > 0, 2 * bend, 1.0), -2, 2), 2.0)
    return float(np.linalg.norm(steps * steps_mm))


def _gradient(image: Float32, spacing_mm_zyx: Float64) -> Float32:
    """(3, Z, Y, X): change by mm along each axis, a little smoothed; zero along an axis of a single voxel."""
    smooth = ndi.gaussian_filter(image, _SMOOTHING_VOXELS)
    along = [np.gradient(smooth, s, axis=a) if image.shape[a] > 1 else smooth * 0 for a, s in enumerate(spacing_mm_zyx)]
    return np.stack(along).astype(np.float32)


def _brought(voxels: Float32, other: Volume, still: Volume, transform: Float64) -> Float32:
    return resample(Volume(voxels=voxels, grid=other.grid), still.grid, transform).voxels
