"""A synthetic patient as a DICOM study: what a modality would send (MR Image Storage, PS3.3 A.4; Explicit VR LE).

    OUT/<series number>_<slot>/IM0001.dcm ...
    OUT/planted.json        seed, StudyInstanceUID, reference slot, lesions (centroid_mm, volume_ml, diameter_mm; LPS
                            of the reference series); written last

Series are native and unregistered: the head moves between them. Used by `quartet demo` and the acceptance tests.
"""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from dicom_node.contract.slots import SequenceSlot
from training.cohort.dicom_headers import StudyIdentity, series_attributes, study_attributes
from training.cohort.patient import Options, Patient, make_patient
from training.cohort.protocol import Series, Site
from training.cohort.whole import clear, read_about, write_about, writing
from worker.volume.geometry import Grid, Volume

_LARGEST = 32767
_SERIES_FOLDER = re.compile(rf"\d{{3}}_({'|'.join(SequenceSlot)})")


def write_dicom(folder: Path, seed: int, site: Site, options: Options, shared_frame: bool = True) -> Path:
    """Make the patient of a seed and write its study. Raises FileExistsError where the folder already holds one."""
    _refuse_full(folder)
    return write_study(folder, make_patient(seed, site, options), shared_frame)


def write_study(folder: Path, patient: Patient, shared_frame: bool = True, slices: slice = slice(None)) -> Path:
    """Write a patient's study, `slices` of each series. Raises FileExistsError where the folder already holds one."""
    _refuse_full(folder)
    _remove_leftovers(folder)
    identity = study_identity(patient, shared_frame)
    for series in patient.protocol.series:
        if series.slot in patient.volumes:
            _write_series(folder, identity, patient, series, slices)
    planted = {
        "seed": patient.seed,
        "site": str(patient.protocol.site),
        "study_instance_uid": identity.uid("study"),
        "reference": str(patient.reference),
        "lesions": [asdict(lesion) for lesion in patient.lesions],
    }
    write_about(folder / "planted.json", planted)
    return folder


def study_identity(patient: Patient, shared_frame: bool = True) -> StudyIdentity:
    """Who the patient is: two studies that differ in anything share no UID."""
    return StudyIdentity(
        seed=patient.seed,
        site=patient.protocol.site,
        head=patient.scene.source,
        lesions=patient.options.lesions,
        slots=tuple(slot for slot in SequenceSlot if slot in patient.volumes),
        shared_frame=shared_frame,
    )


def _refuse_full(folder: Path) -> None:
    if read_about(folder / "planted.json") is not None:
        raise FileExistsError(f"{folder} already holds a study")


def _remove_leftovers(folder: Path) -> None:
    """Series of a run that was broken off: files of our own names, and the folders that are empty then."""
    clear(folder / "planted.json", ())
    for series in [path for path in folder.iterdir() if _SERIES_FOLDER.fullmatch(path.name) and path.is_dir()]:
        for path in series.glob("IM[0-9][0-9][0-9][0-9].dcm"):
            path.unlink()
        if not any(series.iterdir()):
            series.rmdir()


def _write_series(folder: Path, identity: StudyIdentity, patient: Patient, series: Series, slices: slice) -> None:
    volume = patient.volumes[series.slot]
    attributes = study_attributes(identity, patient.protocol) | series_attributes(identity, patient.protocol, series)
    target = folder / f"{attributes['SeriesNumber']:03d}_{series.slot}"
    target.mkdir(exist_ok=True)
    pixels = np.clip(np.round(volume.voxels), 0, _LARGEST).astype(np.uint16)
    window = _window(volume)
    for index, plane in list(enumerate(pixels))[slices]:
        ds = _instance(identity, attributes, series, volume.grid, index, plane, window)
        path = target / f"IM{index + 1:04d}.dcm"
        with writing(path):
            ds.save_as(path, enforce_file_format=True)


def _instance(
    identity: StudyIdentity,
    attributes: dict[str, Any],
    series: Series,
    grid: Grid,
    index: int,
    plane: NDArray[np.uint16],
    window: tuple[int, int],
) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
    ds.SOPClassUID = MRImageStorage
    ds.SOPInstanceUID = identity.uid("instance", series.slot, index)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.InstanceCreationDate = attributes["SeriesDate"]
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    ds.ContentTime = attributes["SeriesTime"]
    ds.InstanceNumber = index + 1
    direction = grid.direction
    x, y, z = grid.spacing_mm_xyz
    ds.ImagePositionPatient = [_decimal(v) for v in grid.to_mm(np.array([index, 0, 0]))]
    ds.ImageOrientationPatient = [_decimal(v) for v in (*direction[:, 0], *direction[:, 1])]
    ds.SliceLocation = _decimal(float(grid.to_mm(np.array([index, 0, 0])) @ direction[:, 2]))
    ds.PixelSpacing = [_decimal(y), _decimal(x)]
    ds.SliceThickness = _decimal(z)
    ds.SpacingBetweenSlices = _decimal(z)
    rows, columns = plane.shape
    ds.AcquisitionMatrix = [columns, 0, 0, rows]
    ds.Rows, ds.Columns = rows, columns
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.WindowCenter, ds.WindowWidth = window
    ds.PixelData = plane.astype("<u2").tobytes()
    return ds


def _window(volume: Volume) -> tuple[int, int]:
    top = float(np.percentile(volume.voxels[::4, ::4, ::4], 99.5))
    return round(top / 2), max(round(top), 1)


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2, DS)."""
    text = f"{float(value):.6f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
