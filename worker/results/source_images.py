"""The source images as the writers need them: position, size and UIDs only, one entry a frame.

Called by segmentation, report, parametric_map, rtstruct and secondary_capture. The headers of real scanners hold
values that a strict library refuses (a sex of X, no StudyID); so it is shown copies with no patient in them, and
`identity` puts the patient in afterwards. Classic and enhanced multi-frame MR (PS3.3 C.8.3, C.7.6.16).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from worker.errors import WorkerError
from worker.volume.geometry import SeriesVolume

PLANE_TOLERANCE = 0.5
"""A frame whose position is further than this from its slice, in slices, is not the frame of these voxels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceFrame:
    """One frame of the reference series."""

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None
    """From 1 in a multi-frame image; None in a classic one."""
    z: int
    """Its slice in the voxels of the volume."""


def source_frames(reference: SeriesVolume) -> tuple[SourceFrame, ...]:
    """The frames of the series in the order of the headers, or of the frames of an enhanced image.

    Raises `WorkerError` where headers and voxels do not belong together.
    """
    positions = _positions(reference.headers)
    slices = [_slice_at(reference, position) for position in positions]
    if sorted(slices) != list(range(reference.volume.grid.shape_zyx[0])):
        raise WorkerError("the headers of the reference series do not name each slice of its voxels once")
    enhanced = _is_enhanced(reference.headers)
    return tuple(
        SourceFrame(
            sop_class_uid=str(reference.headers[0 if enhanced else n].SOPClassUID),
            sop_instance_uid=str(reference.headers[0 if enhanced else n].SOPInstanceUID),
            frame_number=n + 1 if enhanced else None,
            z=z,
        )
        for n, z in enumerate(slices)
    )


def bare_images(reference: SeriesVolume) -> list[Dataset]:
    """The reference series without patient and pixels: one data set a slice, or one enhanced data set."""
    headers = reference.headers
    if not _is_enhanced(headers):
        bare = [_bare(header, reference) for header in headers]
        for image, header in zip(bare, headers, strict=True):
            image.ImagePositionPatient = header.ImagePositionPatient
            image.ImageOrientationPatient = headers[0].ImageOrientationPatient
            image.update(_measures(reference))
        return bare
    return [_bare_enhanced(headers[0], reference)]


def name_further_sources(dataset: Dataset, others: Iterable[Sequence[Any]]) -> None:
    """Add the other input series to an image made from the display series, which stays first. Changes `dataset`.

    Source Image Sequence and Common Instance Reference (PS3.3 C.7.6.1.1.4, C.12.2), as highdicom's
    `further_source_images` writes them, in a tenth of its time; frames name the display series only.
    """
    images, series = list(dataset.SourceImageSequence), list(dataset.ReferencedSeriesSequence)
    for headers in others:
        references = [_reference(header, dataset) for header in headers]
        if references:
            item = Dataset()
            item.SeriesInstanceUID = headers[0].SeriesInstanceUID
            item.ReferencedInstanceSequence = references
            images.extend(references)
            series.append(item)
    dataset.SourceImageSequence, dataset.ReferencedSeriesSequence = images, series


def _reference(header: Any, dataset: Dataset) -> Dataset:
    if header.StudyInstanceUID != dataset.StudyInstanceUID:
        raise WorkerError("an input series belongs to another study than the reference series")
    reference = Dataset()
    reference.ReferencedSOPClassUID = header.SOPClassUID
    reference.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return reference


def _bare(header: Any, reference: SeriesVolume) -> Dataset:
    bare = Dataset()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        setattr(bare, keyword, header.get(keyword))
    bare.Modality = "MR"
    _, bare.Rows, bare.Columns = reference.volume.grid.shape_zyx
    bare.FrameOfReferenceUID = reference.frame_of_reference_uid
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(bare, keyword, "")
    bare.StudyDate = bare.StudyTime = None
    if header.get("LossyImageCompression") == "01":
        for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if header.get(keyword):
                setattr(bare, keyword, header.get(keyword))
    return bare


def _bare_enhanced(header: Any, reference: SeriesVolume) -> Dataset:
    bare = _bare(header, reference)
    positions = _positions((header,))
    bare.NumberOfFrames = len(positions)
    shared = Dataset()
    shared.PixelMeasuresSequence = [_measures(reference)]
    orientation = Dataset()
    orientation.ImageOrientationPatient = _orientation(header)
    shared.PlaneOrientationSequence = [orientation]
    bare.SharedFunctionalGroupsSequence = [shared]
    bare.PerFrameFunctionalGroupsSequence = [_frame_at(position) for position in positions]
    return bare


def _frame_at(position: Any) -> Dataset:
    plane = Dataset()
    plane.ImagePositionPatient = position
    frame = Dataset()
    frame.PlanePositionSequence = [plane]
    return frame


def _measures(reference: SeriesVolume) -> Dataset:
    """Pixel spacing as the headers give it, thickness with the slice distance where they give none."""
    header = reference.headers[0]
    group = _group(header, "PixelMeasuresSequence") if _is_enhanced(reference.headers) else header
    x_mm, y_mm, z_mm = reference.volume.grid.spacing_mm_xyz
    measures = Dataset()
    measures.PixelSpacing = group.get("PixelSpacing") or [format_number_as_ds(y_mm), format_number_as_ds(x_mm)]
    measures.SliceThickness = group.get("SliceThickness") or format_number_as_ds(z_mm)
    measures.SpacingBetweenSlices = format_number_as_ds(z_mm)
    return measures


def _positions(headers: tuple[Any, ...]) -> list[Any]:
    """ImagePositionPatient of each frame."""
    if not _is_enhanced(headers):
        return [header.ImagePositionPatient for header in headers]
    frames = headers[0].PerFrameFunctionalGroupsSequence
    return [frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames]


def _orientation(header: Any) -> Any:
    return _group(header, "PlaneOrientationSequence").ImageOrientationPatient


def _group(header: Any, keyword: str) -> Any:
    """A functional group's item, shared or else of the first frame."""
    shared = header.SharedFunctionalGroupsSequence[0]
    holder = shared if keyword in shared else header.PerFrameFunctionalGroupsSequence[0]
    return holder[keyword].value[0]


def _slice_at(reference: SeriesVolume, position: Any) -> int:
    z, y, x = reference.volume.grid.to_index(np.array([float(value) for value in position]))
    if abs(z - round(z)) > PLANE_TOLERANCE or abs(y) > PLANE_TOLERANCE or abs(x) > PLANE_TOLERANCE:
        raise WorkerError("an image of the reference series does not lie where its voxels lie")
    return round(float(z))


def _is_enhanced(headers: tuple[Any, ...]) -> bool:
    return len(headers) == 1 and "PerFrameFunctionalGroupsSequence" in headers[0]
