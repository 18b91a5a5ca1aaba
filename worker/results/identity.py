"""Whose result it is, when it was made and by what: the attributes that all our objects share.

Called by every writer, last, on a whole data set. Patient and study are copied from the reference series with its
character set (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2, C.12.1.1.2); everything that a library took from clock or chance is
replaced by what follows from the request, so that the same input gives the same bytes.
"""

from datetime import UTC, datetime
from typing import Any

from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from worker.errors import WorkerError
from worker.results import codes
from worker.results.provenance import LONG_STRING_CHARACTERS, MANUFACTURER, MODEL_NAME, ResultContext, plain_text
from worker.results.related_series import name_related_series
from worker.results.uids import derive_uid

IMPLEMENTATION_CLASS_UID = derive_uid("quartet", "implementation", "worker")
IMPLEMENTATION_VERSION = "QUARTET_WORKER"

_REQUIRED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Type 2: present, and empty where the source has none."""
_OPTIONAL = (
    "IssuerOfPatientID", "OtherPatientIDsSequence", "PatientBirthTime", "PatientAge", "PatientSize", "PatientWeight",
    "EthnicGroup", "PatientComments", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "StudyDescription", "IssuerOfAccessionNumberSequence",
    "PhysiciansOfRecord", "LongitudinalTemporalInformationModified", "TimezoneOffsetFromUTC",
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
    "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID", "ClinicalTrialTimePointID",
)  # fmt: skip


def stamp(dataset: Dataset, context: ResultContext, kind: str, description: str) -> None:
    """Give a whole object its patient, study, moment, maker and UIDs. Changes `dataset`.

    `kind` names object and series in the derivation of their UIDs. Raises `WorkerError` where the source headers
    belong to another study than the request.
    """
    source = context.reference.headers[0]
    if str(source.get("StudyInstanceUID")) != context.request.study_instance_uid:
        raise WorkerError("the reference series belongs to another study than the request")
    _copy_patient_and_study(dataset, source)
    _stamp_moment(dataset, local_moment(context))
    _stamp_maker(dataset, context)
    dataset.StudyInstanceUID = context.request.study_instance_uid
    dataset.SeriesInstanceUID = context.uid(f"{kind}.series")
    dataset.SeriesDescription = plain_text(description, LONG_STRING_CHARACTERS)
    if "Rows" in dataset:
        dataset.BodyPartExamined = "BRAIN"
    _stamp_dimension_organization(dataset, context.uid(f"{kind}.dimensions"))
    if "Rows" in dataset:
        name_related_series(dataset, context, kind)
    _stamp_file_meta(dataset)


def sop_instance_uid(context: ResultContext, kind: str) -> str:
    """The UID of the object `kind` of this result."""
    return context.uid(f"{kind}.instance")


def _copy_patient_and_study(dataset: Dataset, source: Any) -> None:
    if "SpecificCharacterSet" in source:
        dataset.SpecificCharacterSet = source.SpecificCharacterSet
    elif "SpecificCharacterSet" in dataset:
        del dataset.SpecificCharacterSet
    for keyword in _REQUIRED + _OPTIONAL:
        if keyword in source:
            dataset[keyword] = source[keyword]
        elif keyword in _REQUIRED:
            setattr(dataset, keyword, None)


def local_moment(context: ResultContext) -> datetime:
    """When the result was asked for, in the source's time zone where it names one (so that all times of the object
    agree), else in UTC.
    """
    offset = str(context.reference.headers[0].get("TimezoneOffsetFromUTC") or "+0000")
    try:
        zone = datetime.strptime(offset, "%z").tzinfo
    except ValueError:
        zone = UTC
    return context.created_at.astimezone(zone)


def _stamp_moment(dataset: Dataset, moment: datetime) -> None:
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    keywords = ["InstanceCreation", "Series"]
    if "ContentDate" in dataset:
        keywords.append("Content")
    for keyword in keywords:
        setattr(dataset, f"{keyword}Date", date)
        setattr(dataset, f"{keyword}Time", time)


def _stamp_maker(dataset: Dataset, context: ResultContext) -> None:
    model = context.model
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = MODEL_NAME
    dataset.DeviceSerialNumber = plain_text(model.weights_digest, LONG_STRING_CHARACTERS)
    dataset.SoftwareVersions = [
        plain_text(context.software_version, LONG_STRING_CHARACTERS),
        plain_text(f"{model.name} {model.version}", LONG_STRING_CHARACTERS),
    ]
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(codes.PROCESSING_EQUIPMENT)]
    equipment.Manufacturer = MANUFACTURER
    equipment.ManufacturerModelName = MODEL_NAME
    equipment.DeviceSerialNumber = dataset.DeviceSerialNumber
    equipment.SoftwareVersions = dataset.SoftwareVersions
    equipment.DeviceUID = context.device_uid
    equipment.ContributionDateTime = context.created_at.strftime("%Y%m%d%H%M%S%z")
    equipment.ContributionDescription = "Detection and segmentation of brain metastases"
    dataset.ContributingEquipmentSequence = [equipment]


def _stamp_dimension_organization(dataset: Dataset, uid: str) -> None:
    for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in dataset.get(keyword) or []:
            item.DimensionOrganizationUID = uid


def _stamp_file_meta(dataset: Dataset) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    dataset.file_meta = meta
