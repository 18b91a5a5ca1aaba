"""A scanner's part: the painted scene on the series' own grid, with its resolution, coil, noise, ghosts.

Called by patient.py. The pose moves the head between series; the grid stays with the scanner.
"""

import math

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from training.cohort.fields import Float32, smooth_field
from training.cohort.motion import Pose
from training.cohort.protocol import Geometry, Plane, Quality
from worker.volume.geometry import Grid, Volume

Float64 = NDArray[np.float64]

_AXES: dict[Plane, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    # direction of growing column, row and slice index in LPS
    Plane.AXIAL: ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    Plane.SAGITTAL: ((0, 1, 0), (0, 0, -1), (-1, 0, 0)),
    Plane.CORONAL: ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}


def acquisition_grid(geometry: Geometry, rng: np.random.Generator, top_mm: float) -> Grid:
    """The series' grid: centred on the head, give or take some mm; axial slabs hang from the vertex (`top_mm`)."""
    matrix = np.array(_AXES[geometry.plane], dtype=np.float64).T
    step = np.array([geometry.pixel_mm, geometry.pixel_mm, geometry.slice_mm])
    affine = np.eye(4)
    affine[:3, :3] = matrix * step
    count = np.array([geometry.matrix, geometry.matrix, geometry.slices])
    centre = rng.uniform(-3, 3, 3) + np.array([0.0, -4.0, 0.0])
    extent = (
        geometry.slices * geometry.slice_mm if geometry.plane is Plane.AXIAL else geometry.matrix * geometry.pixel_mm
    )
    centre[2] = top_mm + rng.uniform(3, 9) - extent / 2
    affine[:3, 3] = centre - affine[:3, :3] @ ((count - 1) / 2)
    return Grid(shape_zyx=(geometry.slices, geometry.matrix, geometry.matrix), affine=affine)


def sample(image: Volume, grid: Grid, pose: Pose, nearest: bool = False) -> Volume:
    """The scene as the grid sees it: a grid's point p shows the head's point pose^-1 p. Linear; zero beyond."""
    back = pose.inverse().matrix
    transform = sitk.AffineTransform(3)
    transform.SetMatrix([float(v) for v in back[:3, :3].ravel()])
    transform.SetTranslation([float(v) for v in back[:3, 3]])
    moved = sitk.Resample(
        image.to_sitk(),
        [int(n) for n in reversed(grid.shape_zyx)],
        transform,
        sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear,
        [float(v) for v in grid.affine[:3, 3]],
        grid.spacing_mm_xyz,
        [float(v) for v in grid.direction.ravel()],
        0.0,
        sitk.sitkFloat32,
    )
    return Volume(voxels=sitk.GetArrayFromImage(moved), grid=grid)


def acquire(
    painted: Volume, geometry: Geometry, quality: Quality, grid: Grid, pose: Pose, rng: np.random.Generator
) -> Volume:
    """One series' volume on its native grid, float32, zero or more."""
    blurred = _resolution(painted, geometry, quality)
    volume = sample(blurred, grid, pose)
    voxels = volume.voxels
    spacing = grid.spacing_mm_xyz[::-1]
    if quality.ghost > 0:
        voxels = voxels + np.float32(quality.ghost) * np.roll(
            voxels, voxels.shape[1] // int(rng.integers(2, 5)), axis=1
        )
    voxels = voxels * np.exp(
        np.float32(quality.bias) * smooth_field(rng, grid.shape_zyx, spacing, float(rng.uniform(60, 120)))
    )
    noisy = _rician(voxels, quality.noise, rng)
    if quality.masked_background:
        noisy[voxels < 0.5 * quality.noise + 0.02] = 0
    if quality.gamma != 1.0:
        noisy = np.power(noisy, np.float32(quality.gamma))
    return Volume(voxels=noisy * np.float32(quality.scale), grid=grid)


def _resolution(painted: Volume, geometry: Geometry, quality: Quality) -> Volume:
    """Blur within the plane, and the slice's thickness where it exceeds the scene's voxels."""
    spacing = painted.grid.spacing_mm_xyz[::-1]
    through = {Plane.AXIAL: 0, Plane.SAGITTAL: 2, Plane.CORONAL: 1}[geometry.plane]
    voxels = painted.voxels
    for axis in range(3):
        if axis == through and geometry.slice_mm > 1.3 * spacing[axis]:
            voxels = ndimage.convolve1d(voxels, _slice_profile(geometry.slice_mm / spacing[axis]), axis=axis)
        elif quality.blur_mm > 0.25:
            voxels = ndimage.gaussian_filter1d(voxels, quality.blur_mm / spacing[axis], axis=axis, truncate=2.5)
    return Volume(voxels=voxels, grid=painted.grid)


def _slice_profile(width: float) -> Float64:
    """(odd,) weights of sum 1: a box of `width` voxels (one at least) about the middle one, its ends in fractions."""
    reach = math.ceil((width - 1) / 2)
    away = np.abs(np.arange(-reach, reach + 1))
    out: Float64 = np.clip(width / 2 + 0.5 - away, 0, 1) / width
    return out


def _rician(voxels: Float32, noise: float, rng: np.random.Generator) -> Float32:
    real = rng.standard_normal(voxels.shape, dtype=np.float32)
    real *= np.float32(noise)
    real += voxels
    imaginary = rng.standard_normal(voxels.shape, dtype=np.float32)
    imaginary *= np.float32(noise)
    out: Float32 = np.hypot(real, imaginary)
    return out
