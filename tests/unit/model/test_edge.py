"""The five slices about a slice, at the ends of a volume too."""

import numpy as np
import pytest

from model.edge import EdgeRule, five_slices

VOLUME = np.arange(1, 8, dtype=np.float32).reshape(7, 1, 1) * np.ones((1, 2, 3), np.float32)


@pytest.mark.parametrize(
    ("centre", "rule", "expected"),
    [
        (3, EdgeRule.ZEROS, [2, 3, 4, 5, 6]),
        (0, EdgeRule.ZEROS, [0, 0, 1, 2, 3]),
        (6, EdgeRule.ZEROS, [5, 6, 7, 0, 0]),
        (0, EdgeRule.REPEAT, [1, 1, 1, 2, 3]),
        (5, EdgeRule.REPEAT, [4, 5, 6, 7, 7]),
    ],
)
def test_slices_beyond_the_volume_follow_the_rule(centre, rule, expected):
    assert five_slices(VOLUME, centre, rule)[:, 1, 2].tolist() == expected


def test_a_volume_of_one_slice_has_five_all_the_same():
    assert five_slices(VOLUME[:1], 0, EdgeRule.REPEAT).shape == (5, 2, 3)
    assert five_slices(VOLUME[None, :1], 0, EdgeRule.ZEROS)[0, :, 0, 0].tolist() == [0, 0, 1, 0, 0]


def test_the_volume_itself_stays_as_it_was():
    before = VOLUME.copy()
    five_slices(VOLUME, 0, EdgeRule.ZEROS)[:] = 9
    assert (before == VOLUME).all()
