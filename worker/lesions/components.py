"""From mask to lesions: connected components, the large ones first.

Called by the pipeline after inference; its `LesionMap` goes on to measure, tracking and results. Knows no DICOM.
Connectivity and size limit are the paper's (Methods: 26-connectivity, objects from 10 mm3 up).
"""

from dataclasses import dataclass
from typing import Any, Final

import cc3d
import numpy as np
from numpy.typing import NDArray

from worker.lesions.threshold import above
from worker.volume.geometry import Grid, Volume

CONNECTIVITY: Final = 26
MINIMUM_MM3 = 10.0

Labels = NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True, eq=False)
class LesionMap:
    """Which voxel belongs to which lesion."""

    labels: Labels
    """(Z, Y, X) uint16 on the reference's native grid: 0 is background, 1 the largest lesion, and so on."""
    grid: Grid
    count: int

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(Z, Y, X) bool: all lesions together."""
        found: NDArray[np.bool_] = self.labels > 0
        return found


def find_lesions(probability: Volume, threshold: float, minimum_mm3: float = MINIMUM_MM3) -> LesionMap:
    """The lesions of a probability map on the reference's native grid.

    Components below `minimum_mm3` are removed. Equal volumes are ordered by their first voxel, so that the same
    input gives the same numbers. Raises `WorkerError` where threshold or probability make no sense.
    """
    components, count = cc3d.connected_components(
        above(probability, threshold), connectivity=CONNECTIVITY, return_N=True
    )
    grid = probability.grid
    if count == 0:
        return LesionMap(labels=np.zeros(grid.shape_zyx, np.uint16), grid=grid, count=0)
    voxels = np.bincount(components.ravel(), minlength=count + 1)[1:]
    first = _first_voxels(components, count)
    order = sorted(range(count), key=lambda n: (-voxels[n], first[n]))
    kept = [n for n in order if voxels[n] * grid.voxel_volume_mm3 >= minimum_mm3]
    renumbered = np.zeros(count + 1, dtype=np.uint16)
    renumbered[np.array(kept, dtype=np.int64) + 1] = np.arange(1, len(kept) + 1, dtype=np.uint16)
    return LesionMap(labels=renumbered[components], grid=grid, count=len(kept))


def _first_voxels(components: NDArray[Any], count: int) -> NDArray[np.int64]:
    """For each component 1 to count the flat index of its first voxel."""
    flat = np.flatnonzero(components)
    first = np.full(count + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, components.ravel()[flat], flat)
    return first[1:]
