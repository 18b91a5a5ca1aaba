"""From native grids to the grid that the network sees, and back (design.md, "Reference grid").

Called by the pipeline and by training. Knows nothing of DICOM, models or files. The model's slices are axial, 256 x 256
at 0.9375 mm, 1 mm apart (paper, Table 3; model/channels.py), and lie along the reference's own axes: an axial
reference of that resolution passes through unchanged, an oblique one is not turned.
"""

from typing import Any

import numpy as np
import scipy.ndimage as ndi
import SimpleITK as sitk
from numpy.typing import NDArray

from model.channels import SIZE_PX, SLICE_SPACING_MM, SPACING_MM
from worker.volume.geometry import Float32, Float64, Grid, Volume
from worker.volume.head import head_mask

MAXIMUM_SLICES = 208
"""Counted from the vertex down: a brain with scalp is at most about 190 mm high; what lies below is neck."""
_FWHM = 2.3548
"""Full width at half maximum of a Gaussian with a sigma of 1."""
IDENTITY: Float64 = np.eye(4)


def model_grid(reference: Volume) -> Grid:
    """The model's grid over the head in `reference`: 256 x 256 at 0.9375 mm around the head, 1 mm slices, at most
    `MAXIMUM_SLICES` of them from the vertex down. Its axes are the reference's, named by the nearest patient axis.
    """
    axes = _anatomical_axes(reference.grid)
    spacing = np.array([SPACING_MM, SPACING_MM, SLICE_SPACING_MM])
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in reference.grid.shape_zyx])).reshape(3, -1).T
    covered = reference.grid.to_mm(corners) @ axes
    mask = np.argwhere(head_mask(reference)[::2, ::2, ::2]) * 2
    head = reference.grid.to_mm(mask) @ axes if len(mask) else covered
    centre = (head.min(axis=0) + head.max(axis=0)) / 2
    top = min(covered[:, 2].max(), head[:, 2].max() + 3 * SLICE_SPACING_MM)
    slices = int(np.clip(np.floor((top - covered[:, 2].min()) / SLICE_SPACING_MM + 1e-6) + 1, 1, MAXIMUM_SLICES))
    anchor = _nearest_centre(reference.grid, axes @ np.array([centre[0], centre[1], top])) @ axes
    if anchor[2] > covered[:, 2].max() + 1e-6:
        anchor[2] -= SLICE_SPACING_MM
    first = anchor - spacing * np.array([SIZE_PX // 2, SIZE_PX // 2, slices - 1])
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = axes @ first
    return Grid(shape_zyx=(slices, SIZE_PX, SIZE_PX), affine=affine)


def to_model_grid(volume: Volume, grid: Grid, transform: NDArray[Any] = IDENTITY) -> Volume:
    """Bring a series onto `grid` (linear; smoothed first along axes on which the target is coarser).

    `transform` (4, 4) takes LPS mm of the grid to LPS mm of the volume: `Alignment.transform`. Zero beyond the volume.
    """
    return resample(antialiased(volume, grid), grid, transform)


def to_native(probability: Volume, reference_grid: Grid) -> Volume:
    """The model's probability on the reference's own planes (linear, zero beyond the model's grid)."""
    return resample(probability, reference_grid)


def resample(volume: Volume, grid: Grid, transform: NDArray[Any] = IDENTITY) -> Volume:
    """Linear interpolation at the centres of `grid`; `transform` (4, 4) takes its LPS mm to those of the volume."""
    moved = sitk.Resample(
        volume.to_sitk(),
        [int(n) for n in reversed(grid.shape_zyx)],
        _affine_transform(transform),
        sitk.sitkLinear,
        [float(v) for v in grid.affine[:3, 3]],
        grid.spacing_mm_xyz,
        [float(v) for v in grid.direction.ravel()],
        0.0,
        sitk.sitkFloat32,
    )
    return Volume(voxels=sitk.GetArrayFromImage(moved), grid=grid)


def antialiased(volume: Volume, grid: Grid) -> Volume:
    """Smooth along each axis on which `grid` samples more coarsely, up to a width of its spacing."""
    own = np.array(volume.grid.spacing_mm_xyz)
    steps = volume.grid.direction.T @ grid.affine[:3, :3]
    wanted = np.linalg.norm(steps, axis=1)
    sigma = np.sqrt(np.maximum(wanted**2 - own**2, 0.0)) / _FWHM
    voxels = volume.voxels
    for axis in np.flatnonzero(sigma > 0.1 * own):
        voxels = ndi.gaussian_filter1d(
            voxels, sigma[axis] / own[axis], axis=2 - int(axis), mode="nearest", truncate=3.0
        )
    return Volume(voxels=voxels, grid=volume.grid)


def _affine_transform(transform: NDArray[Any]) -> Any:
    affine = sitk.AffineTransform(3)
    affine.SetMatrix([float(v) for v in transform[:3, :3].ravel()])
    affine.SetTranslation([float(v) for v in transform[:3, 3]])
    return affine


def _anatomical_axes(grid: Grid) -> Float64:
    """(3, 3): the grid's unit axes, reordered and turned so that the columns point most nearly to L, P and S."""
    directions = grid.direction
    order = max(_PERMUTATIONS, key=lambda p: sum(abs(directions[i, p[i]]) for i in range(3)))
    axes = directions[:, list(order)]
    turned: Float64 = axes * np.sign(np.diag(axes))
    return turned


_PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def _nearest_centre(grid: Grid, point_mm: Float64) -> Float64:
    """The voxel centre of `grid` nearest to a point; with the model's grid hung there, equal spacings coincide."""
    return grid.to_mm(np.round(grid.to_index(point_mm)))


def coarser(volume: Volume, spacing_mm: float) -> Volume:
    """Means of whole blocks of voxels, so that each axis is nearest to `spacing_mm`; coarser axes stay as they are.

    What does not fill a block at the far end of an axis is left out.
    """
    counts = reversed(volume.grid.shape_zyx)
    sizes = zip(volume.grid.spacing_mm_xyz, counts, strict=True)
    x, y, z = (min(count, max(1, round(spacing_mm / own))) for own, count in sizes)
    voxels = volume.voxels
    for axis, factor in enumerate((z, y, x)):
        voxels = _block_mean(voxels, axis, factor)
    affine = volume.grid.affine @ np.diag([x, y, z, 1.0])
    affine[:3, 3] += volume.grid.affine[:3, :3] @ (np.array([x, y, z]) - 1) / 2
    depth, rows, columns = voxels.shape
    return Volume(voxels=voxels, grid=Grid(shape_zyx=(depth, rows, columns), affine=affine))


def _block_mean(voxels: Float32, axis: int, factor: int) -> Float32:
    if factor == 1:
        return voxels
    blocks = voxels.shape[axis] // factor
    ends = [slice(None)] * 3
    total = np.zeros([*voxels.shape[:axis], blocks, *voxels.shape[axis + 1 :]], dtype=np.float32)
    for offset in range(factor):
        ends[axis] = slice(offset, blocks * factor, factor)
        total += voxels[tuple(ends)]
    mean: Float32 = total / np.float32(factor)
    return mean
