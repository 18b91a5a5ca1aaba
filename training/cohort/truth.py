"""The truth of a synthetic patient on any grid: each lesion's voxels, centroid, volume and diameter."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.cohort.acquire import sample
from training.cohort.motion import STILL
from training.cohort.scene import Scene
from worker.volume.geometry import Grid, Volume

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class PlantedLesion:
    """One metastasis as planted; places in LPS mm of the reference's frame."""

    number: int
    kind: str
    centroid_mm: tuple[float, float, float]
    volume_ml: float
    diameter_mm: float
    """Of the ball of that volume."""


def planted(scene: Scene) -> tuple[PlantedLesion, ...]:
    """The metastases; volume and centroid are those of the soft form, not of voxels."""
    return tuple(_measure(n, les.kind, les.body, les.box, scene.grid) for n, les in enumerate(scene.lesions, start=1))


def outline(scene: Scene, grid: Grid) -> UInt8:
    """(Z, Y, X) uint8, 0 or the number of the lesion, on a grid in the reference's frame.

    A voxel belongs to a lesion that fills half of it; a lesion smaller than that keeps its fullest voxels, as a
    radiologist outlines what he sees.
    """
    share = np.zeros(scene.grid.shape_zyx, dtype=np.float32)
    number = np.zeros(scene.grid.shape_zyx, dtype=np.float32)
    for index, lesion in enumerate(scene.lesions, start=1):
        view, owner = share[lesion.box], number[lesion.box]
        owner[(lesion.body > view) & (lesion.body > 0.01)] = index
        np.maximum(view, lesion.body, out=view)
    fine = sample(Volume(voxels=share, grid=scene.grid), grid, STILL).voxels
    owner = sample(Volume(voxels=number, grid=scene.grid), grid, STILL, nearest=True).voxels.astype(np.uint8)
    count = len(scene.lesions)
    if not count:
        return np.zeros(grid.shape_zyx, dtype=np.uint8)
    owned = np.flatnonzero(owner)
    whose, filled = owner.ravel()[owned], fine.ravel()[owned]
    peak = np.zeros(count + 1, dtype=np.float32)
    order = np.argsort(filled, kind="stable")
    peak[whose[order]] = filled[order]
    truth: UInt8 = np.zeros_like(owner)
    truth.ravel()[owned] = np.where(filled >= np.clip(0.6 * peak, 0.05, 0.5)[whose], whose, 0)
    return truth


def _measure(
    number: int, kind: str, body: NDArray[np.float32], box: tuple[slice, slice, slice], grid: Grid
) -> PlantedLesion:
    total = float(body.sum())
    first = np.array([s.start for s in box], dtype=np.float64)
    x, y, z = (float(v) for v in grid.to_mm(np.array(ndimage.center_of_mass(body)) + first))
    volume_mm3 = total * grid.voxel_volume_mm3
    return PlantedLesion(
        number=number,
        kind=kind,
        centroid_mm=(x, y, z),
        volume_ml=volume_mm3 / 1000,
        diameter_mm=float((6 * volume_mm3 / np.pi) ** (1 / 3)),
    )
