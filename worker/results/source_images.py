"""The source images as the writers need them: position, size and UIDs only, one entry a frame.

Called by segmentation, report, parametric_map, rtstruct and secondary_capture. The headers of real scanners hold
values that a strict library refuses (a sex of X, no StudyID); so it is shown copies with no patient in them, and
`identity` puts the patient in afterwards. Classic and enhanced multi-frame MR (PS3.3 C.8.3, C.7.6.16).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from worker.errors import WorkerError
from worker.volume.geometry import Float64, SeriesVolume
from worker.volume.planes import planes_of
from worker.volume.slices import order

SLICE_TOLERANCE = 0.5
"""A frame further than this from its slice, in slices, is not the frame of these voxels."""
IN_PLANE_TOLERANCE_MM = 1.0
"""The reader allows the slices to drift by half a millimetre against one another; twice that is another place."""


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
    """The frames that the voxels were read from, in the order of the slices.

    Raises `WorkerError` where headers and voxels do not belong together.
    """
    headers = reference.headers
    planes, _ = order(planes_of(headers), int(headers[0].Rows), int(headers[0].Columns))
    found = sorted(((_slice_at(reference, plane.position_mm), plane) for plane in planes), key=lambda pair: pair[0])
    if [z for z, _ in found] != list(range(reference.volume.grid.shape_zyx[0])):
        raise WorkerError("the headers of the reference series do not name each slice of its voxels once")
    return tuple(
        SourceFrame(
            sop_class_uid=str(headers[plane.source].SOPClassUID),
            sop_instance_uid=str(headers[plane.source].SOPInstanceUID),
            frame_number=plane.frame + 1 if _is_enhanced(headers) else None,
            z=z,
        )
        for z, plane in found
    )


def bare_images(reference: SeriesVolume) -> list[Dataset]:
    """The reference series without patient and pixels, in the order of the slices.

    One data set a slice; or one enhanced data set of just the frames that are slices, whose numbers
    `restore_frame_numbers` puts right in what was made of it.
    """
    headers = reference.headers
    frames = source_frames(reference)
    if _is_enhanced(headers):
        return [_bare_enhanced(headers[0], reference, frames)]
    by_uid = {str(header.SOPInstanceUID): header for header in headers}
    bare = []
    for frame in frames:
        header = by_uid[frame.sop_instance_uid]
        image = _bare(header, reference)
        image.ImagePositionPatient = header.ImagePositionPatient
        image.ImageOrientationPatient = headers[0].ImageOrientationPatient
        image.update(_measures(reference))
        bare.append(image)
    return bare


def restore_frame_numbers(dataset: Dataset, reference: SeriesVolume) -> None:
    """In an image made from `bare_images`, name the frames of the enhanced source as they are numbered there."""
    if not _is_enhanced(reference.headers):
        return
    numbers = [frame.frame_number for frame in source_frames(reference)]
    # Frames of several segments on one plane share one item: each is to be renumbered once.
    sources = (
        frame.DerivationImageSequence[0].SourceImageSequence[0] for frame in dataset.PerFrameFunctionalGroupsSequence
    )
    for source in {id(source): source for source in sources}.values():
        source.ReferencedFrameNumber = numbers[int(source.ReferencedFrameNumber) - 1]


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


def _bare_enhanced(header: Any, reference: SeriesVolume, frames: Sequence[SourceFrame]) -> Dataset:
    bare = _bare(header, reference)
    groups = header.PerFrameFunctionalGroupsSequence
    bare.NumberOfFrames = len(frames)
    shared = Dataset()
    shared.PixelMeasuresSequence = [_measures(reference)]
    orientation = Dataset()
    orientation.ImageOrientationPatient = _group(header, "PlaneOrientationSequence").ImageOrientationPatient
    shared.PlaneOrientationSequence = [orientation]
    bare.SharedFunctionalGroupsSequence = [shared]
    chosen = [groups[(frame.frame_number or 1) - 1] for frame in frames]
    bare.PerFrameFunctionalGroupsSequence = [
        _frame_at(group.PlanePositionSequence[0].ImagePositionPatient) for group in chosen
    ]
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


def _group(header: Any, keyword: str) -> Any:
    """A functional group's item, shared or else of the first frame."""
    shared = header.SharedFunctionalGroupsSequence[0]
    holder = shared if keyword in shared else header.PerFrameFunctionalGroupsSequence[0]
    return holder[keyword].value[0]


def _slice_at(reference: SeriesVolume, position_mm: Float64) -> int:
    grid = reference.volume.grid
    index_zyx = grid.to_index(position_mm)
    x_mm, y_mm, _ = grid.spacing_mm_xyz
    off_slice = abs(index_zyx[0] - round(float(index_zyx[0])))
    off_plane_mm = max(abs(index_zyx[1]) * y_mm, abs(index_zyx[2]) * x_mm)
    if off_slice > SLICE_TOLERANCE or off_plane_mm > IN_PLANE_TOLERANCE_MM:
        raise WorkerError("an image of the reference series does not lie where its voxels lie")
    return round(float(index_zyx[0]))


def _is_enhanced(headers: tuple[Any, ...]) -> bool:
    return len(headers) == 1 and "PerFrameFunctionalGroupsSequence" in headers[0]
