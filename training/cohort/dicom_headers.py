"""What GE and Siemens write in the headers of the paper's sequences (MR Image IOD, PS3.3 A.4).

Called by write_dicom.py. Pure: a protocol in, attributes out. Everything follows from the seed; no real person, no
real place. Nominal timing is Table 3's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydicom.uid import generate_uid

from dicom_node.contract.slots import SequenceSlot
from training.cohort.protocol import Plane, Protocol, Series
from training.cohort.signal import Contrast

BRAVO, PRE, POST, FLAIR = SequenceSlot
_ORDER: Final = (PRE, FLAIR, BRAVO, POST)
"""Order of acquisition; gadolinium is given after the first."""
_SERIES_MINUTES: Final = 6
_FIRST_DAY: Final = datetime(2021, 3, 1, 8, 0)
_PLANE_WORD: Final = {Plane.AXIAL: "Ax", Plane.SAGITTAL: "Sag", Plane.CORONAL: "Cor"}


@dataclass(frozen=True, kw_only=True)
class StudyIdentity:
    """Who, when and under which UIDs, all from the seed."""

    seed: int

    def uid(self, *parts: object) -> str:
        """A UID of this study; the same parts give the same UID."""
        return str(generate_uid(entropy_srcs=["quartet synthetic cohort", str(self.seed), *(str(p) for p in parts)]))

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
        "PatientID": f"SYNTHETIC-{identity.seed:06d}",
        "PatientBirthDate": "19570401",
        "PatientSex": "F" if identity.seed % 3 else "M",
        "PatientAge": "064Y",
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "Simulated: there is no patient",
        "StudyInstanceUID": identity.uid("study"),
        "StudyID": f"{identity.seed % 100000}",
        "StudyDate": f"{identity.start:%Y%m%d}",
        "StudyTime": f"{identity.start:%H%M%S}.000000",
        "AccessionNumber": f"SYN{identity.seed:07d}",
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


def series_attributes(
    identity: StudyIdentity, protocol: Protocol, series: Series, shared_frame: bool
) -> dict[str, Any]:
    """One series' own attributes, without its geometry."""
    siemens = protocol.vendor.startswith("SIEMENS")
    start = identity.series_start(series.slot)
    number = _ORDER.index(series.slot) + 2
    nominal = series.nominal
    attributes: dict[str, Any] = {
        "SeriesInstanceUID": identity.uid("series", series.slot),
        "FrameOfReferenceUID": identity.uid("frame", "shared" if shared_frame else series.slot),
        "SeriesNumber": number * (1 if siemens else 100),
        "SeriesDescription": describe(protocol, series),
        "ProtocolName": describe(protocol, series),
        "SeriesDate": f"{start:%Y%m%d}",
        "SeriesTime": f"{start:%H%M%S}.000000",
        "AcquisitionDate": f"{start:%Y%m%d}",
        "AcquisitionTime": f"{start + timedelta(seconds=20):%H%M%S}.000000",
        "ContentDate": f"{start:%Y%m%d}",
        "AcquisitionNumber": 1,
        "MRAcquisitionType": "3D",
        "RepetitionTime": nominal.tr_ms,
        "EchoTime": nominal.te_ms,
        "FlipAngle": nominal.flip_deg,
        "NumberOfAverages": 1,
        "EchoNumbers": 1,
        "PixelBandwidth": 244 if series.slot is BRAVO else 488,
        "PercentSampling": 100,
        "PercentPhaseFieldOfView": 100,
        "InPlanePhaseEncodingDirection": "ROW",
        **(_siemens_sequence(series) if siemens else _ge_sequence(series)),
    }
    if nominal.ti_ms:
        attributes["InversionTime"] = nominal.ti_ms
    if series.after_gd:
        attributes |= {"ContrastBolusAgent": "MULTIHANCE", "ContrastBolusRoute": "IV", "ContrastBolusVolume": 15}
    return attributes


def describe(protocol: Protocol, series: Series) -> str:
    """The series description as a technologist names it."""
    plane = _PLANE_WORD[series.geometry.plane]
    if protocol.vendor.startswith("SIEMENS"):
        names = {
            BRAVO: "t1_mprage_tra_p2_iso_KM",
            PRE: "t1_space_sag_p2_iso",
            POST: "t1_space_sag_p2_iso_KM",
            FLAIR: "t2_space_dark-fluid_sag_p2_iso",
        }
        return names[series.slot]
    names = {
        BRAVO: f"{plane} BRAVO +C",
        PRE: f"{plane} T1 CUBE PRE",
        POST: f"{plane} T1 CUBE +C",
        FLAIR: f"{plane} T2 FLAIR CUBE",
    }
    return names[series.slot]


def _siemens_sequence(series: Series) -> dict[str, Any]:
    image_type = ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]
    if series.pulse.contrast in (Contrast.IR_GRE, Contrast.GRE):
        return {
            "ImageType": image_type, "ScanningSequence": ["GR", "IR"], "SequenceVariant": ["SK", "SP", "MP"],
            "SequenceName": "*tfl3d1_16ns", "ScanOptions": "IR", "EchoTrainLength": 1,
        }  # fmt: skip
    if series.pulse.contrast is Contrast.FLAIR:
        return {
            "ImageType": image_type, "ScanningSequence": ["SE", "IR"], "SequenceVariant": ["SK", "SP", "MP"],
            "SequenceName": "*spcir_278ns", "ScanOptions": ["IR", "PFP"], "EchoTrainLength": 278,
        }  # fmt: skip
    return {
        "ImageType": image_type, "ScanningSequence": "SE", "SequenceVariant": ["SK", "SP"], "SequenceName": "*spc_45ns",
        "ScanOptions": "PFP", "EchoTrainLength": 45,
    }  # fmt: skip


def _ge_sequence(series: Series) -> dict[str, Any]:
    image_type = ["ORIGINAL", "PRIMARY", "OTHER"]
    if series.pulse.contrast in (Contrast.IR_GRE, Contrast.GRE):
        return {
            "ImageType": image_type, "ScanningSequence": ["GR", "IR"], "SequenceVariant": ["SS", "SP", "SK", "MP"],
            "ScanOptions": ["FAST_GEMS", "EDR_GEMS", "ACC_GEMS"], "EchoTrainLength": 1,
        }  # fmt: skip
    if series.pulse.contrast is Contrast.FLAIR:
        return {
            "ImageType": image_type, "ScanningSequence": ["SE", "IR"], "SequenceVariant": "SK",
            "ScanOptions": ["FAST_GEMS", "EDR_GEMS", "ACC_GEMS", "FS"], "EchoTrainLength": 160,
        }  # fmt: skip
    return {
        "ImageType": image_type, "ScanningSequence": "SE", "SequenceVariant": "SK",
        "ScanOptions": ["FAST_GEMS", "EDR_GEMS", "ACC_GEMS"], "EchoTrainLength": 24,
    }  # fmt: skip
