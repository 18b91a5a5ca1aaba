"""The best series of a slot wins, and losers say to which series they lost and why."""

from typing import Any

import pytest
from support import slot_headers as h

from dicom_node.contract.slots import SequenceSlot
from dicom_node.errors import SettingsError
from dicom_node.settings import SlotRule
from dicom_node.slots.classify import classify_study

KM = {"SeriesDescription": "T1 nach KM"}
REFORMAT = {"ImageType": ["DERIVED", "SECONDARY", "MPR"]}
LOSERS = [
    (h.siemens_space_t1(**KM), h.siemens_space_t1(**KM, **REFORMAT), "reformat"),
    (
        h.siemens_space_t1(**KM, NumberOfSeriesRelatedInstances=192),
        h.siemens_space_t1(**KM, NumberOfSeriesRelatedInstances=60, SliceThickness=0.5),
        "whole",
    ),
    (h.siemens_space_t1(**KM), h.siemens_space_t1(**KM, SliceThickness=3), "finer"),
    (h.siemens_space_flair(AcquisitionTime="101000"), h.siemens_space_flair(AcquisitionTime="100000"), "later"),
    (h.siemens_mprage(**KM), h.ge_bravo(**KM, InversionTime=None, SliceThickness=0.9), "prepared"),
]


@pytest.mark.parametrize(("winner", "loser", "reason"), LOSERS)
def test_the_better_one_wins(winner: dict[str, Any], loser: dict[str, Any], reason: str) -> None:
    """Whatever the order, the better one is chosen and the other says why it lost, and keeps its slot."""
    for series, best in (([winner, loser], 0), ([loser, winner], 1)):
        verdict = classify_study(series)
        slot = verdict.series[best].slot
        assert slot is not None
        assert verdict.chosen[slot] == best
        assert verdict.series[1 - best].slot is slot
        assert f"lost to series [{best}]" in verdict.series[1 - best].reasons[0]
        assert reason in verdict.series[1 - best].reasons[0]


def test_2d_flair_only_without_a_3d_one() -> None:
    """A 2D FLAIR serves alone, and says so; beside a 3D one it has no slot."""
    flat = h.siemens_space_flair(
        MRAcquisitionType="2D", SequenceName="*tir2d1", RepetitionTime=9000, EchoTime=90, InversionTime=2500
    )
    alone = classify_study([flat])
    assert alone.chosen == {SequenceSlot.FLAIR: 0}
    assert "2D FLAIR serves" in alone.series[0].reasons[0]
    beside = classify_study([flat, h.siemens_space_flair()])
    assert beside.chosen == {SequenceSlot.FLAIR: 1}
    assert beside.series[0].slot is None


def test_site_rules_come_first() -> None:
    """A glob or an expression on any attribute gives a slot, or ignores a series that the rules would take."""
    rules = (
        SlotRule(
            match={"SeriesDescription": "*hausprotokoll*", "Manufacturer": "siemens"}, slot=SequenceSlot.POST_CUBE
        ),
        SlotRule(match={"ImageType": "/DERIVED/", "SeriesNumber": "9*"}, slot="ignore"),
    )
    series = [
        h.siemens_space_t1(SeriesDescription="x HausProtokoll 7"),
        h.siemens_space_flair(ImageType=["DERIVED", "PRIMARY", "M"], SeriesNumber=901),
        h.siemens_space_flair(SeriesNumber=5),
    ]
    verdict = classify_study(series, rules)
    assert [s.slot for s in verdict.series] == [SequenceSlot.POST_CUBE, None, SequenceSlot.FLAIR]
    assert verdict.series[0].confidence == 1.0
    assert "rule 1 of this site" in verdict.series[0].reasons[0]
    assert "ignore" in verdict.series[1].reasons[0]


def test_a_broken_site_rule_is_named() -> None:
    """An expression that cannot be read is refused with its number, not at some later series."""
    with pytest.raises(SettingsError, match=r"rule 1.*SeriesDescription"):
        classify_study([], (SlotRule(match={"SeriesDescription": "/(/"}, slot="ignore"),))


def test_an_empty_study() -> None:
    """No series, no slots."""
    verdict = classify_study([])
    assert not verdict.chosen
    assert verdict.series == ()
