"""dciodvfy finds no error in any object we make, and no warning that is not listed here with its reason."""

import re
from pathlib import Path
from typing import Any

import pytest
from support.foreign_tools import dciodvfy
from support.results import Planted, result_study

from dicom_node.contract.messages import Product
from worker.results.write import write_results

KNOWN = {
    r"</ContributingEquipmentSequence.*/DeviceUID\(0018,1002\)> - Attribute is not present in standard DICOM IOD":
        "the attribute is of PS3.3 Table C.12-1; this release of dicom3tools is older",
    r"/CodingSchemeDesignator\(0008,0102\)\[1\]> - Unrecognized defined term = <99QUARTET>":
        "it says so of every private scheme; ours is identified in Coding Scheme Identification",
    r"(ImageType\(0008,0008\)|FrameType\(0008,9007\))\[4\]> - Unrecognized defined term = <QUANTITY>":
        "highdicom's bare Parametric Map has it too; QUANTITY is of PS3.3 C.8.32.2",
    r"</StudyID\(0020,0010\)> - Missing attribute or value that would be needed to build DICOMDIR":
        "the source of that case has no StudyID, and we invent none",
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "classic": {},
    "enhanced": {"enhanced": True},
    "oblique, descending": {"orientation": "oblique", "descending": True},
    "other frame of reference": {"other_frame_of_reference": True},
    "missing identifiers": {"headers": {"StudyID": None, "AccessionNumber": None, "ReferringPhysicianName": None}},
    "one voxel at the edge": {"shape_zyx": (12, 31, 29), "lesions": [Planted((0, 0, 28), 0.0)]},
}


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_object_is_valid(case: str, tmp_path: Path) -> None:
    files = write_results(tmp_path, result_study(**CASES[case]).context, tuple(Product))
    assert {file.product for file in files} == set(Product)
    for file in files:
        news = {line for line in dciodvfy(tmp_path / file.file_name) if not any(re.search(k, line) for k in KNOWN)}
        assert not news, f"{file.file_name}: {news}"


def test_a_superseding_result_is_valid(tmp_path: Path) -> None:
    first = write_results(tmp_path, result_study().context, tuple(Product))
    second = result_study(predecessor=first, snapshot="2" * 64).context
    for file in write_results(tmp_path, second, tuple(Product)):
        news = {line for line in dciodvfy(tmp_path / file.file_name) if not any(re.search(k, line) for k in KNOWN)}
        assert not news, f"{file.file_name}: {news}"


def test_a_negative_report_is_valid(tmp_path: Path) -> None:
    (file,) = write_results(tmp_path, result_study(lesions=[]).context, (Product.SR,))
    assert all(any(re.search(k, line) for k in KNOWN) for line in dciodvfy(tmp_path / file.file_name))
