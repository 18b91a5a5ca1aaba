"""Intensities as float16, which is how patients lie on disk (training/patients): three figures, none below 6e-8.

Called by training/prepare and training/cohort/cache. Knows arrays only; a scale changes nothing in training or
evaluation, because model/normalise takes it out again.
"""

import numpy as np
from numpy.typing import NDArray

TOP = 1000
"""What a sequence's 99.9th percentile is scaled to."""
LARGEST = 60000
"""Float16 ends at 65504."""
_SMALLEST_TOP = 1
"""A sequence whose 99.9th percentile is below it loses figures: float16 has all of them above 6e-5 only."""


def to_float16(stacked: NDArray[np.float32], *, only_where_needed: bool = False) -> NDArray[np.float16]:
    """(C, Z, Y, X) as float16, each sequence scaled so that its 99.9th percentile is `TOP`; empty ones stay zero.

    With `only_where_needed` a sequence that float16 holds as it is keeps its scale. What lies beyond `LARGEST` is cut.
    """
    peaks = np.abs(stacked).max(axis=(1, 2, 3))
    tops = np.percentile(stacked[:, ::2, ::4, ::4], 99.9, axis=(1, 2, 3)).astype(np.float32)
    tops = np.where(tops > 0, tops, peaks)
    factors = np.where(tops > 0, TOP / np.maximum(tops, np.float32(1e-30)), 0).astype(np.float32)
    if only_where_needed:
        factors[(tops >= _SMALLEST_TOP) & (peaks <= LARGEST)] = 1
    halved = np.empty(stacked.shape, dtype=np.float16)
    for target, volume, factor in zip(halved, stacked, factors, strict=True):
        target[...] = np.clip(volume * factor, -LARGEST, LARGEST)
    return halved
