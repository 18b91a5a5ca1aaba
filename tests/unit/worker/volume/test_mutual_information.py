"""The metric: where images do not overlap it has no answer; a mistake of ours is not taken for that."""

import numpy as np
import pytest
import SimpleITK as sitk
from support.heads import axial_grid

from worker.errors import NoOverlap
from worker.volume.geometry import Volume
from worker.volume.mutual_information import MutualInformation

SHAPE = (20, 22, 24)
EVERYWHERE = np.ones(SHAPE, dtype=bool)


def image(seed: int = 0) -> Volume:
    rough = np.random.default_rng(seed).random(SHAPE, dtype=np.float32)
    return Volume(voxels=rough, grid=axial_grid(SHAPE, (2.0, 2.0, 2.0)))


def shifted(mm: float) -> sitk.Euler3DTransform:
    transform = sitk.Euler3DTransform()
    transform.SetTranslation([mm, 0.0, 0.0])
    return transform


def between(fixed: Volume, moving: Volume) -> MutualInformation:
    found = MutualInformation.within(EVERYWHERE, fixed, moving)
    found.method.SetOptimizerAsPowell(2, 20, 2.0, 0.1, 1e-5)
    found.method.SetOptimizerScalesFromPhysicalShift()
    return found


def test_it_is_least_where_an_image_meets_itself() -> None:
    search = between(image(), image())
    assert search.value(shifted(0.0)) < search.value(shifted(2.0)) - 0.5
    assert search.value(shifted(0.0)) < between(image(), image(seed=1)).value(shifted(0.0)) - 0.5


def test_following_it_moves_the_transform_to_the_optimum() -> None:
    search = between(image(), image())
    transform = shifted(0.7)
    assert search.follow(transform) < -1.0
    assert np.abs(transform.GetTranslation()).max() < 0.2


def test_without_overlap_there_is_no_match() -> None:
    search = between(image(), image())
    assert search.value(shifted(1000.0)) == float("inf")
    with pytest.raises(NoOverlap):
        search.follow(shifted(1000.0))


def test_what_simpleitk_refuses_is_our_mistake_and_no_bad_match() -> None:
    """An image of another type would else read as a series that cannot be aligned, study after study."""
    right = between(image(), image())
    wrong = MutualInformation(fixed=right.fixed, moving=sitk.Cast(right.moving, sitk.sitkInt16), method=right.method)
    with pytest.raises(RuntimeError, match="same datatype"):
        wrong.value(shifted(0.0))
    with pytest.raises(RuntimeError, match="same datatype"):
        wrong.follow(shifted(0.0))
