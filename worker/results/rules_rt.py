"""Rules for the RT Structure Set: what planning systems need to place the outlines."""

from collections.abc import Iterator

from worker.results.rule import RT_STRUCTURE_SET, Rule, Subject, first_item


def _same_regions(subject: Subject) -> Iterator[str]:
    structures = subject.dataset
    regions = [int(item.ROINumber) for item in structures.get("StructureSetROISequence") or []]
    contours = [int(item.ReferencedROINumber) for item in structures.get("ROIContourSequence") or []]
    observations = [int(item.ReferencedROINumber) for item in structures.get("RTROIObservationsSequence") or []]
    if not regions or regions != contours or regions != observations:
        yield "regions, contours and observations do not name the same numbers"
    if any(not item.get("ContourSequence") for item in structures.get("ROIContourSequence") or []):
        yield "a region has no contour"


def _placed(subject: Subject) -> Iterator[str]:
    frame = first_item(subject.dataset, "ReferencedFrameOfReferenceSequence")
    series = first_item(frame, "RTReferencedStudySequence", "RTReferencedSeriesSequence")
    if frame is None or series is None:
        yield "it names no frame of reference with a series"
    elif subject.display is not None and (
        frame.get("FrameOfReferenceUID") != subject.display.frame_of_reference_uid
        or series.get("SeriesInstanceUID") != subject.display.series_instance_uid
    ):
        yield "its frame of reference or series is not that of the display series"


def _contour_images(subject: Subject) -> Iterator[str]:
    if subject.display is None:
        return
    lost = 0
    for region in subject.dataset.get("ROIContourSequence") or []:
        for contour in region.get("ContourSequence") or []:
            image = first_item(contour, "ContourImageSequence")
            lost += image is None or str(image.ReferencedSOPInstanceUID) not in subject.display.instances
    if lost:
        yield f"{lost} contours name no image of the display series"


RULES = (
    Rule(id="RT-REGIONS", viewers=("3D Slicer", "planning systems"), classes=(RT_STRUCTURE_SET,), check=_same_regions,
         reason="a region without contour or observation stops the import"),
    Rule(id="RT-PLACED", viewers=("planning systems",), classes=(RT_STRUCTURE_SET,), check=_placed,
         reason="the structure set cannot be attached to its images"),
    Rule(id="RT-IMAGES", viewers=("planning systems",), classes=(RT_STRUCTURE_SET,), check=_contour_images,
         reason="contours are not shown on their slice"),
)  # fmt: skip
"""One row a rule."""
