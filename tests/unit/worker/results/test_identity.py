"""Patient and study are those of the source, in its character set, as DCMTK reads them."""

import warnings
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.valuerep import PersonName
from support.foreign_tools import dcm2json, dcmdump
from support.results import Planted, result_study, write_sources

from dicom_node.contract.messages import Product
from worker.results.write import write_results

PRODUCTS = (Product.SEG, Product.SR, Product.RTSTRUCT, Product.SECONDARY_CAPTURE, Product.PARAMETRIC_MAP)
NAMES = {
    "Japanese, three groups": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Japanese in UTF-8": ("ISO_IR 192", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Greek": ("ISO_IR 126", "Διονυσίου^Διονύσιος"),
    "Latin-1": ("ISO_IR 100", "Grøvik^Åse Müller"),
    "plain": (None, "Doe^Jane"),
}
PATIENT_NAME, CHARACTER_SET = "0010,0010", "0008,0005"


def write(folder: Path, **options: Any) -> tuple[Path, list[Path]]:
    """One source image and all result files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of values that are broken on purpose
        study = result_study(products=PRODUCTS, shape_zyx=(8, 16, 16), lesions=[Planted((4, 8, 8), 1.5)], **options)
        source = write_sources(study, folder / "source")[0]
    files = write_results(folder, study.context, PRODUCTS)
    assert {file.product for file in files} == set(PRODUCTS)
    return source, [folder / file.file_name for file in files]


def read_by_dcmtk(folder: Path, **options: Any) -> list[dict[str, Any]]:
    return [dcm2json(path) for path in write(folder, **options)[1]]


@pytest.mark.parametrize("language", NAMES)
def test_a_name_in_any_script_comes_through(language: str, tmp_path: Path) -> None:
    character_set, name = NAMES[language]
    source, results = write(tmp_path, headers={"SpecificCharacterSet": character_set, "PatientName": name})
    for path in results:
        assert dcmdump(path, PATIENT_NAME) == dcmdump(source, PATIENT_NAME) != b""
        assert dcmdump(path, CHARACTER_SET) == dcmdump(source, CHARACTER_SET)
        assert str(dcmread(path).PatientName) == name


@pytest.mark.parametrize("language", ["Japanese in UTF-8", "Greek", "Latin-1", "plain"])
def test_dcmtk_converts_the_name(language: str, tmp_path: Path) -> None:
    """Not ISO 2022: Debian's DCMTK cannot convert it."""
    character_set, name = NAMES[language]
    groups = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), name.split("="), strict=False))
    for dataset in read_by_dcmtk(tmp_path, headers={"SpecificCharacterSet": character_set, "PatientName": name}):
        assert dataset["00100010"]["Value"] == [groups]


def test_undeclared_latin_1_bytes_are_kept_as_they_came(tmp_path: Path) -> None:
    _, results = write(tmp_path, headers={"SpecificCharacterSet": None, "PatientName": PersonName(b"Gr\xf8vik^\xc5se")})
    for path in results:
        assert b"[Gr\xf8vik^\xc5se]" in dcmdump(path, PATIENT_NAME)


MISSING = (
    ("StudyID",),
    ("AccessionNumber",),
    (
        "StudyID",
        "AccessionNumber",
        "StudyDate",
        "StudyTime",
        "PatientSex",
        "PatientBirthDate",
        "ReferringPhysicianName",
    ),
)


@pytest.mark.parametrize("keywords", MISSING, ids=len)
def test_what_the_source_lacks_is_present_and_empty(keywords: tuple[str, ...], tmp_path: Path) -> None:
    for dataset in read_by_dcmtk(tmp_path, headers=dict.fromkeys(keywords)):
        assert ("Value" in dataset["00200010"]) == ("StudyID" not in keywords)
        assert ("Value" in dataset["00080050"]) == ("AccessionNumber" not in keywords)


def test_values_that_no_library_likes_come_through(tmp_path: Path) -> None:
    for dataset in read_by_dcmtk(
        tmp_path, headers={"PatientSex": "U", "PatientBirthDate": "19600000", "StudyID": "a b"}
    ):
        assert dataset["00100040"]["Value"] == ["U"]
        assert dataset["00100030"]["Value"] == ["19600000"]


def test_times_are_those_of_the_request_in_the_zone_of_the_source(tmp_path: Path) -> None:
    for dataset in read_by_dcmtk(tmp_path, headers={"TimezoneOffsetFromUTC": "+0900"}):
        assert dataset["00080201"]["Value"] == ["+0900"]
        assert dataset["00080012"]["Value"] == ["20261123"]
        assert dataset["00080013"]["Value"] == ["171530"]


def test_the_patient_stands_in_no_other_place(tmp_path: Path) -> None:
    for path in write(tmp_path, patient_name="Canary^Zz")[1]:
        assert path.read_bytes().count(b"Canary") == 1
