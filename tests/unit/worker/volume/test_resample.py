"""The model's grid over the head, and the way there and back: nothing moves, nothing is turned, nothing aliases."""

import numpy as np
import pytest
from support.heads import axial_grid, rigid, synthetic_head

from worker.volume.geometry import Grid, Volume
from worker.volume.head import head_mask
from worker.volume.resample import MAXIMUM_SLICES, coarser, model_grid, resample, to_model_grid, to_native

AXIAL = axial_grid((170, 256, 256), (1.0, 0.9375, 0.9375))


def turned_grid(order: tuple[int, int, int]) -> Grid:
    """2 mm voxels whose index axes run along other patient axes, one of them backwards."""
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(order)] * np.array([2.0, -2.0, 2.0])
    count = np.array([96, 112, 100])[list(order)]
    affine[:3, 3] = -affine[:3, :3] @ ((count - 1) / 2)
    x, y, z = (int(n) for n in count)
    return Grid(shape_zyx=(z, y, x), affine=affine)


def test_an_axial_series_of_the_models_resolution_passes_unchanged() -> None:
    head = resample(synthetic_head(seed=2), AXIAL)
    grid = model_grid(head)
    assert grid.shape_zyx[1:] == (256, 256)
    offset = AXIAL.to_index(grid.to_mm(np.zeros(3)))
    np.testing.assert_allclose(offset, np.round(offset), atol=1e-6)
    z, y, x = np.round(offset).astype(int)
    ours, native = to_model_grid(head, grid).voxels, head.voxels
    kept = native[z : z + grid.shape_zyx[0], max(y, 0) : y + 256, max(x, 0) : x + 256]
    same = ours[:, max(-y, 0) : max(-y, 0) + kept.shape[1], max(-x, 0) : max(-x, 0) + kept.shape[2]]
    np.testing.assert_allclose(same, kept, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (0, 2, 1), (2, 1, 0)])
def test_the_models_axes_are_the_patients_whatever_the_plane(order: tuple[int, int, int]) -> None:
    """Left, back and head grow with x, y and z; the head lies in the middle and within the grid."""
    head = resample(synthetic_head(seed=2), turned_grid(order))
    grid = model_grid(head)
    np.testing.assert_allclose(grid.direction, np.eye(3), atol=1e-6)
    assert grid.spacing_mm_xyz == pytest.approx((0.9375, 0.9375, 1.0))
    assert grid.shape_zyx[0] <= MAXIMUM_SLICES
    mask = head_mask(head)
    on_grid = resample(Volume(voxels=mask.astype(np.float32), grid=head.grid), grid).voxels > 0.5
    seen = on_grid.sum() * grid.voxel_volume_mm3 / (mask.sum() * head.grid.voxel_volume_mm3)
    assert seen > 0.9
    assert abs(np.argwhere(on_grid)[:, 2].mean() - 127.5) < 8


def test_a_place_in_the_head_stays_there_and_comes_back() -> None:
    """A bright ball: to the model's grid through a rigid transform, and back to the native planes."""
    way = rigid((6.0, -3.0, 8.0), (5.0, 0.0, -8.0))
    place = np.array([20.0, -15.0, 30.0])
    head = synthetic_head(seed=2)
    moved = way[:3, :3] @ place + way[:3, 3]
    grids = head.grid.to_mm(np.stack(np.meshgrid(*map(np.arange, head.grid.shape_zyx), indexing="ij"), -1))
    ball = Volume(voxels=(np.linalg.norm(grids - moved, axis=-1) < 8).astype(np.float32), grid=head.grid)
    grid = model_grid(head)
    on_grid = to_model_grid(ball, grid, way)
    assert np.linalg.norm(centroid(on_grid) - place) < 0.2
    assert np.linalg.norm(centroid(to_native(on_grid, head.grid)) - place) < 0.3


def centroid(volume: Volume) -> np.ndarray:
    weight = volume.voxels.clip(0)
    index = np.array([(weight * axis).sum() / weight.sum() for axis in np.indices(weight.shape)])
    return volume.grid.to_mm(index)


def test_fine_slices_are_smoothed_before_they_are_sampled_coarsely() -> None:
    """Black and white 0.5 mm stripes become grey, not a moire of black and white."""
    fine = axial_grid((160, 64, 64), (0.25, 0.9375, 0.9375))
    stripes = Volume(voxels=np.tile(np.array([0, 0, 100, 100], np.float32)[:, None, None], (40, 64, 64)), grid=fine)
    found = to_model_grid(stripes, axial_grid((30, 60, 60), (1.0, 0.9375, 0.9375))).voxels
    inside = found[5:-5, 5:-5, 5:-5]
    assert inside.min() > 35
    assert inside.max() < 65


def test_coarser_keeps_places() -> None:
    head = synthetic_head(seed=2)
    small = coarser(head, 6.0)
    assert small.grid.spacing_mm_xyz == pytest.approx((6.0, 6.0, 6.0))
    assert np.linalg.norm(centroid(small) - centroid(head)) < 2.0
    assert coarser(head, 1.0).grid.same_as(head.grid)
