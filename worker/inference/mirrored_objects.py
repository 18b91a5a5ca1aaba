"""What the network calls is asked again in the mirror image, and the mean of both answers counts.

At test time DeepLab V3 averages over mirror images (Chen et al. 2017, arXiv:1706.05587, section 4.1), which takes twice
the time. At a threshold t a mean of two calls only what the first gives 2 t - 1: at .75 and above nothing is called of
what the first gives less than .5, so that only windows about what it gives more are asked again, one or two quarters of
a slice in which there is any. A window shows less around an object than the slice does, so that this is a mean with a
crop as well, as training shows them. Called by worker/inference/predict. Knows arrays only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.channels import SIZE_PX

Float32 = NDArray[np.float32]
WINDOW_PX: Final = SIZE_PX // 2
"""As the second look at half the resolution has: one engine answers both (of any size where boxes are looked at)."""
_STEP: Final = WINDOW_PX // 2
CALLED: Final = 0.5
"""Probability from which a voxel is asked for again."""
LEAST_THRESHOLD: Final = (1 + CALLED) / 2
"""Below it, what the first answer gives less than `CALLED` could be called by the mean: whether it is asked for then
depends on its neighbours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """A window of a slice, and the part of it that counts: at least 32 pixels within, but for the slice's border."""

    window: tuple[slice, slice]
    part: tuple[slice, slice]
    within: tuple[slice, slice]
    """`part`, counted from the window's corner."""


def _tiles() -> Iterator[Tile]:
    """Windows that overlap by half; their parts cover each pixel once."""
    last = SIZE_PX - WINDOW_PX
    spans = []
    for first in range(0, last + 1, _STEP):
        low = first + _STEP // 2 if first else 0
        high = first + WINDOW_PX - _STEP // 2 if first < last else SIZE_PX
        spans.append((slice(first, first + WINDOW_PX), slice(low, high), slice(low - first, high - first)))
    for rows in spans:
        for columns in spans:
            window, part, within = zip(rows, columns, strict=True)
            yield Tile(window=window, part=part, within=within)


TILES: Final = tuple(_tiles())


def asked_again(probability: Float32) -> list[tuple[int, Tile]]:
    """The slices and windows of (Z, Y, X) in whose parts anything was called."""
    return [
        (int(z), tile)
        for z in np.flatnonzero((probability >= CALLED).any(axis=(1, 2)))
        for tile in TILES
        if (probability[z][tile.part] >= CALLED).any()
    ]
