"""Before or after contrast agent: tags, words and the order in time, and abstention where they contradict."""

from typing import Any

import pytest
from support import slot_headers as h
from support.slot_headers import at

from dicom_node.contract.slots import SequenceSlot
from dicom_node.records import StudyVerdict
from dicom_node.slots.classify import classify_study

BRAVO, PRE, POST, FLAIR = SequenceSlot


def slots(*series: dict[str, Any]) -> list[SequenceSlot | None]:
    return [s.slot for s in classify_study(series).series]


def said(verdict: StudyVerdict, index: int) -> str:
    return "; ".join(verdict.series[index].reasons)


T2 = at("101000", 4, h.siemens_t2())
PRE_CUBE = at("100000", 3, h.siemens_space_t1())
POST_CUBE = at("103000", 9, h.siemens_space_t1())


def test_time_alone_divides_a_pair() -> None:
    """Two of a kind with others between: the first is without, the second with the agent."""
    assert slots(PRE_CUBE, T2, POST_CUBE) == [PRE, None, POST]
    assert slots(POST_CUBE, PRE_CUBE, T2) == [POST, PRE, None]


def test_last_after_another_t1_is_post() -> None:
    """A 3D T1 at the end of a study that began with a 2D T1 is what the agent was given for."""
    assert slots(at("100000", 2, h.siemens_t1_2d()), T2, at("102500", 8, h.siemens_mprage())) == [None, None, BRAVO]


def test_first_gradient_echo_has_no_slot() -> None:
    """An MPRAGE before the agent has no slot, and the reason says so."""
    verdict = classify_study([at("100000", 2, h.siemens_mprage()), T2, at("102500", 8, h.siemens_mprage())])
    assert [s.slot for s in verdict.series] == [None, None, BRAVO]
    assert "before contrast agent" in said(verdict, 0)


def test_alone_without_a_hint_abstains() -> None:
    """A single T1 says nothing of the agent, whatever else was imaged."""
    assert slots(PRE_CUBE) == [None]
    assert slots(at("095000", 2, h.siemens_space_flair()), T2, POST_CUBE) == [FLAIR, None, None]
    assert slots(at("100000", 2, h.localizer()), at("100300", 3, h.siemens_mprage())) == [None, None]


@pytest.mark.parametrize("agent", ["Gadovist", "DOTAREM 10 ml", "GADOLINIUM", "7.5 mL Gadavist IV"])
def test_tag_alone_is_enough(agent: str) -> None:
    """A contrast tag makes a single series post."""
    assert slots(h.ge_cube_t1(ContrastBolusAgent=agent)) == [POST]
    assert slots(h.ge_bravo(ContrastBolusAgent=agent)) == [BRAVO]


@pytest.mark.parametrize(
    "agent", ["", "NONE", "no", "None", "ohne", "-", "N", "w/o", "0", "NaN", "null", "N/A", None, [], {}]
)
def test_empty_or_denying_tags_never_make_post(agent: object) -> None:
    """A tag that denies, or is empty, is no agent."""
    assert slots(h.ge_bravo(ContrastBolusAgent=agent)) == [None]
    assert slots(h.ge_cube_t1(ContrastBolusAgent=agent)) == [None]


def test_enhanced_objects_say_whether_it_was_administered() -> None:
    """ContrastBolusAgentAdministered counts before the agent's name."""
    assert slots(h.philips_tfe(ContrastBolusAgent="Dotarem", ContrastBolusAgentAdministered="NO")) == [None]
    assert slots(h.philips_tfe(ContrastBolusAgentAdministered="YES")) == [BRAVO]


def test_words_alone_are_enough() -> None:
    """A description that names the agent makes a single series post, one that denies it pre."""
    assert slots(h.ge_cube_t1(SeriesDescription="Sag T1 Cube +C")) == [POST]
    assert slots(h.ge_cube_t1(SeriesDescription="Sag T1 Cube nativ")) == [PRE]


def test_tag_against_words_abstains() -> None:
    """A tag that names an agent and a description that denies it: nobody knows."""
    verdict = classify_study([h.ge_cube_t1(ContrastBolusAgent="Gadovist", SeriesDescription="T1 nativ")])
    assert verdict.series[0].slot is None
    assert "contradicts" in said(verdict, 0)


def test_words_against_time_abstain() -> None:
    """The first of a pair called post, the second silent: the first is not put into the opposite slot."""
    first = {**PRE_CUBE, "SeriesDescription": "t1_space+C"}
    second = {**POST_CUBE, "SeriesDescription": "t1_space"}
    assert slots(first, T2, second)[0] is None
    assert slots(first, T2, {**POST_CUBE, "SeriesDescription": "t1_space nativ"}) == [None, None, None]


def test_exam_wide_tag_abstains_on_the_first() -> None:
    """A scanner that writes the agent into every series: the first of the pair cannot be trusted, the second can."""
    tag = {"ContrastBolusAgent": "Gadovist"}
    assert slots({**PRE_CUBE, **tag}, {**T2, **tag}, {**POST_CUBE, **tag}) == [None, None, POST]


def test_bolus_start_dates_the_tag() -> None:
    """With ContrastBolusStartTime, a series before it is without the agent though the tag names it."""
    tag = {"ContrastBolusAgent": "Gadovist", "ContrastBolusStartTime": "102000"}
    assert slots({**PRE_CUBE, **tag}, T2, {**POST_CUBE, **tag}) == [PRE, None, POST]


