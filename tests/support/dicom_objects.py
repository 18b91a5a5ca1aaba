"""Builds small valid synthetic MR objects: series as lists of pydicom data sets, and files of them.

    series = mr_series("BRAVO", orientation="sagittal", shape_zyx=(12, 32, 30), study_uid=uid("study", 7))
    paths = write(series, tmp_path)

Equal arguments give equal bytes and equal UIDs. Everything in `headers` replaces or adds DICOM keywords on every slice
(None deletes the element).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, generate_uid

ORIENTATIONS: Mapping[str, tuple[float, ...]] = {
    "axial": (1, 0, 0, 0, 1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    "oblique": (0.96, 0.28, 0.0, -0.2688, 0.9216, -0.28),
    "axial_negated": (-1, 0, 0, 0, -1, 0),
}
"""ImageOrientationPatient by name: cosines of the row, then of the column direction, LPS (PS3.3 C.7.6.2.1.1)."""

SEQUENCES: Mapping[str, Mapping[str, Any]] = {
    "BRAVO": {
        "SeriesNumber": 5, "SeriesDescription": "Ax 3D BRAVO +C", "ScanningSequence": ["GR", "IR"],
        "SequenceVariant": ["SS", "SP", "MP"], "RepetitionTime": 8.24, "EchoTime": 3.24, "InversionTime": 400.0,
        "FlipAngle": 13.0, "EchoTrainLength": 1, "ContrastBolusAgent": "Gadobenate", "AcquisitionTime": "101500",
    },
    "PRE_CUBE": {
        "SeriesNumber": 2, "SeriesDescription": "Sag CUBE T1", "ScanningSequence": "SE", "SequenceVariant": "SK",
        "RepetitionTime": 600.0, "EchoTime": 12.0, "FlipAngle": 90.0, "EchoTrainLength": 24,
        "AcquisitionTime": "100500",
    },
    "POST_CUBE": {
        "SeriesNumber": 4, "SeriesDescription": "Sag CUBE T1 +C", "ScanningSequence": "SE", "SequenceVariant": "SK",
        "RepetitionTime": 600.0, "EchoTime": 12.0, "FlipAngle": 90.0, "EchoTrainLength": 24,
        "ContrastBolusAgent": "Gadobenate", "AcquisitionTime": "101000",
    },
    "FLAIR": {
        "SeriesNumber": 3, "SeriesDescription": "Sag CUBE FLAIR", "ScanningSequence": ["SE", "IR"],
        "SequenceVariant": "SK", "RepetitionTime": 6000.0, "EchoTime": 119.0, "InversionTime": 1700.0,
        "FlipAngle": 90.0, "EchoTrainLength": 140, "AcquisitionTime": "100700",
    },
}  # fmt: skip
"""Headers of the four sequences as in Table 3 of the paper."""


def uid(*words: object) -> str:
    """A valid UID that depends on the words only."""
    return str(generate_uid(entropy_srcs=["quartet-tests", *(str(word) for word in words)]))


def mr_series(
    sequence: str = "BRAVO",
    *,
    orientation: str | Sequence[float] = "axial",
    shape_zyx: tuple[int, int, int] = (6, 16, 16),
    spacing_mm_zyx: tuple[float, float, float] = (1.0, 0.9375, 0.9375),
    origin_mm: tuple[float, float, float] = (-80.0, -100.0, -60.0),
    voxels: np.ndarray | None = None,
    patient_id: str = "P1",
    patient_name: str = "Doe^Jane",
    study_uid: str | None = None,
    series_uid: str | None = None,
    frame_of_reference_uid: str | None = None,
    headers: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> list[Dataset]:
    """One MR Image Storage object a slice, in the order of the slice normal (row x column).

    sequence: a key of SEQUENCES. voxels: (Z, Y, X), cast to uint16; noise of `seed` when absent. origin_mm: centre of
    the first voxel of the first slice, LPS. The study UID depends on the patient only, so that series of one patient
    meet; series and instance UIDs depend on patient, study, sequence, orientation and seed.
    """
    volume = _voxels(voxels, shape_zyx, seed)
    cosines = np.array(ORIENTATIONS[orientation] if isinstance(orientation, str) else orientation, dtype=float)
    normal = np.cross(cosines[:3], cosines[3:])
    study = study_uid or uid("study", patient_id)
    series = series_uid or uid("series", patient_id, study, sequence, orientation, seed)
    frame = frame_of_reference_uid or uid("frame", patient_id, study)
    made = []
    for z, pixels in enumerate(volume):
        ds = _common(sequence, patient_id, patient_name, spacing_mm_zyx, cosines)
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.SOPInstanceUID = uid("instance", series, z)
        ds.InstanceNumber = z + 1
        position = np.array(origin_mm) + normal * spacing_mm_zyx[0] * z
        ds.ImagePositionPatient = [f"{float(v):.6g}" for v in position]
        ds.Rows, ds.Columns = pixels.shape
        ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        _override(ds, headers or {})
        made.append(ds)
    return made


def write(datasets: Sequence[Dataset], folder: Path, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> list[Path]:
    """Write each data set as a DICOM file 0000.dcm, 0001.dcm, ... into the folder (made when absent)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.dcm" for number in range(len(datasets))]
    for ds, path in zip(datasets, paths, strict=True):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
        meta.TransferSyntaxUID = UID(transfer_syntax_uid)
        file = FileDataset(None, ds, preamble=b"\0" * 128, file_meta=meta)
        dcmwrite(path, file, enforce_file_format=True)
    return paths


def encoded(ds: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """The bytes of a data set as they travel in a C-STORE: no preamble, no file meta."""
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, transfer_syntax_uid == ImplicitVRLittleEndian
    write_dataset(file, ds)
    return bytes(file.getvalue())


def _voxels(voxels: np.ndarray | None, shape_zyx: tuple[int, int, int], seed: int) -> np.ndarray:
    if voxels is not None:
        return np.ascontiguousarray(voxels).astype("<u2")
    return np.random.default_rng(seed).integers(0, 1000, shape_zyx, dtype=np.uint16).astype("<u2")


def _common(
    sequence: str, patient_id: str, patient_name: str, spacing_mm_zyx: tuple[float, float, float], cosines: np.ndarray
) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    ds.SOPClassUID = MRImageStorage
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20260301"
    ds.StudyTime = "100000"
    ds.AccessionNumber = "A1"
    ds.Modality = "MR"
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "GE MEDICAL SYSTEMS", "SIGNA Premier", "28"
    ds.ReferringPhysicianName = ""
    ds.StudyDescription = "MRI brain"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = patient_name, patient_id, "19600101", "F"
    ds.BodyPartExamined = "HEAD"
    ds.ScanOptions = ""
    ds.MRAcquisitionType = "3D"
    ds.MagneticFieldStrength = 3.0
    ds.PatientPosition = "HFS"
    ds.StudyID = "1"
    ds.AcquisitionNumber = 1
    ds.PositionReferenceIndicator = ""
    ds.ImageOrientationPatient = [f"{float(v):.6g}" for v in cosines]
    ds.SliceThickness = ds.SpacingBetweenSlices = float(spacing_mm_zyx[0])
    ds.PixelSpacing = [float(spacing_mm_zyx[1]), float(spacing_mm_zyx[2])]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    _override(ds, SEQUENCES[sequence])
    ds.SeriesTime = ds.ContentTime = ds.AcquisitionTime
    return ds


def _override(ds: Dataset, headers: Mapping[str, Any]) -> None:
    for keyword, value in headers.items():
        if value is None:
            if keyword in ds:
                delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
