"""What a radiologist measures on a lesion: volume, long and short axis, centre, probability.

Called by describe. Pure; knows no DICOM. Diameters lie in the planes of the reference series, as on a workstation.
Their points are the midpoints of the pixels' edges, so a row of n pixels is n pixels long and a lesion of one voxel
has the size of one pixel; between pixel centres it would have none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from worker.lesions.components import LesionMap
from worker.volume.geometry import Float64, Volume

Point = tuple[float, float, float]
_EDGE_MIDPOINTS_YX = np.array([(-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5)])


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The numbers of one lesion. Points are LPS mm."""

    volume_ml: float
    long_axis_mm: float
    short_axis_mm: float
    """Extent at right angles to the long axis, in the same plane."""
    long_axis_ends_mm: tuple[Point, Point]
    centroid_mm: Point
    mean_probability: float
    max_probability: float


def measure_lesions(lesions: LesionMap, probability: Volume) -> tuple[Measured, ...]:
    """The measurements of all lesions, in the order of their numbers. Both arguments lie on the same grid."""
    boxes = find_objects(lesions.labels, max_label=lesions.count)
    return tuple(_measure(number, box, lesions, probability) for number, box in enumerate(boxes, start=1))


def _measure(number: int, box: tuple[slice, slice, slice], lesions: LesionMap, probability: Volume) -> Measured:
    mask = lesions.labels[box] == number
    offset = np.array([part.start for part in box])
    voxels_zyx = np.argwhere(mask) + offset
    values = probability.voxels[box][mask].astype(np.float64)
    long_axis_mm, short_axis_mm, ends_mm = _axes(voxels_zyx, lesions)
    return Measured(
        volume_ml=len(voxels_zyx) * lesions.grid.voxel_volume_mm3 / 1000.0,
        long_axis_mm=long_axis_mm,
        short_axis_mm=short_axis_mm,
        long_axis_ends_mm=(_point(ends_mm[0]), _point(ends_mm[1])),
        centroid_mm=_point(lesions.grid.to_mm(voxels_zyx.mean(axis=0))),
        mean_probability=float(values.mean()),
        max_probability=float(values.max()),
    )


def _axes(voxels_zyx: NDArray[np.int64], lesions: LesionMap) -> tuple[float, float, Float64]:
    """Long axis, short axis and the long axis' two ends (2, 3), of the plane where the long axis is longest."""
    best = (-1.0, 0.0, np.zeros((2, 3)))
    for z in np.unique(voxels_zyx[:, 0]):
        hull_mm = _hull_mm(voxels_zyx[voxels_zyx[:, 0] == z, 1:], int(z), lesions)
        distances = cdist(hull_mm, hull_mm)
        one, other = np.unravel_index(int(distances.argmax()), distances.shape)
        length = float(distances[one, other])
        if length > best[0] + 1e-9:
            ends = hull_mm[[one, other]]
            best = (length, _width_across(hull_mm, ends, lesions), ends)
    return best


def _hull_mm(pixels_yx: NDArray[np.int64], z: int, lesions: LesionMap) -> Float64:
    """(H, 3) LPS mm: the convex hull of one plane's pixels."""
    points = (pixels_yx[:, None, :] + _EDGE_MIDPOINTS_YX[None, :, :]).reshape(-1, 2)
    corners = points[np.sort(ConvexHull(points).vertices)]
    return lesions.grid.to_mm(np.column_stack([np.full(len(corners), float(z)), corners]))


def _width_across(hull_mm: Float64, ends_mm: Float64, lesions: LesionMap) -> float:
    """Extent of the hull at right angles to the line between `ends_mm`, in the plane."""
    along = ends_mm[1] - ends_mm[0]
    normal = np.cross(lesions.grid.direction[:, 0], lesions.grid.direction[:, 1])
    across = np.cross(normal, along / np.linalg.norm(along))
    return float(np.ptp(hull_mm @ across))


def _point(point_mm: Float64) -> Point:
    x, y, z = (float(v) for v in point_mm)
    return x, y, z
