"""Rules for Segmentation and Parametric Map: what must hold so that the overlay is shown, and in the right place."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from worker.results import codes
from worker.results.rule import (
    LABEL_MAP_SEGMENTATION,
    PARAMETRIC_MAP,
    SEGMENTATION,
    Display,
    Rule,
    Subject,
    code_value,
    first_item,
)

PLANE_TOLERANCE = 1e-3
"""OHIF's tolerance for cosines (cornerstone3D), taken for millimetres of position too."""
WEASIS_FRAMES = 400
_SEGMENTATIONS = (SEGMENTATION, LABEL_MAP_SEGMENTATION)
_GRIDS = (*_SEGMENTATIONS, PARAMETRIC_MAP)


def _binary(subject: Subject) -> Iterator[str]:
    kind = subject.dataset.get("SegmentationType")
    if kind != "BINARY":
        yield f"SegmentationType is {kind}"


def _referenced_series(subject: Subject) -> Iterator[str]:
    series = first_item(subject.dataset, "ReferencedSeriesSequence")
    if series is None:
        yield "no ReferencedSeriesSequence"
    elif not series.get("ReferencedInstanceSequence"):
        yield "the referenced series names no instance"
    elif subject.display is not None and series.get("SeriesInstanceUID") != subject.display.series_instance_uid:
        yield "the first referenced series is not the display series"
    elif len(subject.dataset.ReferencedSeriesSequence) > 1:
        yield "it references other series beside the display series"


def _frame_of_reference(subject: Subject) -> Iterator[str]:
    uid = subject.dataset.get("FrameOfReferenceUID")
    if not uid:
        yield "no FrameOfReferenceUID"
    elif subject.display is not None and uid != subject.display.frame_of_reference_uid:
        yield "its frame of reference is not that of the display series"


def _planes(subject: Subject) -> Iterator[str]:
    """Orientation, size and spacing of the display series, and every frame on one of its slices."""
    display, dataset = subject.display, subject.dataset
    shared = first_item(dataset, "SharedFunctionalGroupsSequence")
    orientation = first_item(shared, "PlaneOrientationSequence")
    measures = first_item(shared, "PixelMeasuresSequence")
    if orientation is None or measures is None:
        yield "orientation and spacing are not shared by all frames"
        return
    if display is None:
        return
    if not np.allclose(_floats(orientation.ImageOrientationPatient), display.orientation, atol=PLANE_TOLERANCE):
        yield "its planes are turned against those of the display series"
    if (dataset.Rows, dataset.Columns) != (display.rows, display.columns) or not np.allclose(
        _floats(measures.PixelSpacing), display.pixel_spacing_mm, rtol=PLANE_TOLERANCE
    ):
        yield "its rows, columns or pixel spacing differ from the display series"
    yield from _frames_on_slices(dataset, display)


def _frames_on_slices(dataset: Dataset, display: Display) -> Iterator[str]:
    slices = np.array(list(display.positions_mm.values()))
    frames = [first_item(frame, "PlanePositionSequence") for frame in dataset.PerFrameFunctionalGroupsSequence]
    if any(frame is None for frame in frames):
        yield "a frame has no position"
        return
    positions = np.array([_floats(frame.ImagePositionPatient) for frame in frames if frame is not None])
    nearest_mm = np.linalg.norm(positions[:, None, :] - slices[None, :, :], axis=-1).min(axis=1)
    off = int((nearest_mm > PLANE_TOLERANCE).sum())
    if off:
        yield f"{off} frames lie on no slice of the display series"


def _derivation(subject: Subject) -> Iterator[str]:
    """Each frame's first source image is the display image of its plane, with the codes that readers look for."""
    broken: dict[str, int] = {}
    for frame in subject.dataset.get("PerFrameFunctionalGroupsSequence") or []:
        fault = _derivation_fault(frame, subject.display, str(subject.dataset.SOPClassUID))
        if fault:
            broken[fault] = broken.get(fault, 0) + 1
    yield from (f"{count} frames {fault}" for fault, count in broken.items())


def _derivation_fault(frame: Dataset, display: Display | None, sop_class_uid: str) -> str:
    derivation = first_item(frame, "DerivationImageSequence")
    source = first_item(derivation, "SourceImageSequence")
    if source is None:
        return "name no source image"
    if sop_class_uid in _SEGMENTATIONS and code_value(derivation, "DerivationCodeSequence") != codes.SEGMENTATION.value:
        return "do not say that they were derived by segmentation (113076 DCM)"
    if code_value(source, "PurposeOfReferenceCodeSequence") != codes.SOURCE_IMAGE.value:
        return "do not name the source image's purpose (121322 DCM)"
    if display is None:
        return ""
    key = (str(source.ReferencedSOPInstanceUID), int(source.get("ReferencedFrameNumber") or 1))
    position = display.positions_mm.get(key)
    if position is None:
        return "have a first source image outside the display series"
    plane = first_item(frame, "PlanePositionSequence")
    if plane is None or np.abs(_floats(plane.ImagePositionPatient) - position).max() > PLANE_TOLERANCE:
        return "name the image of another slice"
    return ""


def _frame_content(subject: Subject) -> Iterator[str]:
    frames = subject.dataset.get("PerFrameFunctionalGroupsSequence") or []
    if len(frames) != int(subject.dataset.get("NumberOfFrames") or 0):
        yield "NumberOfFrames does not count its frames"
    if any(first_item(frame, "FrameContentSequence") is None for frame in frames):
        yield "a frame has no FrameContent"


