"""Smooth fields keep their variance and correlate over their length."""

import numpy as np
import pytest

from training.cohort.fields import smooth_field, upsample


def test_field_has_unit_variance_and_its_length() -> None:
    """Variance about 1 whatever the length; neighbours alike, distant voxels not."""
    field = smooth_field(np.random.default_rng(0), (64, 64, 64), (1.0, 1.0, 1.0), 4.0)
    assert field.dtype == np.float32
    assert field.std() == pytest.approx(1.0, abs=0.1)
    assert np.corrcoef(field[:, :, :-1].ravel(), field[:, :, 1:].ravel())[0, 1] > 0.9
    assert abs(np.corrcoef(field[:, :, :-20].ravel(), field[:, :, 20:].ravel())[0, 1]) < 0.1


def test_upsampling_is_linear() -> None:
    """A ramp stays a ramp."""
    ramp = np.arange(8, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), dtype=np.float32)
    fine = upsample(ramp, (15, 7, 7), 2)
    assert fine[:, 3, 3] == pytest.approx(np.arange(15) / 2)
