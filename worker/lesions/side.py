"""In which half of the head a lesion lies: by the plane about which the reference image is most like its mirror image.

Called by describe. Pure; knows no DICOM. The plane is found anew in every image, as heads lie turned and tilted; a
lesion near it, or an image that is like no mirror image of its own, has no side. No other anatomy is claimed: lobes
would need a registered atlas.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.optimize import minimize

from worker.volume.geometry import Float64, Grid, Volume

COARSE_MM = 5.0
"""Voxels of this size are enough for a plane, and a hundred times fewer."""
HEAD_FRACTION = 0.15
"""Of the brightness that one voxel in a hundred reaches; brighter voxels take part."""
FIRST_DEGREES = (-20.0, -10.0, 0.0, 10.0, 20.0)
"""Turns about the body's axis, and tilts to a shoulder, among which the search begins."""
MOST_POINTS = 8000
"""Of the head that are compared; more make no better plane."""
MOST_STEPS = 200
FIRST_STEP = (8.0, 8.0, 8.0)
"""Degrees, degrees and millimetres of the search's first steps."""
LEAST_LIKENESS = 0.5
"""Correlation of image and mirror image. Measured: 0.61 and more in 20 heads of label maps, 0.69 and more in three real
brains with gliomas of up to 39 ml.
"""
MOST_TURNED_DEGREES = 40.0
"""A plane turned further against the patient's own axis is another symmetry than that of the halves."""
MARGIN_MM = 5.0
"""All of a lesion must lie further from the plane than this. In the 20 heads, turned by up to 22 degrees about each
axis, none of a half's voxels lies so far on the wrong side; the halves bulge over the plane by 2 mm.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class MirrorPlane:
    """The plane between the halves of a head, in LPS mm."""

    normal: Float64
    """(3,) unit vector to the patient's left."""
    offset_mm: float
    likeness: float
    """Correlation of the image with its mirror image, -1 to 1."""

    def left_of_mm(self, points_mm: NDArray[np.float64]) -> Float64:
        """(...) signed distance of points (..., 3) to the left of the plane."""
        distance: Float64 = points_mm @ self.normal - self.offset_mm
        return distance


def side_of(points_mm: Float64, plane: MirrorPlane) -> str:
    """`left`, `right`, or nothing where the points (N, 3) are not clearly on one side."""
    if plane.likeness < LEAST_LIKENESS or plane.normal[0] < np.cos(np.deg2rad(MOST_TURNED_DEGREES)):
        return ""
    distance_mm = plane.left_of_mm(points_mm)
    if distance_mm.min() > MARGIN_MM:
        return "left"
    return "right" if distance_mm.max() < -MARGIN_MM else ""


def mirror_plane(image: Volume) -> MirrorPlane:
    """The plane about which an image of a head is most like its mirror image."""
    coarse = _coarse(image)
    bright = coarse.voxels > HEAD_FRACTION * np.percentile(coarse.voxels, 99)
    # Oedema, enhancement and fat stand out on one side only: what counts is the outline and what is dark in it.
    capped = np.minimum(coarse.voxels, np.median(coarse.voxels[bright]) if bright.any() else 0.0)
    chosen = np.argwhere(bright)[:: max(1, np.count_nonzero(bright) // MOST_POINTS)]
    points_mm = coarse.grid.to_mm(chosen)
    values = capped[tuple(chosen.T)].astype(np.float64)
    if len(values) < 2 or not values.std():
        return MirrorPlane(normal=np.array([1.0, 0.0, 0.0]), offset_mm=0.0, likeness=0.0)
    centre_mm = points_mm.mean(axis=0)

    def unlikeness(parameters: Float64) -> float:
        plane = _plane(parameters, centre_mm)
        mirrored_mm = points_mm - 2.0 * plane.left_of_mm(points_mm)[:, None] * plane.normal
        there = map_coordinates(capped, coarse.grid.to_index(mirrored_mm).T, order=1, output=np.float64)
        return 1.0 - float(np.corrcoef(values, there)[0, 1]) if there.std() else 2.0

    starts = [np.array([turned, tilted, 0.0]) for turned in FIRST_DEGREES for tilted in FIRST_DEGREES]
    found = _descend(unlikeness, min(starts, key=unlikeness))
    plane = _plane(found, centre_mm)
    return MirrorPlane(normal=plane.normal, offset_mm=plane.offset_mm, likeness=1.0 - unlikeness(found))


def _descend(unlikeness: Callable[[Float64], float], start: Float64) -> Float64:
    options = {
        "initial_simplex": np.vstack([start, start + np.diag(FIRST_STEP)]),
        "maxiter": MOST_STEPS,
        "xatol": 0.05,
        "fatol": 1e-5,
    }
    found: Float64 = minimize(unlikeness, start, method="Nelder-Mead", options=options).x
    return found


def _plane(parameters: Float64, centre_mm: Float64) -> MirrorPlane:
    """A plane near the head's centre from its turn about the body's axis, its tilt (degrees) and its shift (mm)."""
    turned, tilted = np.deg2rad(parameters[:2])
    normal = np.array([np.cos(turned) * np.cos(tilted), np.sin(turned) * np.cos(tilted), np.sin(tilted)])
    return MirrorPlane(normal=normal, offset_mm=float(centre_mm @ normal + parameters[2]), likeness=0.0)


def _coarse(image: Volume) -> Volume:
    """The image in blocks of about `COARSE_MM`, each the mean of its voxels; what does not fill a block is left out."""
    spacing_zyx = image.grid.spacing_mm_xyz[::-1]
    shape = image.grid.shape_zyx
    block = [min(max(1, round(COARSE_MM / mm)), n) for mm, n in zip(spacing_zyx, shape, strict=True)]
    z, y, x = (n // b for n, b in zip(shape, block, strict=True))
    whole = image.voxels[: z * block[0], : y * block[1], : x * block[2]]
    means = whole.reshape(z, block[0], y, block[1], x, block[2]).mean(axis=(1, 3, 5), dtype=np.float32)
    affine = image.grid.affine.copy()
    affine[:3, 3] = image.grid.to_mm((np.array(block) - 1) / 2)
    affine[:3, :3] = affine[:3, :3] * np.array(block[::-1])
    return Volume(voxels=means, grid=Grid(shape_zyx=(z, y, x), affine=affine))
