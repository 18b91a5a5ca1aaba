"""Orders planes along their normal and finds the regular grid that they make, or the reason why they make none.

Called by read. Pure: planes in, planes and grid out.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from worker.errors import SeriesRefused
from worker.volume.geometry import Float64, Grid
from worker.volume.planes import Plane

COSINE_TOLERANCE = 1e-3
"""Planes whose cosines differ by less are parallel; what viewers allow too (OHIF)."""
SPACING_TOLERANCE = 0.05
"""Part of the slice spacing by which a slice may be off its regular place: scanners round positions."""
DOUBLED_TOLERANCE = 0.01
"""Slices nearer to each other than this part of the usual distance lie at one place."""
DRIFT_TOLERANCE_MM = 0.5
"""Over the whole stack a slice may lie so far off the line along the normal: rounding, not a tilted (sheared) stack."""
PIXEL_SPACING_TOLERANCE_MM = 1e-3


def order(planes: Sequence[Plane], rows: int, columns: int) -> tuple[tuple[Plane, ...], Grid]:
    """The planes in the order of z, and their grid of (len, rows, columns) voxels. Raises SeriesRefused."""
    planes = _one_part(planes)
    first = planes[0]
    _check_parallel(planes, first)
    along = np.array([plane.position_mm @ first.normal for plane in planes])
    ranked = tuple(planes[i] for i in np.argsort(along, kind="stable"))
    steps = np.diff(np.sort(along))
    if len(planes) < 2:
        raise SeriesRefused("a single slice is no volume")
    _check_one_volume(ranked, steps)
    spacing = _regular_spacing(steps)
    return ranked, _grid(ranked, spacing, rows, columns)


def _one_part(planes: Sequence[Plane]) -> Sequence[Plane]:
    """Magnitude images only, where a series holds phase, real or imaginary ones beside them."""
    magnitude = [plane for plane in planes if plane.labels["image part"] == "magnitude"]
    if not magnitude:
        raise SeriesRefused(f"the series holds {planes[0].labels['image part']} images, no magnitude")
    if any(_is_diffusion(plane.labels["diffusion b-value"]) for plane in magnitude):
        raise SeriesRefused("the series is diffusion-weighted")
    return magnitude


def _is_diffusion(b_value: str) -> bool:
    try:
        return float(b_value) > 0
    except ValueError:
        return False


def _check_parallel(planes: Sequence[Plane], first: Plane) -> None:
    for plane in planes:
        turned = max(np.abs(plane.row - first.row).max(), np.abs(plane.column - first.column).max())
        if turned > COSINE_TOLERANCE:
            raise SeriesRefused("the slices have different orientations (a localizer, or several stacks in one series)")
        if np.abs(np.subtract(plane.spacing_mm_yx, first.spacing_mm_yx)).max() > PIXEL_SPACING_TOLERANCE_MM:
            raise SeriesRefused("the slices have different pixel spacings")


def _check_one_volume(ranked: Sequence[Plane], steps: Float64) -> None:
    """Refuse several volumes in one series (4D, multi-echo) by what tells them apart, else doubled slices."""
    usual = float(np.median(steps[steps > 1e-3])) if (steps > 1e-3).any() else 0.0
    doubled = int((steps <= max(DOUBLED_TOLERANCE * usual, 1e-3)).sum())
    if not doubled:
        return
    for label in ranked[0].labels:
        values: dict[str, list[float]] = defaultdict(list)
        for plane in ranked:
            values[plane.labels.get(label, "")].append(float(plane.position_mm @ ranked[0].normal))
        apart = all(b - a > 1e-3 for places in values.values() for a, b in pairwise(sorted(places)))
        if len(values) > 1 and apart:
            raise SeriesRefused(f"the series holds {len(values)} volumes that differ in {label}; one is needed")
    raise SeriesRefused(f"{doubled} slices are doubled: they lie where another slice of the series lies")


def _regular_spacing(steps: Float64) -> float:
    usual = float(np.median(steps))
    missing = int(np.round(steps / usual - 1).clip(0).sum())
    if missing:
        raise SeriesRefused(
            f"{missing} slices are missing (steps of {usual:.2f} mm, and gaps of up to {steps.max():.2f} mm)"
        )
    if np.abs(steps - usual).max() > SPACING_TOLERANCE * usual:
        raise SeriesRefused(f"the slices are unevenly spaced, {steps.min():.2f} to {steps.max():.2f} mm apart")
    return float(steps.mean())


def _grid(ranked: Sequence[Plane], spacing: float, rows: int, columns: int) -> Grid:
    first = ranked[0]
    places = np.stack([plane.position_mm for plane in ranked])
    origin = places.mean(axis=0) - first.normal * spacing * (len(ranked) - 1) / 2
    regular = origin + np.arange(len(ranked))[:, None] * spacing * first.normal
    off = places - regular
    along = off @ first.normal
    if np.linalg.norm(off - along[:, None] * first.normal, axis=1).max() > DRIFT_TOLERANCE_MM:
        raise SeriesRefused("the stack of slices is tilted (sheared): they are shifted against one another in plane")
    if np.abs(along).max() > SPACING_TOLERANCE * spacing:
        raise SeriesRefused("the slices are unevenly spaced: their distances drift through the stack")
    affine = np.eye(4)
    affine[:3, 0] = first.row * first.spacing_mm_yx[1]
    affine[:3, 1] = first.column * first.spacing_mm_yx[0]
    affine[:3, 2] = first.normal * spacing
    affine[:3, 3] = origin
    return Grid(shape_zyx=(len(ranked), rows, columns), affine=affine)
