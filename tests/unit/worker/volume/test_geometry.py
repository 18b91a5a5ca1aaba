"""Grids and volumes keep every voxel at its place in the patient."""

import numpy as np
import SimpleITK as sitk

from worker.volume.geometry import Grid, Volume

_OBLIQUE = np.array([[0.9, -0.1, 0.2, -90.0], [0.1, 0.88, -0.3, -120.0], [-0.2, 0.3, 1.1, -60.0], [0, 0, 0, 1.0]])


def test_index_and_millimetres_are_inverse_of_one_another() -> None:
    grid = Grid(shape_zyx=(4, 5, 6), affine=_OBLIQUE)
    index = np.random.default_rng(0).uniform(0, 4, (20, 3))
    np.testing.assert_allclose(grid.to_index(grid.to_mm(index)), index, atol=1e-9)


def test_a_nifti_point_in_ras_lies_at_the_same_point_in_lps() -> None:
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    volume = Volume.from_ras(array, _OBLIQUE)
    assert volume.grid.shape_zyx == (4, 3, 2)
    assert volume.voxels[3, 2, 1] == array[1, 2, 3]
    ras = _OBLIQUE @ [1, 2, 3, 1]
    np.testing.assert_allclose(volume.grid.to_mm(np.array([3, 2, 1])), [-ras[0], -ras[1], ras[2]])


def test_simpleitk_round_trip_keeps_a_left_handed_grid() -> None:
    affine = np.diag([-0.9, 1.1, 2.0, 1.0])
    affine[:3, 3] = (80, -100, -20)
    volume = Volume(
        voxels=np.random.default_rng(1).random((3, 4, 5), dtype=np.float32),
        grid=Grid(shape_zyx=(3, 4, 5), affine=affine),
    )
    back = Volume.from_sitk(volume.to_sitk())
    np.testing.assert_array_equal(back.voxels, volume.voxels)
    assert back.grid.same_as(volume.grid)
    point = volume.to_sitk().TransformIndexToPhysicalPoint((4, 0, 2))
    np.testing.assert_allclose(point, volume.grid.to_mm(np.array([2, 0, 4])))
    assert isinstance(volume.to_sitk(), sitk.Image)
