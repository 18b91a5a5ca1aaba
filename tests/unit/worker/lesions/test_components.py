"""Lesions are 26-connected, numbered by falling volume, and those below the limit are gone."""

import numpy as np
import pytest

from worker.errors import WorkerError
from worker.lesions.components import find_lesions
from worker.volume.geometry import Grid, Volume


def probability(*voxels: tuple[int, int, int], shape: tuple[int, int, int] = (6, 8, 8), value: float = 0.9) -> Volume:
    found = np.zeros(shape, dtype=np.float32)
    for voxel in voxels:
        found[voxel] = value
    return Volume(voxels=found, grid=Grid(shape_zyx=shape, affine=np.diag([2.0, 2.0, 3.0, 1.0])))


def test_voxels_that_touch_at_a_corner_are_one_lesion() -> None:
    lesions = find_lesions(probability((1, 1, 1), (2, 2, 2)), 0.5, minimum_mm3=0)
    assert lesions.count == 1
    assert lesions.labels.dtype == np.uint16


def test_the_largest_lesion_is_number_one() -> None:
    lesions = find_lesions(probability((0, 0, 0), (4, 4, 4), (4, 4, 5), (2, 0, 6)), 0.5, minimum_mm3=0)
    assert lesions.count == 3
    assert lesions.labels[4, 4, 4] == lesions.labels[4, 4, 5] == 1
    assert (lesions.labels[0, 0, 0], lesions.labels[2, 0, 6]) == (2, 3), "equal volumes go by their first voxel"


def test_lesions_below_the_limit_are_removed_and_those_at_it_stay() -> None:
    two = probability((0, 0, 0), (4, 4, 4), (4, 4, 5))
    assert find_lesions(two, 0.5).count == 2, "a voxel has 12 mm3 here"
    assert find_lesions(two, 0.5, minimum_mm3=12.1).count == 1
    assert find_lesions(two, 0.5, minimum_mm3=24.0).count == 1
    assert find_lesions(two, 0.5, minimum_mm3=24.1).count == 0


def test_the_threshold_itself_counts() -> None:
    assert find_lesions(probability((1, 1, 1), value=0.37), 0.37, minimum_mm3=0).count == 1
    assert find_lesions(probability((1, 1, 1), value=0.36), 0.37, minimum_mm3=0).count == 0


def test_nothing_found_is_an_empty_map() -> None:
    lesions = find_lesions(probability(), 0.5)
    assert lesions.count == 0
    assert not lesions.mask.any()
    assert lesions.labels.shape == (6, 8, 8)


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.01, float("nan")])
def test_a_threshold_that_makes_no_sense_is_refused(threshold: float) -> None:
    with pytest.raises(WorkerError, match="threshold"):
        find_lesions(probability(), threshold)


@pytest.mark.parametrize("value", [np.nan, 1.5, -0.5])
def test_a_probability_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(WorkerError, match="from 0 to 1"):
        find_lesions(probability((1, 1, 1), value=value), 0.5)
