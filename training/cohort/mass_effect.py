"""A growing lesion pushes the brain aside: sulci close and ventricles bend around it.

Called by lesions.py before a lesion is drawn. The tissue is moved along rays from the lesion's centre such that the
volume of the part that pushes is made room for; the skull holds.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.cohort.lesion_shape import box_around
from training.cohort.tissues import INTRACRANIAL

UInt8 = NDArray[np.uint8]
_REACH: Final = 3.0
"""Radii from the centre beyond which nothing moves."""


def push(
    tissue: UInt8,
    centre_zyx: NDArray[np.float64],
    radius_mm: float,
    fraction: float,
    spacing_zyx: tuple[float, float, float],
) -> None:
    """Move the tissue around a centre in place; `fraction` of the lesion's volume displaces, the rest replaces."""
    spacing = np.array(spacing_zyx)
    shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    box = box_around(shape, centre_zyx, _REACH * radius_mm / spacing)
    start = np.array([s.start for s in box], dtype=np.float64)
    axes = [(np.arange(s.start, s.stop) - c) * mm for s, c, mm in zip(box, centre_zyx, spacing, strict=True)]
    offset = np.stack(np.meshgrid(*axes, indexing="ij"))
    distance = np.maximum(np.sqrt((offset**2).sum(axis=0)), 1e-3)
    fading = np.clip((_REACH - distance / radius_mm) / (_REACH - 1), 0, 1)
    source = np.cbrt(np.maximum(distance**3 - fraction * fading * min(radius_mm, 20.0) ** 3, 0.0))
    scale = source / distance
    coordinates = [offset[axis] * scale / spacing[axis] + centre_zyx[axis] - start[axis] for axis in range(3)]
    moved = ndimage.map_coordinates(tissue[box], coordinates, order=0, mode="nearest", prefilter=False)
    movable = np.isin(tissue[box], INTRACRANIAL) & np.isin(moved, INTRACRANIAL)
    tissue[box][movable] = moved[movable]
