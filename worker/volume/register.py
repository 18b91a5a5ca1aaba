"""Rigid co-registration of one series to the reference (paper, Methods; times and errors: tests/bench/registration.py).

Called by the pipeline for each series but the reference. Mattes mutual information, coarse to fine, both images first
resampled to a few millimetres. Deterministic: seeded samples, one thread. Whether the result can be
trusted is trust.py's question, not this one's.
"""

import time
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.ndimage as ndi
import SimpleITK as sitk
from numpy.typing import NDArray

from worker.errors import NoOverlap
from worker.volume.alignment import Alignment
from worker.volume.geometry import Float64, Volume
from worker.volume.head import head_mask
from worker.volume.mutual_information import MutualInformation
from worker.volume.resample import coarser, resample
from worker.volume.trust import check

__all__ = ["QUICK", "THOROUGH", "Alignment", "Plan", "check", "register"]

_MARGIN_MM = 10.0
"""The metric looks at the head and so far around it, so that the edge of the head aligns too."""
_TURNS_DEGREES = tuple(product((-20.0, 0.0, 20.0), (-15.0, 0.0, 15.0), (-20.0, 0.0, 20.0)))
"""Rotations about x, y, z tried about the centre of the head: nodded, tilted, turned."""


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """One resolution of the search."""

    spacing_mm: float
    samples: int
    """Voxels of the fixed head that the metric sees."""
    step_mm: float
    tolerance_mm: float
    iterations: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is tried."""

    followed: int
    """So many of the best starts are optimised at the coarse stage, besides the headers as they stand."""
    stages: tuple[_Stage, ...]


_COARSE = _Stage(spacing_mm=6.0, samples=4_000, step_mm=6.0, tolerance_mm=0.5, iterations=4)
QUICK = Plan(
    followed=2,
    stages=(_COARSE, _Stage(spacing_mm=3.0, samples=10_000, step_mm=2.0, tolerance_mm=0.08, iterations=5)),
)
"""What every series gets."""
THOROUGH = Plan(
    followed=8,
    stages=(
        _COARSE,
        _Stage(spacing_mm=4.0, samples=10_000, step_mm=2.0, tolerance_mm=0.1, iterations=6),
        _Stage(spacing_mm=2.0, samples=25_000, step_mm=0.4, tolerance_mm=0.04, iterations=3),
    ),
)
"""For a series whose quick alignment cannot be trusted: more starts, finer in the end, and so slower."""


def register(fixed: Volume, moving: Volume, *, seed: int, plan: Plan = QUICK) -> Alignment:
    """Find the rigid transform from `fixed` to `moving`; both should show one head, in any contrast and orientation.

    seed: of the metric's samples; equal input and seed give equal bytes. The headers as they stand (one frame of
    reference) and the centres of the heads, each with several turns, are the starts.
    """
    started = time.perf_counter()
    finest = [coarser(volume, plan.stages[-1].spacing_mm) for volume in (fixed, moving)]
    masks = [head_mask(volume) for volume in finest]
    centres = [_centre(volume, mask) for volume, mask in zip(finest, masks, strict=True)]
    searches = [_search(stage, finest, masks[0], seed) for stage in plan.stages]
    value, transform = _coarse(searches[0], centres, plan.followed)
    for search in searches[1:]:
        value, transform = _refine(search, transform)
    matrix = _matrix(transform)
    return Alignment(
        transform=matrix,
        quality=MappingProxyType({"mutual_information_nat": -value, **_moved(matrix, centres[0])}),
        seconds=time.perf_counter() - started,
    )


_Found = tuple[float, Any]
"""Metric (negative mutual information) and the transform that gives it."""


def _search(stage: _Stage, finest: list[Volume], mask: NDArray[np.bool_], seed: int) -> MutualInformation:
    """The metric and the optimiser at one stage."""
    fixed, moving = (coarser(volume, stage.spacing_mm) for volume in finest)
    look = resample(Volume(voxels=mask.astype(np.float32), grid=finest[0].grid), fixed.grid)
    around = [max(1, round(_MARGIN_MM / s)) for s in reversed(look.grid.spacing_mm_xyz)]
    near = ndi.maximum_filter(look.voxels > 0.5, size=[2 * n + 1 for n in around])
    search = MutualInformation.within(near, fixed, moving)
    method = search.method
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(min(1.0, stage.samples / max(1, int(near.sum()))), seed)
    method.SetOptimizerAsPowell(stage.iterations, 20, stage.step_mm, stage.tolerance_mm, 1e-5)
    method.SetOptimizerScalesFromPhysicalShift()
    return search


def _refine(search: MutualInformation, transform: Any) -> _Found:
    """Follow the metric from `transform` to its optimum nearby. The start comes back where nothing overlaps."""
    found = sitk.Euler3DTransform(transform)
    try:
        return search.follow(found), found
    except NoOverlap:
        return float("inf"), transform


def _coarse(search: MutualInformation, centres: list[Float64], followed: int) -> _Found:
    """The best of all starts, after the most promising were followed."""
    as_it_stands = _start(np.zeros(3), (0.0, 0.0, 0.0), centres[0])
    turned = [_start(centres[1] - centres[0], turn, centres[0]) for turn in _TURNS_DEGREES]
    starts = [as_it_stands, *sorted(turned, key=search.value)[:followed]]
    return min((_refine(search, start) for start in starts), key=lambda found: found[0])


def _start(shift_mm: Float64, turn_degrees: tuple[float, ...], centre: Float64) -> Any:
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(v) for v in centre])
    transform.SetRotation(*(float(np.radians(angle)) for angle in turn_degrees))
    transform.SetTranslation([float(v) for v in shift_mm])
    return transform


def _matrix(transform: Any) -> Float64:
    """(4, 4) of a transform with a centre."""
    turn, centre = np.array(transform.GetMatrix()).reshape(3, 3), np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = np.array(transform.GetTranslation()) + centre - turn @ centre
    return matrix


def _centre(volume: Volume, mask: NDArray[np.bool_]) -> Float64:
    """(3,): LPS mm of the middle of the head, or of the volume where no head stands out."""
    if not mask.any():
        return volume.grid.to_mm((np.array(volume.grid.shape_zyx) - 1) / 2)
    return volume.grid.to_mm(np.array(ndi.center_of_mass(mask)))


def _moved(matrix: Float64, centre: Float64) -> dict[str, float]:
    """How far the centre of the head moves, and by how much it turns."""
    shift = matrix[:3, :3] @ centre + matrix[:3, 3] - centre
    turn = np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)))
    return {"translation_mm": float(np.linalg.norm(shift)), "rotation_degrees": float(turn)}
