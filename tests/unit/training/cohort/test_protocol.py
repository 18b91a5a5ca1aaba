"""Examinations are those of Table 3 of the paper, and the randomised ones vary as widely as they promise."""

import numpy as np
import pytest

from dicom_node.contract.slots import SequenceSlot
from training.cohort.protocol import Plane, Protocol, Site, draw_protocol
from training.cohort.signal import Contrast


def _draw(site: Site, count: int = 200) -> list[Protocol]:
    return [draw_protocol(site, np.random.default_rng(seed)) for seed in range(count)]


def test_site_a_has_four_sequences_and_two_field_strengths() -> None:
    """Table 3, hospital A: 7 of 100 patients at 1.5 T, each field with its own timing; BRAVO axial."""
    for protocol in _draw(Site.A):
        series = {s.slot: s for s in protocol.series}
        assert tuple(series) == tuple(SequenceSlot)
        low = protocol.field_t == 1.5
        assert series[SequenceSlot.POST_CUBE].nominal.te_ms == (9.54 if low else 12.72)
        assert series[SequenceSlot.FLAIR].nominal.ti_ms == (1880 if low else 1700)
        assert series[SequenceSlot.BRAVO].geometry.plane is Plane.AXIAL
        assert series[SequenceSlot.FLAIR].geometry.plane is Plane.SAGITTAL
        if not protocol.vendor.startswith("SIEMENS"):
            assert series[SequenceSlot.BRAVO].nominal.flip_deg == (20 if low else 13)
    assert 0.02 < np.mean([p.field_t == 1.5 for p in _draw(Site.A)]) < 0.15


def test_site_b_is_a_skyra_without_bravo() -> None:
    """Table 3, hospital B: SPACE of 192 and FLAIR of 208 sagittal slices of 0.9 mm at 3 T."""
    for protocol in _draw(Site.B, 10):
        assert (protocol.vendor, protocol.model, protocol.field_t) == ("SIEMENS", "Skyra", 3.0)
        assert [s.slot for s in protocol.series] == list(SequenceSlot)[1:]
        assert [s.geometry.slices for s in protocol.series] == [192, 192, 208]
        assert {s.geometry.slice_mm for s in protocol.series} == {0.9}


def test_only_what_follows_the_injection_is_after_gadolinium() -> None:
    """The pre-Gd CUBE never, BRAVO and the post-Gd CUBE always, at every site."""
    for site in Site:
        for protocol in _draw(site, 20):
            for series in protocol.series:
                if series.slot is not SequenceSlot.FLAIR:
                    assert series.after_gd == (series.slot is not SequenceSlot.PRE_CUBE)


def test_randomised_examinations_vary_widely() -> None:
    """A third without skull, thick and thin slices, both kinds of contrast in the BRAVO slot."""
    protocols = _draw(Site.RANDOMISED)
    assert 0.25 < np.mean([p.stripped for p in protocols]) < 0.55
    assert 0.15 < np.mean([p.defaced for p in protocols]) < 0.45
    flair = [s for p in protocols for s in p.series if s.slot is SequenceSlot.FLAIR]
    assert 0.3 < np.mean([s.geometry.slice_mm > 2 for s in flair]) < 0.6
    bravo = [s.pulse.contrast for p in protocols for s in p.series if s.slot is SequenceSlot.BRAVO]
    assert {Contrast.IR_GRE, Contrast.GRE, Contrast.SE} == set(bravo)


def test_thick_slices_are_acquired_one_by_one() -> None:
    """None at sites A and B, where 3D sequences are the paper's."""
    flat = {site: {s.geometry.two_dimensional for p in _draw(site, 30) for s in p.series} for site in Site}
    assert flat == {Site.A: {False}, Site.B: {False}, Site.RANDOMISED: {False, True}}


@pytest.mark.parametrize("site", list(Site))
def test_a_seed_gives_one_examination(site: Site) -> None:
    """Equal seeds, equal protocols."""
    assert draw_protocol(site, np.random.default_rng(5)) == draw_protocol(site, np.random.default_rng(5))
