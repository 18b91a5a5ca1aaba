"""Rules that hold for every object of a result: whose it is, what it is called, what made it."""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from worker.results.provenance import RESEARCH_USE_ONLY
from worker.results.rule import LABEL_MAP_SEGMENTATION, NAMES, REPORTS, SEGMENTATION, Rule, Subject, first_item

STABLE_SERIES_NUMBERS = range(9000, 10000)
_ONE_INSTANCE = (SEGMENTATION, LABEL_MAP_SEGMENTATION, *REPORTS)
_TYPE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
           "AccessionNumber", "ReferringPhysicianName")  # fmt: skip


def _known_class(subject: Subject) -> Iterator[str]:
    if str(subject.dataset.get("SOPClassUID")) not in NAMES:
        yield "its SOP class is none that Quartet makes"


def _one_instance_a_series(subject: Subject) -> Iterator[str]:
    series = subject.dataset.get("SeriesInstanceUID")
    same = [ds for ds in subject.together if ds.get("SeriesInstanceUID") == series]
    if len(same) > 1:
        yield f"its series has {len(same)} instances"


def _own_uid(subject: Subject) -> Iterator[str]:
    uid = subject.dataset.get("SOPInstanceUID")
    if sum(ds.get("SOPInstanceUID") == uid for ds in subject.together) > 1:
        yield "another object has the same SOP Instance UID"


def _display_study(subject: Subject) -> Iterator[str]:
    if subject.display is not None and subject.dataset.get("StudyInstanceUID") != subject.display.study_instance_uid:
        yield "it lies in another study than the display series"


def _patient_and_study(subject: Subject) -> Iterator[str]:
    missing = [keyword for keyword in _TYPE_2 if keyword not in subject.dataset]
    if missing:
        yield f"{', '.join(missing)} missing"


def _described(subject: Subject) -> Iterator[str]:
    if not subject.dataset.get("SeriesDescription"):
        yield "no SeriesDescription"
    if subject.dataset.get("SeriesNumber") not in STABLE_SERIES_NUMBERS:
        yield f"SeriesNumber is not one of {STABLE_SERIES_NUMBERS.start} to {STABLE_SERIES_NUMBERS.stop - 1}"


def _equipment(subject: Subject) -> Iterator[str]:
    keywords = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions")
    missing = [keyword for keyword in keywords if not subject.dataset.get(keyword)]
    if missing:
        yield f"{', '.join(missing)} missing"


def _algorithm_device(subject: Subject) -> Iterator[str]:
    equipment: list[Dataset] = list(subject.dataset.get("ContributingEquipmentSequence") or [])
    if not any(item.get("DeviceUID") for item in equipment):
        yield "no contributing equipment with a DeviceUID"


def _research_use_only(subject: Subject) -> Iterator[str]:
    if str(subject.dataset.SOPClassUID) in REPORTS:
        return
    keywords = ("SeriesDescription", "ContentDescription", "StructureSetName", "ImageComments")
    if not any(RESEARCH_USE_ONLY in str(subject.dataset.get(keyword, "")) for keyword in keywords):
        yield f'"{RESEARCH_USE_ONLY}" stands in no description'


def _acquired_region(subject: Subject) -> Iterator[str]:
    if first_item(subject.dataset, "SharedFunctionalGroupsSequence") is not None and not subject.dataset.get(
        "BodyPartExamined"
    ):
        yield "no BodyPartExamined"


RULES = (
    Rule(id="ALL-CLASS", viewers=("PACS",), classes=(), check=_known_class,
         reason="a PACS refuses classes it was not told of; a label map SEG is refused by Orthanc and DCMTK"),
    Rule(id="ALL-ONE-INSTANCE", viewers=("OHIF",), classes=_ONE_INSTANCE, check=_one_instance_a_series,
         reason="only the last instance of a SEG or SR series is shown"),
    Rule(id="ALL-OWN-UID", viewers=("standard",), classes=(), check=_own_uid,
         reason="the second object replaces the first, or is refused"),
    Rule(id="ALL-STUDY", viewers=("OHIF", "Weasis"), classes=(), check=_display_study,
         reason="the result is not found beside its images"),
    Rule(id="ALL-TYPE-2", viewers=("standard",), classes=(), check=_patient_and_study,
         reason="a PACS cannot file it under its patient and study"),
    Rule(id="ALL-DESCRIBED", viewers=("OHIF", "Weasis"), classes=(), check=_described,
         reason="the series has no name in the list, or another place after each run"),
    Rule(id="ALL-EQUIPMENT", viewers=("standard",), classes=(), check=_equipment,
         reason="nobody can tell which software made it"),
    Rule(id="ALL-DEVICE", viewers=("standard",), classes=(), check=_algorithm_device,
         reason="results of different weights cannot be told apart"),
    Rule(id="ALL-RESEARCH", viewers=("radiologist",), classes=(), check=_research_use_only,
         reason="a research result is taken for a finding"),
    Rule(id="ALL-BODY-PART", viewers=("Weasis",), classes=(), check=_acquired_region,
         reason="hanging protocols leave it out", must=False),
)  # fmt: skip
"""One row a rule."""
