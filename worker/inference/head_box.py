"""The box about the head in each slice: about half of a slice is air, which the network need not be asked about.

Boxes are found on blocks of 8 x 8 pixels by their brightness, with 8 to 16 pixels about them; outside the head the
pipeline calls nothing anyhow (worker/volume/head). Beyond a box the network pads with zeros, as it does beyond a slice;
it was trained on crops. Called by worker/inference/predict. Knows arrays only.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model.channels import SLICES
from model.normalise import reference_intensity
from worker.volume.head import block_mean

Float32 = NDArray[np.float32]
Blocks = NDArray[np.bool_]
Box = tuple[slice, slice]
BLOCK_PX: Final = 8
_BRIGHT_PERCENT: Final = 99
"""Percentile of all blocks: of fat, or of tissue where a brain was cut out."""
_DIM: Final = 0.08
"""Of the way from the darkest block to that: air lies lower but in the noisiest images, and tissue higher, far from the
coil and beside bright fat too."""
_MOST_REFERENCES: Final = 5.0
"""What is brighter than so many medians of the deep brain counts as that: where the coil, or blood that flows in,
shines in some slices, the others are no air. In synthetic patients and gliomas fat reaches 4."""
_MARGIN: Final = 1
"""Blocks about the head."""
_CORNER: Final = 2
"""Corners lie on every second block: the network halves its input three times, at half the resolution too. And there
are fewer sizes so: the engine prepares itself for each."""


def occupied(volumes: Sequence[Float32]) -> Blocks:
    """Where tissue may be read: intensities (Z, Y, X) of each sequence -> (Z, Y / 8, X / 8).

    A slice is read with its two neighbours on either side, so that what they hold counts for it too. Where nothing
    stands out, all counts.
    """
    held = np.zeros((len(volumes[0]), *(side // BLOCK_PX for side in volumes[0].shape[1:])), dtype=np.bool_)
    for volume in volumes:
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large to be compared counts
            means = block_mean(volume, (1, BLOCK_PX, BLOCK_PX))
            darkest, bright = np.percentile(means, (0, _BRIGHT_PERCENT))
            bright = min(bright, _MOST_REFERENCES * reference_intensity(volume))
            held |= ~(means < darkest + _DIM * (bright - darkest))
    return read(held)


def read(held: Blocks) -> Blocks:
    """What of (Z, Y, X) lies in the five slices that are read for each."""
    result: Blocks = ndimage.maximum_filter1d(held, SLICES, axis=0, mode="constant", cval=0)
    return result


def halved_blocks(held: Blocks) -> Blocks:
    """The blocks of half the resolution, (ceil(Z / 2), Y, X): as many, of 4 x 4 pixels."""
    return read(np.logical_or.reduceat(held, np.arange(0, len(held), 2), axis=0))


def box(held: Blocks, block_px: int) -> Box:
    """Rows and columns of a box about what is held in any of some slices (Z, Y, X), in pixels. One has to be."""
    seen = np.logical_or.reduce(held, axis=0)
    return _span(np.logical_or.reduce(seen, axis=1), block_px), _span(np.logical_or.reduce(seen, axis=0), block_px)


def _span(line: Blocks, block_px: int) -> slice:
    places = np.flatnonzero(line)
    first = max(0, int(places[0]) - _MARGIN) // _CORNER * _CORNER
    last = -(-(int(places[-1]) + 1 + _MARGIN) // _CORNER) * _CORNER
    return slice(first * block_px, min(last, len(line)) * block_px)
