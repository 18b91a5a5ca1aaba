"""An outline that is filled gives the mask back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path

from worker.results.outlines import Outline, outlines


def filled(lines: tuple[Outline, ...], shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre lies within an odd number of outlines."""
    centres = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 2)
    inside = np.zeros(len(centres), dtype=int)
    for line in lines:
        inside += Path(np.vstack([line, line[:1]])).contains_points(centres)
    return (inside % 2 == 1).reshape(shape)


@settings(deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_any_mask_comes_back(mask: np.ndarray) -> None:
    assert np.array_equal(filled(outlines(mask), mask.shape), mask)


def test_one_voxel_is_a_square_of_one_voxel() -> None:
    mask = np.zeros((3, 3), dtype=bool)
    mask[1, 2] = True
    (line,) = outlines(mask)
    assert sorted(map(tuple, line.tolist())) == [(0.5, 1.5), (0.5, 2.5), (1.5, 1.5), (1.5, 2.5)]


def test_pixels_that_touch_at_a_corner_have_outlines_of_their_own() -> None:
    assert len(outlines(np.eye(3, dtype=bool))) == 3


def test_a_cavity_has_an_outline_unless_it_is_filled() -> None:
    ring = np.ones((5, 5), dtype=bool)
    ring[2, 2] = False
    assert len(outlines(ring)) == 2
    (outer,) = outlines(ring, fill_cavities=True)
    assert len(outer) == 4, "only the corners where the line turns"


def test_an_empty_mask_has_none() -> None:
    assert outlines(np.zeros((4, 4), dtype=bool)) == ()
