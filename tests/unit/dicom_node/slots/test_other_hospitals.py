"""Headers as other hospitals and vendors write them, from knowledge of the field: none is a row of a real file."""

from typing import Any

import pytest
from support import slot_headers as h
from support.slot_headers import at

from dicom_node.slots.classify import classify_study

AGENT = {"ContrastBolusAgent": "Gadovist"}
PRE, POST, BRAVO, FLAIR = "PRE_CUBE", "POST_CUBE", "BRAVO", "FLAIR"
_VIBE = {"SequenceName": "*fl3d1_ns", "ScanningSequence": "GR", "SequenceVariant": "SP", "RepetitionTime": 5.6,
         "EchoTime": 2.4, "InversionTime": None, "FlipAngle": 10}  # fmt: skip


def slots(*series: dict[str, Any]) -> list[str | None]:
    return [s.slot.value if s.slot else None for s in classify_study(series).series]


SINGLE: dict[str, tuple[dict[str, Any], str | None]] = {
    "VIBE after the agent": (h.siemens_mprage(**_VIBE, SeriesDescription="t1_vibe_fs_tra KM"), BRAVO),
    "Dixon water": (
        h.siemens_mprage(**_VIBE, ImageType=["DERIVED", "PRIMARY", "DIXON", "WATER"],
                         SeriesDescription="t1_vibe_dixon_tra_KM_W"), BRAVO,
    ),
    "Dixon fat by its last letter": (
        h.siemens_mprage(**_VIBE, SeriesDescription="t1_vibe_dixon_tra_KM_F"), None,
    ),
    "mDIXON TFE of Philips": (
        h.philips_tfe(ImageType=["ORIGINAL", "PRIMARY", "W", "W", "DERIVED"], SeriesDescription="3D T1 mDIXON +C",
                      RepetitionTime=5.2, EchoTime=1.9, FlipAngle=10), BRAVO,
    ),
    "THRIVE": (h.philips_tfe(SequenceVariant="SP", PulseSequenceName="T1FFE", RepetitionTime=3.7, EchoTime=1.8,
                             FlipAngle=10, SeriesDescription="eTHRIVE Gd"), BRAVO),
    "LAVA of GE": (h.ge_bravo(PulseSequenceName="LAVA", InversionTime=5, RepetitionTime=4.2, EchoTime=2.0,
                              SeriesDescription="Ax LAVA +C"), BRAVO),
    "GE MPRAGE": (h.ge_bravo(PulseSequenceName="MPRAGE", RepetitionTime=2300, EchoTime=2.9, InversionTime=900,
                             FlipAngle=8, **AGENT), BRAVO),
    "GE research mode without a name": (
        h.ge_bravo(PulseSequenceName=None, ScanningSequence="RM", SequenceVariant="NONE", **AGENT), BRAVO,
    ),
    "black-blood VISTA with MSDE": (
        h.philips_brainview_t1(SeriesDescription="3D T1 BB MSDE +C", EchoTime=25, RepetitionTime=700), POST,
    ),
    "Canon MPRAGE": ({**h.CANON, "MRAcquisitionType": "3D", "ScanningSequence": ["GR", "IR"], "RepetitionTime": 6.5,
                      "SequenceName": "FFE3D_MPRAGE", "EchoTime": 2.6, "InversionTime": 900, "FlipAngle": 9,
                      "SeriesDescription": "3D MPRAGE CE"}, BRAVO),
    "Canon 3D MPV T1": ({**h.CANON, "MRAcquisitionType": "3D", "ScanningSequence": "SE", "SequenceName": "FASE3D_MPV",
                         "RepetitionTime": 600, "EchoTime": 20, "FlipAngle": 90, "SeriesDescription": "T1 MPV 造影"},
                        POST),
    "Toshiba FE3D": ({**h.CANON, "Manufacturer": "TOSHIBA_MEC", "MRAcquisitionType": "3D", "ScanningSequence": "GR",
                      "SequenceName": "FE3D", "SequenceVariant": "SP", "RepetitionTime": 12, "EchoTime": 4.4,
                      "FlipAngle": 20, "SliceThickness": 1, "SeriesDescription": "T1 3D Gd"}, BRAVO),
    "FLAIR after the agent is FLAIR": (h.ge_cube_flair(SeriesDescription="Sag CUBE FLAIR +C"), FLAIR),
    "DIR that is called FLAIR": (h.siemens_space_flair(RepetitionTime=7500, InversionTime=3000,
                                                       SeriesDescription="3D FLAIR DIR"), None),
    "DIR by its short TI": (h.siemens_space_flair(RepetitionTime=7500, InversionTime=450), None),
    "GE DIR": (h.ge_cube_flair(InversionTime=3000, PulseSequenceName="CubeDIR"), None),
    "T1 FLAIR is no FLAIR": (h.ge_cube_flair(SeriesDescription="T1 FLAIR", RepetitionTime=2500, EchoTime=24,
                                             InversionTime=850, MRAcquisitionType="2D"), None),
    "T2 SPACE after the agent": (h.siemens_space_t1(RepetitionTime=3200, EchoTime=408, **AGENT), None),
    "subtraction by Siemens' image type": (
        h.siemens_mprage(ImageType=["DERIVED", "SECONDARY", "M", "ND", "NORM", "SUB"], **AGENT), None,
    ),
    "subtraction by an Italian word": (h.siemens_mprage(SeriesDescription="sottrazione T1 mdc"), None),
    "TOF after the agent": (h.ge_bravo(InversionTime=None, PulseSequenceName=None, RepetitionTime=24, FlipAngle=20,
                                       SeriesDescription="3D TOF COW", **AGENT), None),
    "GRE dynamic": (h.siemens_mprage(**_VIBE, NumberOfTemporalPositions=40, **AGENT), None),
}  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_single_series(name: str) -> None:
    """One series that says of itself what it is."""
    headers, expected = SINGLE[name]
    assert slots(headers) == [expected]


