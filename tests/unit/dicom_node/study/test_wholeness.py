"""A stack of slices is whole when it covers a head without a gap, whatever its direction and order."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.study.wholeness import Point, is_whole


def stack(count: int, spacing_mm: float, direction: Point = (0, 0, 1)) -> list[Point | None]:
    length = math.dist((0, 0, 0), direction)
    return [
        (
            5 + direction[0] / length * spacing_mm * n,
            -7 + direction[1] / length * spacing_mm * n,
            30 + direction[2] / length * spacing_mm * n,
        )
        for n in range(count)
    ]


@given(
    count=st.integers(110, 200),
    direction=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.2, 1)),
    seed=st.integers(0, 99),
)
def test_a_shuffled_stack_in_any_direction_is_whole(count: int, direction: Point, seed: int) -> None:
    positions = stack(count, 1.0, direction)
    random.Random(seed).shuffle(positions)
    assert is_whole(positions)


@given(missing=st.integers(1, 158))
def test_one_missing_slice_within_is_seen(missing: int) -> None:
    positions = stack(160, 1.0)
    del positions[missing]
    assert not is_whole(positions)


@pytest.mark.parametrize(
    "positions",
    [
        pytest.param([], id="nothing"),
        pytest.param(stack(60, 1.0), id="the beginning of a stack"),
        pytest.param(stack(5, 30.0), id="a localizer"),
        pytest.param([*stack(160, 1.0), None], id="a slice without a position"),
        pytest.param(stack(160, 1.0) * 2, id="every slice twice"),
        pytest.param([(1.0, 2.0, 3.0)] * 160, id="all in one place"),
    ],
)
def test_what_is_not_whole(positions: list[Point | None]) -> None:
    assert not is_whole(positions)


def test_a_multi_frame_object_is_whole_by_itself() -> None:
    assert is_whole([None], frames=176)
