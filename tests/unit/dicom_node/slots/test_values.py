"""Header values are read as they come, and what cannot be read is absent."""

import pytest

from dicom_node.slots import values
from dicom_node.slots.evidence import Plane, read_evidence
from dicom_node.slots.words import Said


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3.0), ("3.5", 3.5), ("7.2\\8.2", 7.2), ([None, "4"], 4.0), ("1,5", 1.5), (True, None), ("x", None),
        (float("nan"), None), (float("inf"), None), (None, None), ({}, None), ("1e999", None),
    ],
)  # fmt: skip
def test_number(value: object, expected: float | None) -> None:
    """Numbers as text and lists; nothing that is not finite."""
    assert values.number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("101530.25", 36930.25), ("10:15:30", 36930.0), ("1015", 36900.0), ("14375.6", 52625.6), (83059.0, 30659.0),
        ("000000.00", None), ("996000", None), ("", None), (None, None), ([], None), ("soon", None), (True, None),
        (["101530"], 36930.0),
    ],
)  # fmt: skip
def test_seconds_of_day(value: object, expected: float | None) -> None:
    """TM with and without colons, numbers that lost a zero; all zeros are an anonymiser's."""
    assert values.seconds_of_day(value) == (pytest.approx(expected) if expected else None)


@pytest.mark.parametrize("value", ["20250230", "18000101", "x", None, True, [], "2025"])
def test_no_day(value: object) -> None:
    """Days that are none, or an anonymiser's, are absent."""
    assert values.day_number(value) is None


@pytest.mark.parametrize("value", [["GR", "IR"], "GR\\IR", "gr/ir", ("GR\\IR",)])
def test_codes(value: object) -> None:
    """Lists, backslashes and slashes are the same."""
    assert values.codes(value) == {"GR", "IR"}


def test_time_of_acquisition() -> None:
    """AcquisitionDateTime comes before date and time apart; the time zone is passed over."""
    when = read_evidence({"AcquisitionDateTime": "20250304101530.5+0100", "AcquisitionTime": "090000"}).when
    assert when.acquired_s == pytest.approx(36930.5)
    apart = read_evidence({"AcquisitionDate": "2025-03-04", "AcquisitionTime": "101530.5"}).when
    assert (apart.day, apart.acquired_s) == (when.day, when.acquired_s)


@pytest.mark.parametrize(
    ("cosines", "plane"),
    [
        ([1, 0, 0, 0, 1, 0], Plane.AXIAL), ([0, 1, 0, 0, 0, -1], Plane.SAGITTAL), ("1\\0\\0\\0\\0\\-1", Plane.CORONAL),
        ([0, 0, 0, 0, 0, 0], None), ([1, 0], None), (["a"] * 6, None), (None, None),
    ],
)  # fmt: skip
def test_plane(cosines: object, plane: Plane | None) -> None:
    """The plane follows from the direction cosines, or from nothing."""
    assert read_evidence({"ImageOrientationPatient": cosines}).plane is plane


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"ContrastBolusAgent": "GADAVIST"}, Said.GIVEN),
        ({"ContrastBolusAgent": "ohne KM"}, Said.NOT_GIVEN),
        ({"ContrastBolusAgent": "None"}, Said.NOT_GIVEN),
        ({"ContrastBolusAgent": "---"}, Said.NOTHING),
        ({"ContrastBolusVolume": "7.5"}, Said.GIVEN),
        ({"ContrastBolusVolume": 0}, Said.NOTHING),
        ({"ContrastBolusAgentSequence": [{"CodeMeaning": "Gadobutrol"}]}, Said.GIVEN),
        ({"ContrastBolusAgentSequence": []}, Said.NOTHING),
        ({}, Said.NOTHING),
    ],
)
def test_contrast_tags(headers: dict[str, object], said: Said) -> None:
    """An agent, a denial, or nothing."""
    assert read_evidence(headers).agent is said
