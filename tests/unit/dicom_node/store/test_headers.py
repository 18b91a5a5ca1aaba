"""Headers of an object: the right values, no patient, and no fault for malformed ones."""

import json
import lzma
import tarfile
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from support.dicom_objects import SEQUENCES, encoded, mr_series

from dicom_node.store import headers
from dicom_node.store.errors import ObjectRefused, ObjectUnfit
from dicom_node.store.headers import ObjectFacts
from dicom_node.store.keywords import KEYWORDS

MANY_BYTES = 1 << 30


def read(ds: pydicom.Dataset, syntax: str = ExplicitVRLittleEndian) -> ObjectFacts:
    return headers.read(
        memoryview(encoded(ds, syntax)),
        implicit=syntax == ImplicitVRLittleEndian,
        encapsulated=False,
        maximum_pixel_bytes=MANY_BYTES,
    )


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_values_are_those_of_the_data_set(sequence: str, syntax: str) -> None:
    ds = mr_series(sequence, orientation="oblique")[2]
    facts = read(ds, syntax)
    assert facts.sop_instance_uid == ds.SOPInstanceUID
    assert facts.study_instance_uid == ds.StudyInstanceUID
    for keyword in (
        "RepetitionTime",
        "EchoTime",
        "FlipAngle",
        "EchoTrainLength",
        "SeriesDescription",
        "InstanceNumber",
    ):
        assert facts.headers[keyword] == getattr(ds, keyword)
    assert facts.headers["ImageOrientationPatient"] == [float(v) for v in ds.ImageOrientationPatient]
    assert isinstance(facts.headers["ScanningSequence"], list)
    assert facts.headers["ImageType"] == ["ORIGINAL", "PRIMARY", "OTHER"]
    assert isinstance(facts.headers["Rows"], int)
    assert json.loads(json.dumps(facts.headers)) == facts.headers


def test_no_keyword_identifies_a_patient() -> None:
    """Neither the list nor the headers of an object that names a canary in every identifier."""
    group_0010 = {keyword for keyword in KEYWORDS if pydicom.datadict.tag_for_keyword(keyword) >> 16 == 0x0010}
    assert group_0010 == set()
    named = dict.fromkeys(
        ("AccessionNumber", "StudyID", "InstitutionName", "ReferringPhysicianName", "OperatorsName", "PatientComments",
         "OtherPatientIDs", "PatientAddress", "DeviceSerialNumber", "StationName", "ImageComments"),
        "ZZCANARY",
    )  # fmt: skip
    ds = mr_series(patient_name="ZZCANARY", patient_id="ZZCANARY", headers=named)[0]
    facts = read(ds)
    assert "ZZCANARY" not in json.dumps(facts.headers)
    assert "ZZCANARY" not in facts.patient_digest


@pytest.mark.parametrize(
    ("character_set", "text"),
    [
        (["ISO_IR 100"], "Schädel nativ"),
        (["ISO_IR 126"], "μετά Gd"),
        (["ISO_IR 144"], "с контрастом"),
        (["ISO_IR 192"], "造影 T1"),
        (["", "ISO 2022 IR 87"], "造影"),
        (["ISO_IR 6"], "plain"),
    ],
)
def test_descriptions_in_any_character_set(character_set: list[str], text: str) -> None:
    ds = mr_series(headers={"SpecificCharacterSet": character_set, "SeriesDescription": text})[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = encoded(ds)
    facts = headers.read(memoryview(data), implicit=False, encapsulated=False, maximum_pixel_bytes=MANY_BYTES)
    assert facts.headers["SeriesDescription"] == text


def test_an_unknown_character_set_and_malformed_numbers_cost_nothing_but_themselves() -> None:
    ds = mr_series()[0]
    data = encoded(ds).replace(b"ISO_IR 192", b"KLINGON 42")
    at = data.index(b"8.24")
    data = data[:at] + b"x.yz" + data[at + 4 :]
    facts = headers.read(memoryview(data), implicit=False, encapsulated=False, maximum_pixel_bytes=MANY_BYTES)
    assert "RepetitionTime" not in facts.headers
    assert facts.headers["EchoTime"] == 3.24


def test_enhanced_mr_speaks_with_the_keywords_of_classic_mr() -> None:
    """Shared groups, the first frame's own, and the agent by its code."""
    absent = (
        "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "ScanningSequence", "ImageOrientationPatient",
        "ImagePositionPatient", "ContrastBolusAgent",
    )  # fmt: skip
    ds = mr_series(headers=dict.fromkeys(absent))[0]
    shared, frame, timing, echo, modifier, plane, position, agent = (pydicom.Dataset() for _ in range(8))
    timing.RepetitionTime, timing.FlipAngle, timing.RFEchoTrainLength = 5000.0, 90.0, 140
    echo.EffectiveEchoTime = 119.5
    modifier.InversionRecovery, modifier.InversionTimes = "YES", [1700.0]
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    position.ImagePositionPatient = [-1.5, 2, 3]
    agent.CodeValue, agent.CodingSchemeDesignator, agent.CodeMeaning = "C-B03FA", "SRT", "Gadolinium"
    shared.MRTimingAndRelatedParametersSequence = [timing]
    shared.MREchoSequence, shared.MRModifierSequence = [echo], [modifier]
    shared.PlaneOrientationSequence = [plane]
    frame.PlanePositionSequence = [position]
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], [frame]
    ds.ContrastBolusAgentSequence = [agent]
    ds.EchoPulseSequence = "SPIN"
    got = read(ds).headers
    assert (got["RepetitionTime"], got["EchoTime"], got["InversionTime"], got["FlipAngle"]) == (5000, 119.5, 1700, 90)
    assert got["ScanningSequence"] == ["SE", "IR"]
    assert got["ImagePositionPatient"] == [-1.5, 2.0, 3.0]
    assert got["ContrastBolusAgent"] == "Gadolinium"


