"""What a scanner does to the scene moves nothing: an image lies where its truth is."""

import numpy as np
import pytest
from scipy import ndimage

from training.cohort.acquire import _resolution
from training.cohort.protocol import Geometry, Plane, Quality
from worker.volume.geometry import Grid, Volume

THROUGH = {Plane.AXIAL: 0, Plane.CORONAL: 1, Plane.SAGITTAL: 2}


@pytest.mark.parametrize("plane", list(Plane))
@pytest.mark.parametrize("slice_mm", [1.0, 1.2, 1.6, 4.0, 5.0, 6.0])
def test_a_slices_thickness_keeps_the_place_of_a_cube(slice_mm: float, plane: Plane) -> None:
    """Its centroid and sum stay; its variance grows by that of a box, in voxels, and by that of the fractional ends."""
    grid = Grid(shape_zyx=(40, 40, 40), affine=np.diag([0.9375, 0.9375, 1.0, 1.0]))
    cube = np.zeros(grid.shape_zyx, dtype=np.float32)
    cube[14:24, 15:25, 16:26] = 1
    geometry = Geometry(plane=plane, pixel_mm=1.0, slice_mm=slice_mm, matrix=40, slices=40)
    seen = _resolution(Volume(voxels=cube, grid=grid), geometry, Quality(noise=0.0, bias=0.0)).voxels
    assert ndimage.center_of_mass(seen) == pytest.approx((18.5, 19.5, 20.5), abs=1e-3)
    assert seen.sum() == pytest.approx(1000, rel=1e-5)
    spacing = (1.0, 0.9375, 0.9375)[THROUGH[plane]]
    width = slice_mm / spacing if slice_mm > 1.3 * spacing else 1.0
    along = seen.sum(axis=tuple(axis for axis in range(3) if axis != THROUGH[plane]))
    widened = (along * (np.arange(40) - 18.5 - THROUGH[plane]) ** 2).sum() / along.sum() - 99 / 12
    assert widened == pytest.approx((width**2 - 1) / 12 + 0.15, abs=0.16)
