"""What identifies a synthetic study, and what its headers say of it (MR Image IOD, PS3.3 A.4).

Called by write_dicom.py; how each vendor names a sequence is vendor_sequences.py's. Pure: a protocol in, attributes
out. Everything follows from seed and options; no real person, no real place. Nominal timing is Table 3's.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from pydicom.uid import generate_uid

from dicom_node.contract.slots import SequenceSlot
from training.cohort.protocol import Protocol, Series, Site
from training.cohort.vendor_sequences import describe, sequence_attributes

BRAVO, PRE, POST, FLAIR = SequenceSlot
_ORDER: Final = (PRE, FLAIR, BRAVO, POST)
"""Order of acquisition; gadolinium is given after the first."""
_SERIES_MINUTES: Final = 6
_FIRST_DAY: Final = datetime(2021, 3, 1, 8, 0)
_BORN: Final = date(1957, 4, 1)
_DECIMALS: Final = 3
"""Of times and angles: a decimal string has 16 characters at most (PS3.5 6.2, DS)."""


@dataclass(frozen=True, kw_only=True)
class StudyIdentity:
    """Who, when and under which UIDs: all that two studies can differ in."""

    seed: int
    site: Site
    head: str
    """`Anatomy.source`."""
    lesions: int | None
    """`Options.lesions`."""
    slots: tuple[SequenceSlot, ...]
    """The series that there are."""
    shared_frame: bool
    """One frame of reference for all series, as in one session."""

    def uid(self, *parts: object) -> str:
        """A UID of this study; the same parts give the same UID."""
        study = (self.seed, self.site, self.head, self.lesions, "+".join(self.slots), self.shared_frame)
        return str(generate_uid(entropy_srcs=["|".join(str(p) for p in ("quartet synthetic cohort", *study, *parts))]))

    @property
    def patient_id(self) -> str:
        """The sites have patients of their own."""
        return f"SYNTHETIC-{self.site.upper()}-{self.seed:06d}"

    @property
    def age_years(self) -> int:
        """Whole years on the day of the study."""
        birthday_is_to_come = (self.start.month, self.start.day) < (_BORN.month, _BORN.day)
        return self.start.year - _BORN.year - birthday_is_to_come

    @property
    def accession_number(self) -> str:
        """At most 16 characters (PS3.5 6.2, SH)."""
        return f"SYN{int(self.uid('accession').rpartition('.')[2]) % 10**10:010d}"

    @property
    def start(self) -> datetime:
        """When the study began: some morning of two years."""
        return _FIRST_DAY + timedelta(days=self.seed % 700, minutes=15 * (self.seed % 30))

    def series_start(self, slot: SequenceSlot) -> datetime:
        """When the acquisition of a slot's series began, in the order of `_ORDER`."""
        return self.start + timedelta(minutes=5 + _SERIES_MINUTES * _ORDER.index(slot))


def study_attributes(identity: StudyIdentity, protocol: Protocol) -> dict[str, Any]:
    """Patient, study and equipment: the same in every instance."""
    return {
        "PatientName": "DEMO^Synthetic",
        "PatientID": identity.patient_id,
        "PatientBirthDate": f"{_BORN:%Y%m%d}",
        "PatientSex": "F" if identity.seed % 3 else "M",
        "PatientAge": f"{identity.age_years:03d}Y",
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "Simulated: there is no patient",
        "StudyInstanceUID": identity.uid("study"),
        "StudyID": f"{identity.seed % 100000}",
        "StudyDate": f"{identity.start:%Y%m%d}",
        "StudyTime": f"{identity.start:%H%M%S}.000000",
        "AccessionNumber": identity.accession_number,
        "ReferringPhysicianName": "",
        "StudyDescription": "MR BRAIN W WO CONTRAST",
        "Modality": "MR",
        "Manufacturer": protocol.vendor,
        "ManufacturerModelName": protocol.model,
        "InstitutionName": "Synthetic Hospital",
        "StationName": "SIMULATOR",
        "DeviceSerialNumber": "000000",
        "SoftwareVersions": "quartet cohort",
        "MagneticFieldStrength": protocol.field_t,
        "ImagingFrequency": round(42.577 * protocol.field_t, 4),
        "ImagedNucleus": "1H",
        "BodyPartExamined": "BRAIN",
        "PatientPosition": "HFS",
        "PositionReferenceIndicator": "",
    }


def series_attributes(identity: StudyIdentity, protocol: Protocol, series: Series) -> dict[str, Any]:
    """One series' own attributes, without its geometry."""
    siemens = protocol.vendor.startswith("SIEMENS")
    start = identity.series_start(series.slot)
    number = _ORDER.index(series.slot) + 2
    nominal = series.nominal
    attributes: dict[str, Any] = {
        "SeriesInstanceUID": identity.uid("series", series.slot),
        "FrameOfReferenceUID": identity.uid("frame", "shared" if identity.shared_frame else series.slot),
        "SeriesNumber": number * (1 if siemens else 100),
        "SeriesDescription": describe(protocol.vendor, series),
        "ProtocolName": describe(protocol.vendor, series),
        "SeriesDate": f"{start:%Y%m%d}",
        "SeriesTime": f"{start:%H%M%S}.000000",
        "AcquisitionDate": f"{start:%Y%m%d}",
        "AcquisitionTime": f"{start + timedelta(seconds=20):%H%M%S}.000000",
        "ContentDate": f"{start:%Y%m%d}",
        "AcquisitionNumber": 1,
        "MRAcquisitionType": "2D" if series.geometry.two_dimensional else "3D",
        "RepetitionTime": round(nominal.tr_ms, _DECIMALS),
        "EchoTime": round(nominal.te_ms, _DECIMALS),
        "FlipAngle": round(nominal.flip_deg, _DECIMALS),
        "NumberOfAverages": 1,
        "EchoNumbers": 1,
        "PixelBandwidth": 244 if series.slot is BRAVO else 488,
        "PercentSampling": 100,
        "PercentPhaseFieldOfView": 100,
        "InPlanePhaseEncodingDirection": "ROW",
        **sequence_attributes(protocol.vendor, series),
    }
    if "IR" in attributes["ScanningSequence"]:
        attributes["InversionTime"] = round(nominal.ti_ms, _DECIMALS)
    if series.after_gd:
        attributes |= {"ContrastBolusAgent": "MULTIHANCE", "ContrastBolusRoute": "IV", "ContrastBolusVolume": 15}
    return attributes
