"""Measurements in mm and ml, against shapes whose size is known."""

import numpy as np
import pytest

from worker.lesions.components import LesionMap
from worker.lesions.measure import Measured, measure_lesions
from worker.volume.geometry import Grid, Volume

SPACING_XYZ = (0.9, 0.6, 2.0)


def oblique_grid(shape: tuple[int, int, int]) -> Grid:
    """Turned about two axes, so that no index axis is a patient axis."""
    turn_z = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, 0.28, -0.96], [0, 0.96, 0.28]])
    affine = np.eye(4)
    affine[:3, :3] = turn_z @ turn_x * np.array(SPACING_XYZ)
    affine[:3, 3] = (-31.0, 12.0, 77.0)
    return Grid(shape_zyx=shape, affine=affine)


def measured(mask: np.ndarray, value: float = 0.8) -> Measured:
    grid = oblique_grid(mask.shape)
    lesions = LesionMap(labels=mask.astype(np.uint16), grid=grid, count=1)
    probability = Volume(voxels=np.where(mask, value, 0).astype(np.float32), grid=grid)
    return measure_lesions(lesions, probability)[0]


def box(z: slice, y: slice, x: slice) -> np.ndarray:
    mask = np.zeros((9, 40, 40), dtype=bool)
    mask[z, y, x] = True
    return mask


def test_one_voxel_has_the_size_of_one_pixel() -> None:
    lesion = measured(box(slice(4, 5), slice(7, 8), slice(9, 10)))
    assert lesion.volume_ml == pytest.approx(0.9 * 0.6 * 2.0 / 1000)
    assert lesion.long_axis_mm == pytest.approx(0.9)
    assert lesion.short_axis_mm == pytest.approx(0.6)
    centre = oblique_grid((9, 40, 40)).to_mm(np.array([4, 7, 9]))
    assert np.allclose(lesion.centroid_mm, centre)
    assert np.allclose(np.mean(lesion.long_axis_ends_mm, axis=0), centre)


def test_a_row_of_pixels_is_as_long_as_its_pixels() -> None:
    lesion = measured(box(slice(4, 5), slice(7, 8), slice(3, 23)))
    assert lesion.long_axis_mm == pytest.approx(20 * 0.9)
    assert lesion.short_axis_mm == pytest.approx(0.6)
    assert np.linalg.norm(np.subtract(*lesion.long_axis_ends_mm)) == pytest.approx(lesion.long_axis_mm)


def test_the_long_axis_lies_in_the_plane_where_it_is_longest() -> None:
    mask = box(slice(2, 7), slice(10, 12), slice(10, 12))
    mask[5, 10, 5:25] = True
    lesion = measured(mask)
    planes = oblique_grid(mask.shape).to_index(np.array(lesion.long_axis_ends_mm))[:, 0]
    assert np.allclose(planes, 5)


def test_a_ball_is_round_and_has_its_volume() -> None:
    shape = (21, 61, 61)
    grid = oblique_grid(shape)
    centre = grid.to_mm(np.array([10.0, 30.0, 30.0]))
    every = grid.to_mm(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))
    lesion = measured(np.linalg.norm(every - centre, axis=-1) <= 10.0)
    assert lesion.volume_ml == pytest.approx(4.19, rel=0.03)
    assert lesion.long_axis_mm == pytest.approx(20.0, abs=0.9)
    assert lesion.short_axis_mm == pytest.approx(20.0, abs=0.9)
    assert np.allclose(lesion.centroid_mm, centre, atol=0.05)


def test_probabilities_are_those_of_the_lesion_alone() -> None:
    mask = box(slice(1, 3), slice(1, 3), slice(1, 3))
    lesion = measured(mask, value=0.75)
    assert lesion.mean_probability == pytest.approx(0.75)
    assert lesion.max_probability == pytest.approx(0.75)


def test_a_lesion_at_the_edge_of_the_volume_is_measured() -> None:
    lesion = measured(box(slice(0, 1), slice(0, 4), slice(0, 4)))
    assert lesion.volume_ml == pytest.approx(16 * 0.9 * 0.6 * 2.0 / 1000)


def test_lesions_keep_the_order_of_their_numbers() -> None:
    labels = np.zeros((3, 9, 9), dtype=np.uint16)
    labels[1, 1:4, 1:4], labels[1, 7, 7] = 1, 2
    grid = oblique_grid(labels.shape)
    volumes = [lesion.volume_ml for lesion in measure_lesions(
        LesionMap(labels=labels, grid=grid, count=2), Volume(voxels=np.ones(labels.shape, np.float32), grid=grid)
    )]  # fmt: skip
    assert volumes[0] == pytest.approx(9 * volumes[1])
