"""From probability to mask, on the planes of the reference series.

Called by components. Pure; knows no DICOM. The threshold belongs to the subset of sequences and comes from the model
card (paper, Methods: by the Youden index on the validation set).
"""

import numpy as np
from numpy.typing import NDArray

from worker.errors import WorkerError
from worker.volume.geometry import Volume


def above(probability: Volume, threshold: float) -> NDArray[np.bool_]:
    """Where the probability reaches the threshold: (Z, Y, X) bool.

    Raises `WorkerError` for a threshold outside 0 to 1 and for a probability that is no number: either would give a
    mask that looks like a result.
    """
    if not 0.0 < threshold <= 1.0:
        raise WorkerError(f"a threshold of {threshold} gives no mask: it must be above 0 and at most 1")
    lowest, highest = float(probability.voxels.min()), float(probability.voxels.max())
    if not (lowest >= 0.0 and highest <= 1.0):
        raise WorkerError(f"the probability runs from {lowest} to {highest}, not from 0 to 1")
    mask: NDArray[np.bool_] = probability.voxels >= np.float32(threshold)
    return mask
