"""Results in a real PACS: Orthanc files each object under its patient and study, whatever the names and gaps."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.dicom_objects import uid
from support.orthanc import AE_TITLE, Orthanc, running_orthanc
from support.results import Planted, result_study, write_sources

from dicom_node.contract.messages import Product
from dicom_node.delivery.destinations import wanted_files
from dicom_node.delivery.report import Verdict
from dicom_node.delivery.send import send
from dicom_node.settings import DestinationSettings
from worker.results.write import write_results

SMALL = {"shape_zyx": (8, 16, 16), "lesions": [Planted((4, 8, 8), 1.5)]}
ALL = tuple(Product)
NAMES = {
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Japanese in UTF-8": ("ISO_IR 192", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Greek": ("ISO_IR 126", "Διονυσίου^Διονύσιος"),
    "Latin-1": ("ISO_IR 100", "Grøvik^Åse Müller"),
}
NAME, STUDY_ID, ACCESSION = "00100010", "00200010", "00080050"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as pacs:
        yield pacs


def store(orthanc: Orthanc, folder: Path, products: tuple[Product, ...], headers: dict[str, Any]) -> str:
    """Store sources and results of a study of its own; gives its Study Instance UID."""
    study_uid = uid("orthanc", folder.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of values that are missing on purpose
        study = result_study(headers={"StudyInstanceUID": study_uid, "PatientID": folder.name, **headers}, **SMALL)
        sources = write_sources(study, folder / "sources")
    destination = DestinationSettings(name="o", ae_title=AE_TITLE, port=orthanc.dicom_port, products=products)
    made = wanted_files(write_results(folder, study.context, ALL), destination)
    reports = send(destination, [*sources, *(folder / file.file_name for file in made)], own_ae_title="QUARTET")
    assert {report.verdict for report in reports} == {Verdict.SENT}
    return study_uid


def instances(orthanc: Orthanc, study_uid: str) -> list[dict[str, Any]]:
    """Every object of a study by WADO-RS, as DICOM JSON in UTF-8."""
    found: list[dict[str, Any]] = orthanc.get(f"/dicom-web/studies/{study_uid}/metadata")
    return found


def value(instance: dict[str, Any], tag: str) -> Any:
    return (instance.get(tag, {}).get("Value") or [None])[0]


@pytest.mark.parametrize("language", NAMES)
def test_a_name_in_any_script_is_one_patient_with_its_images(orthanc: Orthanc, language: str, tmp_path: Path) -> None:
    character_set, name = NAMES[language]
    headers = {"SpecificCharacterSet": character_set, "PatientName": name}
    found = instances(orthanc, store(orthanc, tmp_path, ALL, headers))
    groups = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), name.split("="), strict=False))
    assert {value(one, "00080060") for one in found} == {"MR", "SEG", "SR", "OT", "RTSTRUCT"}
    for instance in found:
        assert value(instance, NAME) == groups


def test_without_study_id_and_accession_number_all_is_in_the_study(orthanc: Orthanc, tmp_path: Path) -> None:
    study_uid = store(orthanc, tmp_path, ALL, {"StudyID": None, "AccessionNumber": None})
    found = instances(orthanc, study_uid)
    assert {value(one, "00080060") for one in found} == {"MR", "SEG", "SR", "OT", "RTSTRUCT"}
    for instance in found:
        assert value(instance, STUDY_ID) in (None, "")
        assert value(instance, ACCESSION) in (None, "")
    assert len(orthanc.get("/dicom-web/studies", StudyInstanceUID=study_uid)) == 1


@pytest.mark.parametrize("segmentation", [Product.SEG, Product.SEG_PER_LESION])
def test_a_destination_has_a_report_on_the_segmentation_it_has(
    orthanc: Orthanc, segmentation: Product, tmp_path: Path
) -> None:
    """The job made both, for two destinations."""
    found = instances(orthanc, store(orthanc, tmp_path, (segmentation, Product.SR), {}))
    by_modality = {value(one, "00080060"): one for one in found}
    (seg,) = [value(one, "00080018") for one in found if value(one, "00080060") == "SEG"]
    assert seg in str(by_modality["SR"])
    listed = {value(item, "00081155") for item in evidence(by_modality["SR"])}
    assert listed == {value(one, "00080018") for one in found} - {value(by_modality["SR"], "00080018")}


def evidence(report: dict[str, Any]) -> list[dict[str, Any]]:
    """All items of Current Requested Procedure Evidence."""
    return [
        item
        for study in report["0040A375"]["Value"]
        for series in study["00081115"]["Value"]
        for item in series["00081199"]["Value"]
    ]
