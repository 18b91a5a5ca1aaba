"""Whatever unit a scanner or a conversion chose, its figures survive on disk."""

import numpy as np
import pytest

from training.half_precision import to_float16

RAMP = np.linspace(0, 1, 2 * 64 * 64, dtype=np.float32).reshape(2, 64, 64)


@pytest.mark.parametrize("scale", [1e-30, 2e-8, 1e-7, 0.5, 1.0, 5e4, 1e6, 1e30])
def test_a_sequence_of_any_scale_keeps_its_figures(scale: float) -> None:
    stacked = np.stack([RAMP * np.float32(scale), RAMP * 300, np.zeros_like(RAMP)])
    half = to_float16(stacked, only_where_needed=True)
    assert half.dtype == np.float16
    inner = np.s_[:, 8:-8]
    np.testing.assert_allclose(
        half[0][inner] / np.float32(half[0, 1, 32, 32]), RAMP[inner] / RAMP[1, 32, 32], rtol=1.5e-3
    )
    np.testing.assert_array_equal(half[1], stacked[1].astype(np.float16))
    assert not half[2].any()


def test_the_cohort_is_scaled_by_the_99_9th_percentile_and_cut_where_float16_ends() -> None:
    stacked = np.stack([RAMP * 300, RAMP * 300])
    stacked[0, 1, 0, 0] = 1e9
    half = to_float16(stacked)
    assert half[0].max() == 60000
    assert np.percentile(half[1, ::2, ::4, ::4].astype(np.float32), 99.9) == pytest.approx(1000, rel=1e-3)


def test_a_lonely_spot_between_the_voxels_that_the_percentile_reads_is_no_empty_sequence() -> None:
    stacked = np.zeros((1, 4, 16, 16), dtype=np.float32)
    stacked[0, 1, 1, 1] = 1e-7
    assert to_float16(stacked, only_where_needed=True)[0, 1, 1, 1] == 1000
