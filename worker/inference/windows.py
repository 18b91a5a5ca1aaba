"""Five slices for each slice: how a stack becomes the network's inputs (paper, Fig. 4). Shared with training.

Called by worker/inference/predict and training. Knows arrays only.
"""

import numpy as np
from numpy.typing import NDArray

from model.edge import EdgeRule, five_slices

Float32 = NDArray[np.float32]


def window(stack: Float32, centre: int, rule: EdgeRule) -> Float32:
    """(S, Z, Y, X) and a slice -> (S * 5, Y, X): of each sequence the slices centre-2 to centre+2."""
    return five_slices(stack, centre, rule).reshape(-1, *stack.shape[2:])


def filled_slices(stack: Float32) -> list[int]:
    """Slices of (S, Z, Y, X) that hold anything but zeros: in the others no lesion can be."""
    return [int(z) for z in np.flatnonzero(stack.any(axis=(0, 2, 3)))]
