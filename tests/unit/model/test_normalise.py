"""One scale for each sequence: indifferent to scanner, skull, outliers; zeros stay zeros."""

import numpy as np
import pytest

from model.normalise import Normalisation, reference_intensity

Z, Y, X = np.ogrid[-125:75, -128:128, -128:128]
RADIUS = np.sqrt((Y / 90) ** 2 + (X / 70) ** 2 + (Z / 72) ** 2)
BRAIN = RADIUS < 0.85
SKULL = (RADIUS > 0.92) & (RADIUS < 1)
NECK = (Z < -45) & (np.hypot(Y / 75, X / 65) < 1) & (RADIUS > 1)


def head(*, skull: bool = True) -> np.ndarray:
    """(200, 256, 256): a brain of 100 from slice 64 to 186; with a skull also a bright neck below slice 80."""
    rng = np.random.default_rng(0)
    volume = np.where(BRAIN, 100.0, 0.0) + np.where(SKULL & skull, 260.0, 0.0) + np.where(NECK & skull, 220.0, 0.0)
    return (volume * (1 + 0.1 * rng.standard_normal(volume.shape))).astype(np.float32)


def test_the_deep_brain_is_the_unit():
    assert reference_intensity(head()) == pytest.approx(100, rel=0.02)


def test_a_stripped_scan_is_scaled_as_the_whole_one():
    assert reference_intensity(head(skull=False)) == pytest.approx(reference_intensity(head()), rel=0.01)


def test_superior_slices_are_last():
    """Upside down most of the core is neck: the order of the slices is part of the law."""
    assert reference_intensity(head()[::-1]) > 150


def test_a_few_spikes_change_nothing():
    spiked = head()
    spiked[75, :8, :8] = 1e6
    assert reference_intensity(spiked) == pytest.approx(100, rel=0.02)


def test_the_scanners_scale_falls_out():
    once, more = (Normalisation().apply(head() * np.float32(f)) for f in (1, 37))
    assert np.abs(once - more).max() < 1e-4


def test_zeros_stay_zeros_and_the_ceiling_holds():
    volume = head()
    volume[75, 128, 128] = 1e5
    encoded = Normalisation().apply(volume)
    assert not encoded[volume == 0].any()
    assert encoded.max() == pytest.approx((4 - 1) * 3)


def test_padding_below_zero_is_read_as_dark_air():
    volume = head()
    volume[10, :20, :20] = -32768
    dark = head()
    dark[10, :20, :20] = 1e-3
    assert np.abs(Normalisation().apply(volume) - Normalisation().apply(dark)).max() < 1e-4


def test_an_empty_volume_stays_empty():
    assert not Normalisation().apply(np.zeros((10, 256, 256), dtype=np.float32)).any()


@pytest.mark.parametrize("numbers", [{"kind": "z-score"}, {"gain": 0}, {"ceiling": float("nan")}, {"gain": "3"}])
def test_another_law_is_refused(numbers):
    """A card that names one was otherwise served with this one."""
    with pytest.raises((ValueError, TypeError), match=r"normalisation|not supported"):
        Normalisation(**numbers)