@pytest.mark.parametrize(
    "change",
    [
        {"SOPInstanceUID": None},
        {"StudyInstanceUID": ""},
        {"Rows": None},
        {"PixelData": None},
        {"Rows": 17},
        {"Columns": 0},
    ],
)
def test_what_every_image_has_must_be_there(change: dict[str, Any]) -> None:
    with pytest.raises(ObjectUnfit):
        read(mr_series(headers=change)[0])


def test_pixels_must_be_encoded_as_the_syntax_says_and_bounded() -> None:
    data = memoryview(encoded(mr_series()[0]))
    with pytest.raises(ObjectUnfit, match="not encoded"):
        headers.read(data, implicit=False, encapsulated=True, maximum_pixel_bytes=MANY_BYTES)
    with pytest.raises(ObjectUnfit, match="limit"):
        headers.read(data, implicit=False, encapsulated=False, maximum_pixel_bytes=100)


def test_the_digest_is_the_patients_and_nobody_elses() -> None:
    def digest(**change: Any) -> str:
        base = {"patient_id": change.pop("patient_id", "P1"), "patient_name": change.pop("patient_name", "Doe^Jane")}
        return read(mr_series(**base, headers=change)[0]).patient_digest

    assert digest() == digest(patient_id="P1 ") == digest(patient_name="Other^Name")
    assert digest() != digest(patient_id="P2")
    assert digest() != digest(IssuerOfPatientID="B")
    assert digest(patient_id="") == digest(patient_id="", patient_name="DOE^JANE^^")
    assert digest(patient_id="") != digest(patient_id="", patient_name="Doe^John")
    assert digest(patient_id="") != digest(patient_id="", PatientBirthDate="19700101")


BASE = encoded(mr_series()[0])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(BASE) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_altered_bytes_are_read_or_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(BASE)
    for at, value in changes:
        data[at] = value
    try:
        facts = headers.read(memoryview(data), implicit=False, encapsulated=False, maximum_pixel_bytes=MANY_BYTES)
    except ObjectRefused:
        return
    json.dumps(facts.headers, allow_nan=False)


def test_a_real_series_is_read_as_pydicom_reads_it(tmp_path: Path) -> None:
    archive = next((p / "shared/data/dicom/siemens_skyra_mprage.tar.xz" for p in Path(__file__).parents
                    if (p / "shared/data/dicom/siemens_skyra_mprage.tar.xz").exists()), None)  # fmt: skip
    if archive is None:
        pytest.skip("shared/data/dicom is not beside the repository")
    with lzma.open(archive) as raw, tarfile.open(fileobj=raw) as tar:
        for _, member in zip(range(6), tar, strict=False):
            tar.extract(member, tmp_path, filter="data")
    paths = [path for path in tmp_path.rglob("*") if path.is_file()]
    for path in paths:
        ds = pydicom.dcmread(path)
        data = path.read_bytes()
        offset = 144 + ds.file_meta.FileMetaInformationGroupLength
        syntax = ds.file_meta.TransferSyntaxUID
        facts = headers.read(
            memoryview(data)[offset:],
            implicit=syntax.is_implicit_VR,
            encapsulated=syntax.is_encapsulated,
            maximum_pixel_bytes=MANY_BYTES,
        )
        assert facts.sop_instance_uid == ds.SOPInstanceUID
        for keyword in ("RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "SeriesDescription", "Rows"):
            assert facts.headers.get(keyword) == ds.get(keyword)
    assert paths
