"""One head, many patients: a random affine and a smooth elastic warp of a label map onto the scene's grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from training.cohort.anatomy import Anatomy
from training.cohort.fields import smooth_field
from worker.volume.geometry import Grid

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Warp:
    """How far patients differ: one sigma each."""

    rotation_deg: float = 5.0
    scale: float = 0.05
    shift_mm: float = 4.0
    shear: float = 0.02
    elastic_mm: tuple[tuple[float, float], ...] = ((45.0, 3.0), (18.0, 0.9))
    """(correlation length, amplitude)."""


def deform(anatomy: Anatomy, grid: Grid, rng: np.random.Generator, warp: Warp) -> UInt8:
    """The patient's tissues on the scene's grid, (Z, Y, X) uint8; the brain's centre comes to 0 mm."""
    angles = rng.normal(0, warp.rotation_deg, 3)
    matrix = Rotation.from_euler("zyx", angles, degrees=True).as_matrix()
    matrix = matrix @ np.diag(np.exp(rng.normal(0, warp.scale, 3))) * np.exp(rng.normal(0, warp.scale / 2))
    matrix = matrix + rng.normal(0, warp.shear, (3, 3)) * (1 - np.eye(3))
    if rng.random() < 0.5:
        matrix[:, 2] *= -1
    shift = rng.normal(0, warp.shift_mm, 3)
    spacing = grid.spacing_mm_xyz[::-1]
    axes = [
        (np.arange(n) * mm + o).astype(np.float32)
        for n, mm, o in zip(grid.shape_zyx, spacing, grid.affine[:3, 3][::-1], strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    coordinates = np.empty((3, *grid.shape_zyx), dtype=np.float32)
    for axis in range(3):
        row = matrix[axis] / anatomy.spacing_mm_zyx[axis]
        offset = anatomy.centre_zyx[axis] + shift[axis] / anatomy.spacing_mm_zyx[axis]
        np.add(
            np.float32(row[0]) * z + np.float32(row[1]) * y + np.float32(offset),
            np.float32(row[2]) * x,
            out=coordinates[axis],
        )
        for scale_mm, amplitude_mm in warp.elastic_mm:
            size = np.float32(amplitude_mm * np.exp(rng.normal(0, 0.3)) / anatomy.spacing_mm_zyx[axis])
            coordinates[axis] += size * smooth_field(rng, grid.shape_zyx, spacing, scale_mm)
    out: UInt8 = ndimage.map_coordinates(anatomy.tissue, coordinates, order=0, mode="nearest", prefilter=False)
    return out