@pytest.mark.parametrize(
    "agent", ["GADAVIST", "gd", "Yes", "JA", "8 ml", "Gadovist 7,5ml", "CONTRAST", "CE", "KM", "IV", "GD-DTPA"]
)  # fmt: skip
def test_what_technicians_type_for_an_agent(agent: str) -> None:
    """Names, amounts and a plain yes all mean given."""
    assert slots(h.siemens_mprage(ContrastBolusAgent=agent)) == [BRAVO]


@pytest.mark.parametrize(
    "agent", ["No", "Nein", "keines", "sans", "Non", "nessuno", "ninguno", "geen", "ingen", "None given", "NO CONTRAST",
              "N/A", " ", "unbekannt", "Not applicable"]
)  # fmt: skip
def test_what_technicians_type_for_none(agent: str) -> None:
    """A denying or idle entry on the first of a pair leaves it before the agent."""
    first, last = h.siemens_space_t1(ContrastBolusAgent=agent), h.siemens_space_t1(**AGENT)
    assert slots(at("100000", 2, first), at("100600", 3, h.siemens_t2()), at("102500", 8, last)) == [PRE, None, POST]


FIRST_3D = at("100400", 3, h.siemens_mprage())
T2, LATE_FLAIR = at("100900", 4, h.siemens_t2()), at("101500", 5, h.siemens_space_flair())


def test_t1_at_the_beginning_of_an_examination_is_not_called_post() -> None:
    """T1 images in a row, then FLAIR and T2: an examination without agent looks like this, so there is no post slot."""
    sagittal = at("100000", 2, h.siemens_t1_2d(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]))
    assert slots(sagittal, FIRST_3D, T2, LATE_FLAIR) == [None, None, None, FLAIR]
    assert slots(at("100000", 2, h.siemens_space_t1()), FIRST_3D, T2, LATE_FLAIR)[1] is None
    assert slots(sagittal, T2, at("101200", 5, h.siemens_mprage()), at("102000", 6, h.siemens_space_flair()))[2] is None


def test_its_tag_or_word_is_believed_all_the_same() -> None:
    """FLAIR after the agent is usual too, where the T1 before it says that the agent was given."""
    sagittal = at("100000", 2, h.siemens_t1_2d())
    assert slots(sagittal, {**FIRST_3D, **AGENT}, LATE_FLAIR) == [None, BRAVO, FLAIR]
    assert slots(sagittal, {**FIRST_3D, "SeriesDescription": "T1 MPRAGE Gd"}, LATE_FLAIR) == [None, BRAVO, FLAIR]


def test_a_single_t1_without_tag_or_word_abstains_wherever_it_stands() -> None:
    """First or last among others, nothing tells."""
    assert slots(FIRST_3D, T2, LATE_FLAIR) == [None, None, FLAIR]
    assert slots(T2, LATE_FLAIR, at("103000", 8, h.siemens_mprage())) == [None, FLAIR, None]


def test_a_tag_copied_into_the_localizer_tells_nothing() -> None:
    """Entered with the patient, the agent stands in every series: a single T1 abstains, a pair goes by its order."""
    survey = at("095500", 1, h.localizer(**AGENT))
    t2, first, last = {**T2, **AGENT}, {**FIRST_3D, **AGENT}, at("103000", 9, h.siemens_mprage(**AGENT))
    assert slots(survey, first, t2) == [None, None, None]
    cubes = [at(clock, number, h.siemens_space_t1(**AGENT)) for clock, number in (("100400", 3), ("103000", 9))]
    assert slots(survey, cubes[0], t2, cubes[1]) == [None, PRE, None, POST]
    assert slots(survey, first, t2, {**last, "SeriesDescription": "T1 nach KM"}) == [None, None, None, BRAVO]


def test_a_whole_examination_of_both_kinds() -> None:
    """Spin and gradient echo, each before and after: by the order in time alone."""
    pair = [h.siemens_space_t1(), h.siemens_mprage()]
    before = [at("100000", 2, pair[0]), at("100500", 3, pair[1])]
    after = [at("102500", 7, pair[0]), at("103000", 8, pair[1])]
    assert slots(*before, T2, LATE_FLAIR, *after) == [PRE, None, None, FLAIR, POST, BRAVO]
