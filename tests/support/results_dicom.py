"""Small but valid-looking SEG and SR files for tests of sending: the right classes, real bytes, no meaning."""

from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, Comprehensive3DSRStorage, ExplicitVRLittleEndian, SegmentationStorage

ROOT = "1.2.826.0.1.3680043.10.9999"


def write_object(
    path: Path,
    sop_class: str,
    number: int,
    *,
    pixel_bytes: int = 4096,
    syntax: str = ExplicitVRLittleEndian,
    patient_name: str = "ZZCANARY^ANNE",
) -> Path:
    """A Part 10 file of a class; `number` makes its UID, `pixel_bytes` its weight."""
    ds = Dataset()
    ds.SOPClassUID = UID(sop_class)
    ds.SOPInstanceUID = UID(f"{ROOT}.1.{number}")
    ds.StudyInstanceUID = UID(f"{ROOT}.2")
    ds.SeriesInstanceUID = UID(f"{ROOT}.3.{number}")
    ds.PatientName = patient_name
    ds.PatientID = "ZZCANARY"
    ds.Modality = "SR" if ".88." in sop_class else "SEG"
    ds.SeriesNumber = number
    if pixel_bytes:
        ds.Rows = ds.Columns = 8
        ds.PixelData = bytes(range(256)) * (pixel_bytes // 256)
        ds["PixelData"].VR = "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.save_as(path, enforce_file_format=True)
    return path


def write_seg(folder: Path, *, pixel_bytes: int = 4096) -> Path:
    """A file of the class Segmentation."""
    return write_object(folder / "seg.dcm", SegmentationStorage, 1, pixel_bytes=pixel_bytes)


def write_sr(folder: Path) -> Path:
    """A file of the class Comprehensive 3D SR."""
    return write_object(folder / "sr.dcm", Comprehensive3DSRStorage, 2, pixel_bytes=0)