def _segments(subject: Subject) -> Iterator[str]:
    segments = list(subject.dataset.get("SegmentSequence") or [])
    if [int(segment.get("SegmentNumber") or 0) for segment in segments] != list(range(1, len(segments) + 1)):
        yield "segments are not numbered 1, 2, 3, ..."
    plain = ("SegmentLabel", "SegmentAlgorithmName", "RecommendedDisplayCIELabValue", "TrackingID", "TrackingUID")
    sequences = (
        "SegmentedPropertyCategoryCodeSequence",
        "SegmentedPropertyTypeCodeSequence",
        "SegmentationAlgorithmIdentificationSequence",
        "AnatomicRegionSequence",
    )
    for keyword in (*plain, *sequences):
        lacking = sum(not segment.get(keyword) for segment in segments)
        if lacking:
            yield f"{lacking} segments have no {keyword}"
    if any(segment.get("SegmentAlgorithmType") != "AUTOMATIC" for segment in segments):
        yield "a segment is not said to be AUTOMATIC"


def _no_empty_segment(subject: Subject) -> Iterator[str]:
    dataset = subject.dataset
    if dataset.get("SegmentationType") != "BINARY":
        return
    filled = _filled_frames(dataset)
    if filled is None:
        yield "its pixel data have another length than rows x columns x frames"
        return
    numbers = _segment_of_frames(dataset)
    for segment in dataset.get("SegmentSequence") or []:
        number = int(segment.get("SegmentNumber") or 0)
        if not any(full for full, of in zip(filled, numbers, strict=True) if of == number):
            yield f"segment {number} is empty"


def _filled_frames(dataset: Dataset) -> list[bool] | None:
    """Whether each frame has a pixel set. Frames follow each other bit by bit, without filling (PS3.5 8.1.1)."""
    frames, pixels = int(dataset.NumberOfFrames), int(dataset.Rows) * int(dataset.Columns)
    size = -(-frames * pixels // 8)
    if len(dataset.PixelData) != size + size % 2:
        return None
    packed = np.frombuffer(dataset.PixelData, dtype=np.uint8)
    bits = np.unpackbits(packed, bitorder="little", count=frames * pixels)
    return [bool(frame.any()) for frame in bits.reshape(frames, pixels)]


def _segment_of_frames(dataset: Dataset) -> list[int]:
    shared = first_item(dataset, "SharedFunctionalGroupsSequence", "SegmentIdentificationSequence")
    numbers = []
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        item = first_item(frame, "SegmentIdentificationSequence") or shared
        numbers.append(int(item.ReferencedSegmentNumber) if item is not None else 0)
    return numbers


def _labelled(subject: Subject) -> Iterator[str]:
    for keyword in ("ContentLabel", "InstanceNumber"):
        if not subject.dataset.get(keyword):
            yield f"no {keyword}"


def _few_frames(subject: Subject) -> Iterator[str]:
    frames = int(subject.dataset.get("NumberOfFrames") or 0)
    if frames > WEASIS_FRAMES:
        yield f"it has {frames} frames"


def _floats(values: Any) -> Any:
    return np.array([float(value) for value in values])


RULES = (
    Rule(id="SEG-BINARY", viewers=("OHIF", "Orthanc", "DCMTK"), classes=_SEGMENTATIONS, check=_binary, must=False,
         reason="OHIF throws on FRACTIONAL; for destinations that ask for it only"),
    Rule(id="SEG-REFERENCED-SERIES", viewers=("OHIF",), classes=_GRIDS, check=_referenced_series,
         reason="without it no overlay is shown (OHIF #4030 #3936 #2361 #4271); of several the first to load is taken"),
    Rule(id="SEG-FRAME-OF-REFERENCE", viewers=("OHIF", "3D Slicer"), classes=_GRIDS, check=_frame_of_reference,
         reason="the overlay lies elsewhere, or is not offered for the series"),
    Rule(id="SEG-PLANES", viewers=("OHIF",), classes=_GRIDS, check=_planes,
         reason="it throws on perpendicular and oblique frames and shifts the others"),
    Rule(id="SEG-SOURCE-IMAGE", viewers=("OHIF", "dcmqi"), classes=_GRIDS, check=_derivation,
         reason="only the first source image of a frame is read, and it places the frame"),
    Rule(id="SEG-FRAMES", viewers=("standard", "dcmqi"), classes=_GRIDS, check=_frame_content,
         reason="frames are read in the wrong order or not at all"),
    Rule(id="SEG-SEGMENT", viewers=("OHIF", "3D Slicer", "Weasis"), classes=_SEGMENTATIONS, check=_segments,
         reason="a segment without name, colour, type or tracking cannot be listed or compared"),
    Rule(id="SEG-EMPTY", viewers=("OHIF",), classes=_SEGMENTATIONS, check=_no_empty_segment,
         reason="an empty segment hangs the loader (#3991)"),
    Rule(id="SEG-LABEL", viewers=("Weasis",), classes=_GRIDS, check=_labelled,
         reason="the list shows InstanceNumber and ContentLabel"),
    Rule(id="SEG-FEW-FRAMES", viewers=("Weasis",), classes=_SEGMENTATIONS, check=_few_frames, must=False,
         reason=f"a SEG of over {WEASIS_FRAMES} frames is switched off at first"),
)  # fmt: skip
"""One row a rule."""
