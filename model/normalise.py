"""Intensities of one sequence on one scale, whatever the scanner: the same code in training and in serving.

The median of the deep brain becomes 1. It is taken over the core of the head: from `CORE_MM` below the top, inside the
inner part of each slice's ellipse. Skull, scalp, neck, air and most lesions lie outside of it, so a scan with its skull
and the same scan without are scaled alike, and a few outliers change nothing. Zeros (outside of the field of view, or
masked) stay zeros: with input dropout zero is what the network takes for "nothing known".

Called by training/sampling and worker/inference/predict. Knows arrays only.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

GAIN = 3.0
"""Encoded units for one median: brings the spread of brain tissue near 1."""
CEILING = 4.0
"""In medians: enhancing vessels of a gradient echo reach 6 and say no more at 6 than at 4."""
CORE_MM = (20, 110)
"""Below the top of the head: from the vertex to about the base of the brain; slices are 1 mm apart."""
FOREGROUND_FRACTION = 0.15
"""Of the 98th percentile of the positive voxels: above it lies tissue, below it air."""
SLICE_FOREGROUND = 0.02
"""A slice with less tissue than this share of its area is above the head or empty."""
CORE_RADIUS = 1.1
"""In standard deviations of the slice's tissue about its centre; a full ellipse ends at 2."""
STEP = 2
"""Every second voxel along each axis is enough for a median."""
KIND = "core-median"
"""The one law of this release, as a card names it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalisation:
    """The numbers of the law, as they are saved in the model card. Raises ValueError for another law."""

    gain: float = GAIN
    ceiling: float = CEILING
    kind: str = KIND

    def __post_init__(self) -> None:
        if self.kind != KIND:
            raise ValueError(f"normalisation: this release knows {KIND}, not {self.kind!r}")
        if not all(0 < number < math.inf for number in (self.gain, self.ceiling)):
            raise ValueError(f"normalisation: gain {self.gain} and ceiling {self.ceiling} are not numbers above 0")

    def encode(self, ratio: Float32) -> Float32:
        """Medians -> what the network reads: (ratio - 1) gain, the ratio held between 0 and ceiling; zeros stay zero.

        Below 0 lies only padding in the air: it is read as the darkest air.
        """
        encoded = np.clip(ratio, np.float32(0), np.float32(self.ceiling))
        encoded -= np.float32(1)
        encoded *= np.float32(self.gain)
        encoded[ratio == 0] = 0
        return encoded

    def apply(self, volume: Float32) -> Float32:
        """(Z, Y, X) raw intensities of one sequence, superior slices last -> encoded float32; zeros stay zero."""
        factor = np.float32(1 / reference_intensity(volume))
        encoded = np.empty(volume.shape, dtype=np.float32)
        for plane, result in zip(volume, encoded, strict=True):  # one at a time stays in the processor's cache
            result[:] = self.encode(plane * factor)
        return encoded


def reference_intensity(volume: NDArray[np.floating]) -> float:
    """The median of the deep brain of (Z, Y, X), superior slices last; 1.0 for a volume without positive voxels."""
    sampled = np.asarray(volume[::STEP, ::STEP, ::STEP], dtype=np.float32)
    positive = sampled[sampled > 0]
    if positive.size == 0:
        return 1.0
    tissue = sampled > FOREGROUND_FRACTION * np.percentile(positive, 98)
    core = tissue & _core(tissue)
    chosen = sampled[core] if core.sum() > positive.size // 200 else sampled[tissue]
    return float(np.median(chosen)) or 1.0


def _core(tissue: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The deep part of the head: a mask like `tissue` (Z, Y, X)."""
    core = np.zeros_like(tissue)
    filled = np.flatnonzero(tissue.mean(axis=(1, 2)) > SLICE_FOREGROUND)
    if filled.size == 0:
        return core
    top = filled[-1]
    for z in range(max(0, top - CORE_MM[1] // STEP), max(1, top - CORE_MM[0] // STEP + 1)):
        rows, columns = np.nonzero(tissue[z])
        if rows.size < 50:
            continue
        y = (np.arange(tissue.shape[1]) - rows.mean()) / max(float(rows.std()), 1.0)
        x = (np.arange(tissue.shape[2]) - columns.mean()) / max(float(columns.std()), 1.0)
        core[z] = y[:, None] ** 2 + x[None, :] ** 2 < CORE_RADIUS**2
    return core
