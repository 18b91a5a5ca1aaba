"""Gates: is this volume a whole enough brain MR to be given to the model, or the reason why not.

Called by the pipeline for the reference. Classical and quick; knows voxels and grids, headers only in `require_head`.
"""

import numpy as np

from worker.errors import InputRefused
from worker.volume.geometry import Volume

MINIMUM_SLICES = 10


def require_brain(volume: Volume) -> None:
    """Pass where the volume may be a brain, in any contrast, with or without skull. Raises InputRefused otherwise."""
    if not np.isfinite(volume.voxels).all():
        raise InputRefused("the volume has voxels that are no numbers")
    if volume.voxels.max() == volume.voxels.min():
        raise InputRefused("all voxels of the volume have the same value")
    if min(volume.grid.shape_zyx) < MINIMUM_SLICES:
        raise InputRefused(f"the volume has only {min(volume.grid.shape_zyx)} slices")
