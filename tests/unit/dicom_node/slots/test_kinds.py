"""What kind of image a series is, for each vendor and each trap, from made-up headers."""

from typing import Any

import pytest
from support import slot_headers as h

from dicom_node.slots.evidence import read_evidence
from dicom_node.slots.kinds import Kind
from dicom_node.slots.physics import csf_null_ms
from dicom_node.slots.rules import kind_of


def kind(headers: dict[str, Any]) -> Kind:
    return kind_of(read_evidence(headers)).kind


VENDORS = {
    "Siemens SPACE T1": (h.siemens_space_t1(), Kind.T1_TSE_3D),
    "Siemens MPRAGE": (h.siemens_mprage(), Kind.T1_GRE_3D),
    "Siemens SPACE FLAIR": (h.siemens_space_flair(), Kind.FLAIR_3D),
    "Siemens VIBE": (
        h.siemens_mprage(ScanningSequence="GR", SequenceVariant="SP", SequenceName="*fl3d1", RepetitionTime=5.2,
                         EchoTime=2.4, InversionTime=None, FlipAngle=10),
        Kind.T1_GRE_3D,
    ),
    "Siemens T2 TSE": (h.siemens_t2(), Kind.T2),
    "Siemens T1 SE": (h.siemens_t1_2d(), Kind.T1_2D),
    "GE Cube T1": (h.ge_cube_t1(), Kind.T1_TSE_3D),
    "GE BRAVO": (h.ge_bravo(), Kind.T1_GRE_3D),
    "GE MP-RAGE as research mode": (
        h.ge_bravo(ScanningSequence="RM", SequenceVariant="NONE", PulseSequenceName="mprage", InversionTime=900),
        Kind.T1_GRE_3D,
    ),
    "GE FSPGR without TI": (h.ge_bravo(PulseSequenceName="efgre3d", InversionTime=None), Kind.T1_GRE_3D),
    "GE Cube FLAIR as research mode": (h.ge_cube_flair(), Kind.FLAIR_3D),
    "Philips 3D TFE": (h.philips_tfe(), Kind.T1_GRE_3D),
    "Philips 3D FFE": (
        h.philips_tfe(SequenceVariant="SP", PulseSequenceName="T1FFE", RepetitionTime=25, EchoTime=4.6, FlipAngle=30),
        Kind.T1_GRE_3D,
    ),
    "Philips BrainView T1": (h.philips_brainview_t1(), Kind.T1_TSE_3D),
    "Philips BrainView FLAIR": (h.philips_flair(), Kind.FLAIR_3D),
    "Canon MPRAGE": (
        {**h.CANON, "ImageType": "ORIGINAL\\PRIMARY\\OTHER", "MRAcquisitionType": "3D", "ScanningSequence": "GR\\IR",
         "SequenceName": "FFE3D_mvox", "RepetitionTime": "6.2", "EchoTime": "2.7", "InversionTime": "900",
         "FlipAngle": "9", "SliceThickness": "1"},
        Kind.T1_GRE_3D,
    ),
    "Canon 3D FLAIR (MPV)": (
        {**h.CANON, "MRAcquisitionType": "3D", "ScanningSequence": "SE\\IR", "SequenceName": "FSE3D_mpv",
         "RepetitionTime": 5500, "EchoTime": 340, "InversionTime": 1800, "FlipAngle": 90},
        Kind.FLAIR_3D,
    ),
    "UIH MATRIX T1": (
        {**h.UIH, "MRAcquisitionType": "3D", "ScanningSequence": "SE", "SequenceName": "mx3d", "RepetitionTime": 750,
         "EchoTime": 11.5, "FlipAngle": 54, "SliceThickness": 1},
        Kind.T1_TSE_3D,
    ),
    "UIH MATRIX FLAIR": (
        {**h.UIH, "MRAcquisitionType": "3D", "ScanningSequence": ["SE", "IR"], "SequenceName": "mx3d_flair",
         "RepetitionTime": 6000, "EchoTime": 398, "InversionTime": 1960, "FlipAngle": 65},
        Kind.FLAIR_3D,
    ),
    "UIH FSP": (
        {**h.UIH, "MRAcquisitionType": "3D", "ScanningSequence": ["GR", "IR"], "SequenceName": "gre_fsp",
         "RepetitionTime": 7.2, "EchoTime": 3.1, "InversionTime": 880, "FlipAngle": 10},
        Kind.T1_GRE_3D,
    ),
    "Hitachi isoFSE T1": (
        {**h.HITACHI, "MRAcquisitionType": "3D", "ScanningSequence": "SE", "SequenceName": "isoFSE",
         "RepetitionTime": 500, "EchoTime": 16, "FlipAngle": 90, "SliceThickness": 1},
        Kind.T1_TSE_3D,
    ),
    "Hitachi RSSG": (
        {**h.HITACHI, "MRAcquisitionType": "3D", "ScanningSequence": "GR", "SequenceName": "3D RSSG",
         "RepetitionTime": 18, "EchoTime": 4.2, "FlipAngle": 25, "SliceThickness": 1.2},
        Kind.T1_GRE_3D,
    ),
    "2D FLAIR": (
        h.siemens_space_flair(MRAcquisitionType="2D", SequenceName="*tir2d1_16", RepetitionTime=9000, EchoTime=90,
                              InversionTime=2500, SliceThickness=5),
        Kind.FLAIR_2D,
    ),
    "GE PROPELLER FLAIR that hides its inversion": (
        {**h.GE, "ImageType": ["ORIGINAL", "PRIMARY", "PROPELLER"], "MRAcquisitionType": "2D", "ScanningSequence": "SE",
         "RepetitionTime": 9000, "EchoTime": 110, "InversionTime": 2250, "FlipAngle": 160, "SliceThickness": 5},
        Kind.FLAIR_2D,
    ),
    "Enhanced MR, nested groups": (
        {**h.PHILIPS, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4.1", "MRAcquisitionType": "3D",
         "EchoPulseSequence": "GRADIENT", "InversionRecovery": "YES", "NumberOfFrames": 180,
         "SharedFunctionalGroupsSequence": [
             {"MRTimingAndRelatedParametersSequence": [{"RepetitionTime": 8.0, "FlipAngle": 8}],
              "MRModifierSequence": [{"InversionTimes": [950.0]}], "MREchoSequence": [{"EffectiveEchoTime": 3.6}]}]},
        Kind.T1_GRE_3D,
    ),
    "Enhanced MR, brought to classic keywords": (
        {**h.SIEMENS, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4.1", "MRAcquisitionType": "3D",
         "ImageType": ["ORIGINAL", "PRIMARY", "FLUID_ATTENUATED", "NONE"], "EchoPulseSequence": "SPIN",
         "InversionRecovery": "YES", "RepetitionTime": 5000, "EffectiveEchoTime": 380, "InversionTimes": [1800.0]},
        Kind.FLAIR_3D,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VENDORS)
def test_vendors(name: str) -> None:
    """Each vendor's sequence is known by its physics."""
    headers, expected = VENDORS[name]
    assert kind(headers) is expected


TRAPS = {
    "T2 SPACE": (h.siemens_space_t1(RepetitionTime=3200, EchoTime=408), Kind.T2),
    "PD SPACE": (h.siemens_space_t1(RepetitionTime=1800, EchoTime=30), Kind.PD),
    "DIR": (h.siemens_space_flair(RepetitionTime=7500, InversionTime=3000), Kind.OTHER_IR),
    "STIR": (h.siemens_space_flair(MRAcquisitionType="2D", InversionTime=160, EchoTime=60), Kind.OTHER_IR),
    "T1 FLAIR": (
        h.siemens_t1_2d(ScanningSequence=["SE", "IR"], RepetitionTime=2200, InversionTime=850, EchoTime=9), Kind.T1_2D,
    ),
    "MP2RAGE UNI": (h.siemens_mprage(ImageType=["DERIVED", "PRIMARY", "M", "UNI"]), Kind.MP2RAGE),
    "MP2RAGE INV1 without a word": (
        h.siemens_mprage(RepetitionTime=5000, InversionTime=700, FlipAngle=4), Kind.MP2RAGE,
    ),
    "TOF by name": (
        h.siemens_mprage(ScanningSequence="GR", SequenceVariant="SP", SequenceName="*fl3d1r_t70", RepetitionTime=21,
                         EchoTime=3.4, InversionTime=None, FlipAngle=18),
        Kind.ANGIOGRAPHY,
    ),
    "TOF by word": (h.ge_bravo(InversionTime=None, PulseSequenceName=None, RepetitionTime=24, FlipAngle=20,
                               SeriesDescription="3D TOF COW"), Kind.ANGIOGRAPHY),
    "AngioFlag": (h.ge_bravo(AngioFlag="Y"), Kind.ANGIOGRAPHY),
    "SWI": (h.siemens_mprage(ScanningSequence="GR", SequenceVariant="SP", SequenceName="*swi3d1r", RepetitionTime=28,
                             EchoTime=20, InversionTime=None, FlipAngle=15), Kind.T2_STAR),
    "FIESTA": (h.ge_bravo(InversionTime=None, PulseSequenceName="fiesta", RepetitionTime=5.6, EchoTime=2.1,
                          FlipAngle=60), Kind.BSSFP),
    "CISS without a name": (h.siemens_mprage(ScanningSequence="GR", SequenceVariant="SS", SequenceName=None,
                                             RepetitionTime=5.9, EchoTime=2.6, InversionTime=None, FlipAngle=50),
                            Kind.BSSFP),
    "PD FLASH": (h.siemens_mprage(ScanningSequence="GR", SequenceVariant="SP", SequenceName="*fl3d1", RepetitionTime=24,
                                  EchoTime=2.3, InversionTime=None, FlipAngle=5), Kind.PD),
    "DWI": (h.siemens_t2(ScanningSequence="EP", SequenceName="*ep_b1000", DiffusionBValue=1000), Kind.DIFFUSION),
    "ADC": (h.siemens_t2(ScanningSequence="EP", ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]), Kind.MAP),
    "fMRI": (h.siemens_t2(ScanningSequence="EP", SequenceName="*epfid2d1_64"), Kind.EPI),
    "DSC": (
        h.siemens_t2(ScanningSequence="EP", SequenceName="*epfid2d1_128", SeriesDescription="ep2d_perf"),
        Kind.PERFUSION,
    ),
    "localizer": (h.localizer(), Kind.LOCALIZER),
    "subtraction": (h.siemens_space_t1(ImageType=["DERIVED", "SECONDARY", "SUBTRACTION"]), Kind.SUBTRACTION),
    "subtraction by word": (h.siemens_space_t1(SeriesDescription="T1 SUB"), Kind.SUBTRACTION),
    "MIP": (h.siemens_mprage(ImageType=["DERIVED", "SECONDARY", "MIP"]), Kind.PROJECTION),
    "phase image": (h.siemens_mprage(ImageType=["ORIGINAL", "PRIMARY", "P", "ND"]), Kind.PHASE),
    "Dixon fat": (h.siemens_mprage(ImageType=["DERIVED", "PRIMARY", "DIXON", "FAT"]), Kind.DIXON_PART),
    "screenshot": (h.siemens_mprage(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), Kind.SCREENSHOT),
    "secondary capture": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "MR"}, Kind.NOT_MR),
    "CT": ({"Modality": "CT", "SeriesDescription": "FLAIR"}, Kind.NOT_MR),
    "phantom": (h.siemens_mprage(SeriesDescription="ACR phantom T1"), Kind.PHANTOM),
    "three slices": (h.siemens_space_t1(NumberOfSeriesRelatedInstances=3), Kind.TOO_SMALL),
    "DCE": (h.siemens_mprage(NumberOfTemporalPositions=40), Kind.DYNAMIC),
    "T2 that is called FLAIR": (h.siemens_t2(SeriesDescription="t2_flair_tra"), Kind.T2),
    "T1 that is called T2": (h.siemens_space_t1(SeriesDescription="t2_tse_tra"), Kind.T1_TSE_3D),
    "spin echo that is called TOF": (h.siemens_space_t1(SeriesDescription="TOF"), Kind.T1_TSE_3D),
    "no header at all": ({}, Kind.UNKNOWN),
    "words only": ({"Modality": "MR", "SeriesDescription": "3D FLAIR sag"}, Kind.UNKNOWN),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_traps(name: str) -> None:
    """What looks like an input and is none is named for what it is."""
    headers, expected = TRAPS[name]
    assert kind(headers) is expected


@pytest.mark.parametrize(("tr_ms", "null_ms"), [(5000, 1797), (9000, 2447)])
def test_csf_null_time(tr_ms: float, null_ms: float) -> None:
    """CSF passes zero where the inversion recovery equation says (T1 of 4200 ms)."""
    assert csf_null_ms(tr_ms) == pytest.approx(null_ms, abs=3)


def test_numbers_as_text_mean_the_same() -> None:
    """Lists, backslashes, slashes and text give the same kind."""
    as_text = {k: "\\".join(map(str, v)) if isinstance(v, list) else str(v) for k, v in h.siemens_space_flair().items()}
    slashes = {k: "/".join(v) if isinstance(v, list) else v for k, v in h.siemens_space_flair().items()}
    assert kind(as_text) is kind(slashes) is Kind.FLAIR_3D
