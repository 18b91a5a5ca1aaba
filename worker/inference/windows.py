"""Five slices for each slice: how a stack becomes the network's inputs (paper, Fig. 4). Shared with training.

Beyond the volume stand zeros. Called by worker/inference/predict and training. Knows arrays only.
"""

import numpy as np
from numpy.typing import NDArray

from model.channels import SLICES

Float32 = NDArray[np.float32]


def window(stack: Float32, centre: int) -> Float32:
    """(S, Z, Y, X) and a slice -> (S * 5, Y, X): of each sequence the slices centre-2 to centre+2."""
    sequences, slices, rows, columns = stack.shape
    taken = np.zeros((sequences, SLICES, rows, columns), dtype=np.float32)
    first = centre - SLICES // 2
    low, high = max(0, first), min(slices, first + SLICES)
    taken[:, low - first : high - first] = stack[:, low:high]
    return taken.reshape(sequences * SLICES, rows, columns)


def filled_slices(stack: Float32) -> list[int]:
    """Slices of (S, Z, Y, X) that hold anything but zeros: in the others no lesion can be."""
    return [int(z) for z in np.flatnonzero(stack.any(axis=(0, 2, 3)))]
