"""The outlines of a mask: closed lines along the edges of its pixels.

Called by rtstruct, secondary_capture and preview. Pure. The line runs on the pixels' edges and not through their
centres, so a pixel whose centre lies inside the line is a pixel of the mask: a planning system that fills the outline
gets the mask back, and a lesion of one voxel is a square of one voxel.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes

Outline = NDArray[np.float64]
_Corner = tuple[int, int]


def outlines(mask_yx: NDArray[np.bool_], *, fill_cavities: bool = False) -> tuple[Outline, ...]:
    """The outlines of (Y, X) bool as (N, 2) row, column of pixel indices, centres at whole numbers; not repeated
    at the end. Pixels that touch at a corner only have outlines of their own. Cavities have their own outline, or
    none with `fill_cavities`. The order follows from the mask.
    """
    mask = binary_fill_holes(mask_yx) if fill_cavities else mask_yx
    following = _edges(np.pad(np.asarray(mask, dtype=bool), 1))
    found = []
    while following:
        found.append(_without_straight_corners(_walk(following)) - 1.5)
    return tuple(found)


def _edges(padded: NDArray[np.bool_]) -> dict[_Corner, list[_Corner]]:
    """Each corner of the outline and where the lines go from it, the mask at the right hand."""
    edges: dict[_Corner, list[_Corner]] = {}

    def add(corners: NDArray[np.int64], start: _Corner, end: _Corner) -> None:
        for row, column in corners.tolist():
            edges.setdefault((row + start[0], column + start[1]), []).append((row + end[0], column + end[1]))

    inner = padded[1:-1, 1:-1]
    add(np.argwhere(inner & ~padded[:-2, 1:-1]) + 1, (0, 0), (0, 1))
    add(np.argwhere(inner & ~padded[1:-1, 2:]) + 1, (0, 1), (1, 1))
    add(np.argwhere(inner & ~padded[2:, 1:-1]) + 1, (1, 1), (1, 0))
    add(np.argwhere(inner & ~padded[1:-1, :-2]) + 1, (1, 0), (0, 0))
    return dict(sorted(edges.items()))


def _walk(following: dict[_Corner, list[_Corner]]) -> list[_Corner]:
    """Take one closed line out of the edges. Where two pixels touch at a corner it turns right, around its own."""
    start = next(iter(following))
    line = [start]
    here, direction = start, (0, 1)
    while True:
        choices = following[here]
        right = (here[0] + direction[1], here[1] - direction[0])
        step = right if right in choices else choices[0]
        choices.remove(step)
        if not choices:
            del following[here]
        direction = (step[0] - here[0], step[1] - here[1])
        here = step
        if here == start:
            return line
        line.append(here)


def _without_straight_corners(line: list[_Corner]) -> Outline:
    """Only the corners where the line turns, (N, 2)."""
    corners = np.array(line, dtype=np.float64)
    before, after = np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0)
    turns = np.any(corners - before != after - corners, axis=1)
    kept: Outline = corners[turns]
    return kept
