"""Whether a series has arrived whole, as far as its slice positions tell. Pure; called by lifecycle.py."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

LARGEST_GAP = 1.5
"""In median distances of neighbouring slices: more means that one is missing."""
SMALLEST_STACK = 10
"""Fewer slices than this are a localizer, or the beginning of something."""

SMALLEST_COVERAGE_MM = 100.0
"""From the first slice to the last. A head is 140 mm or more in every direction, so less may be the beginning of a
stack that still arrives; then the settle time decides."""

Point = tuple[float, float, float]


def is_whole(positions_mm: Sequence[Point | None], frames: int = 1) -> bool:
    """Whether the slices at `positions_mm` (ImagePositionPatient, LPS) make a stack without a gap.

    A multi-frame object (`frames` > 1) is whole by itself. None stands for a position that is not known.
    """
    if frames > 1:
        return True
    known = [point for point in positions_mm if point is not None]
    if len(known) < SMALLEST_STACK or len(known) != len(positions_mm):
        return False
    along = _along_the_stack(known)
    steps = [after - before for before, after in pairwise(along)]
    typical = median(steps)
    return typical > 0 and max(steps) <= LARGEST_GAP * typical and along[-1] - along[0] >= SMALLEST_COVERAGE_MM


def _along_the_stack(points: Sequence[Point]) -> list[float]:
    """Distances along the line through the two slices that lie farthest apart, ascending."""
    first = points[0]
    far = max(points, key=lambda p: _square(p, first))
    other = max(points, key=lambda p: _square(p, far))
    length = _square(far, other) ** 0.5 or 1.0
    axis = [(b - a) / length for a, b in zip(far, other, strict=True)]
    return sorted(sum((p - o) * u for p, o, u in zip(point, far, axis, strict=True)) for point in points)


def _square(one: Point, other: Point) -> float:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