def test_past_midnight() -> None:
    """A study that began before midnight and has no dates is not turned round."""
    before, after = at("235000", 3, h.siemens_space_t1()), at("001500", 9, h.siemens_space_t1())
    assert slots(before, after) == [PRE, POST]
    dated = ({**before, "AcquisitionDate": "20250101"}, {**after, "AcquisitionDate": "20250102"})
    assert slots(*dated) == [PRE, POST]


def test_two_scanners_have_no_order() -> None:
    """Series of two scanners, perhaps of two days, are not compared by the clock."""
    other = {**POST_CUBE, "ManufacturerModelName": "Aera", "MagneticFieldStrength": 1.5}
    assert slots(PRE_CUBE, other) == [None, None]


def test_clock_against_numbers_abstains() -> None:
    """Where series numbers contradict the clock, neither is believed."""
    assert slots(at("100000", 9, h.siemens_space_t1()), T2, at("103000", 3, h.siemens_space_t1())) == [None, None, None]


def test_numbers_serve_where_there_is_no_clock() -> None:
    """Without any time the series numbers give the order; hashes of an archive do not."""
    first, second = h.siemens_space_t1(SeriesNumber=3), h.siemens_space_t1(SeriesNumber=12)
    assert slots(first, second) == [PRE, POST]
    assert slots({**first, "SeriesNumber": 2820932113}, {**second, "SeriesNumber": 2976512678}) == [None, None]


def test_middle_of_three_abstains() -> None:
    """Of three of a kind the first and the last are certain."""
    middle = at("101500", 6, h.siemens_space_t1())
    assert slots(PRE_CUBE, middle, T2, POST_CUBE) == [PRE, None, None, POST]


def test_repeat_before_a_later_t1_abstains() -> None:
    """A repeat right after the first, with the same parameters, may be for motion, and is no sure post."""
    again = at("100500", 4, h.siemens_space_t1())
    assert slots(PRE_CUBE, again) == [PRE, None]
    last = at("103000", 9, h.siemens_mprage())
    assert slots(PRE_CUBE, again, at("101100", 5, h.siemens_t2()), last) == [PRE, None, None, BRAVO]


def test_two_kinds_right_after_each_other_may_both_be_post() -> None:
    """Untold, a spin echo just before the MPRAGE may be on either side; well before, it is without."""
    flair, mprage = at("100500", 4, h.siemens_space_flair()), at("103500", 10, h.siemens_mprage())
    assert slots(flair, POST_CUBE, mprage) == [FLAIR, None, BRAVO]
    assert slots(PRE_CUBE, flair, mprage) == [PRE, FLAIR, BRAVO]


def test_an_unreadable_t1_stops_the_order() -> None:
    """A series that may be the post one, and has no place in time, leaves the others undecided."""
    lost = {k: v for k, v in h.siemens_mprage().items() if k not in {"AcquisitionTime", "SeriesNumber"}}
    first = at("100000", 2, h.siemens_t1_2d())
    assert slots(first, T2, at("102500", 8, h.siemens_space_t1()), lost) == [None, None, None, None]


def test_protocol_name_of_ge_is_of_the_examination() -> None:
    """GE's ProtocolName names the examination and says nothing of one series."""
    assert slots(h.ge_cube_t1(ProtocolName="BRAIN +C", SeriesDescription="Sag T1 Cube")) == [None]


def test_bolus_perfusion_marks_the_moment() -> None:
    """A T1 after a DSC perfusion has agent, even where no T1 came before."""
    dsc = at("101000", 5, h.siemens_t2(ScanningSequence="EP", SequenceName="*epfid2d1_128", SeriesDescription="perf"))
    first = at("095000", 2, h.siemens_t1_2d())
    assert slots(first, dsc, at("102000", 7, h.siemens_mprage())) == [None, None, BRAVO]


def test_reformat_without_its_original_serves() -> None:
    """A reformat of a post series fits the slot when the original was not sent, and says so."""
    verdict = classify_study(
        [h.siemens_mprage(ImageType=["DERIVED", "SECONDARY", "MPR"], SeriesDescription="t1 KM MPR")]
    )
    assert verdict.series[0].slot is BRAVO
    assert "reformat" in said(verdict, 0)


@pytest.mark.parametrize("part", ["CSPINE", "KNEE", "ABDOMEN"])
def test_other_body_parts_have_no_slot(part: str) -> None:
    """A body part that nothing contradicts is believed; in a study with a FLAIR of the same 'part' it is not."""
    post = h.siemens_space_t1(BodyPartExamined=part, ContrastBolusAgent="Gadovist")
    assert slots(post) == [None]
    assert slots(post, h.siemens_space_flair(BodyPartExamined=part)) == [POST, FLAIR]
    assert slots(h.siemens_space_t1(SeriesDescription="C-Spine T1 +C")) == [None]


def test_no_patient_data_in_reasons() -> None:
    """Nothing of a description is quoted, but our own words."""
    verdict = classify_study([h.siemens_space_t1(SeriesDescription="CANARY^MILLER nach KM", PatientName="CANARY")])
    assert "CANARY" not in repr(verdict)
