"""The measurement groups of the report: what is said of each lesion.

Called by report. Each lesion has a TID 1411 group (volume, probability, and the segment it was measured on) and a
TID 1410 group with the same tracking UID whose region is the long axis on its slice: viewers that draw nothing for
a segment's group draw that line, and OHIF merges the two by the tracking UID. Without a SEG the first is TID 1501.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    ContentSequence,
    FindingSite,
    ImageRegion,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    ReferencedSegment,
    SourceImageForRegion,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset

from dicom_node.contract.messages import Lesion, Product
from worker.errors import WorkerError
from worker.results import codes
from worker.results.content_items import measurement
from worker.results.provenance import ResultContext, plain_text
from worker.results.source_images import SourceFrame, source_frames
from worker.volume.geometry import Float64

TOP_LEFT_PIXEL_CENTRE = 0.5
"""SCOORD counts columns and rows from the corner of the first pixel, not from its centre (PS3.3 C.18.6.1.2)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentReference:
    """The segment that a lesion was measured on."""

    segmentation: Dataset
    product: Product
    """SEG: one segment holds all lesions. SEG_PER_LESION: segment number = lesion number."""

    def of(self, lesion: Lesion, source_series_uid: str) -> ReferencedSegment:
        """Segment and source series as content items."""
        return ReferencedSegment(
            sop_class_uid=self.segmentation.SOPClassUID,
            sop_instance_uid=self.segmentation.SOPInstanceUID,
            segment_number=lesion.number if self.product is Product.SEG_PER_LESION else 1,
            source_series=SourceSeriesForSegmentation(source_series_uid),
        )


def lesion_groups(context: ResultContext, segment: SegmentReference | None) -> list[Any]:
    """The containers 125007 of all lesions, for the container Imaging Measurements."""
    frame_at = {frame.z: frame for frame in source_frames(context.reference)}
    groups: list[Any] = []
    for lesion in context.lesions:
        groups.extend(_volume_group(context, lesion, segment))
        groups.extend(_long_axis_group(context, lesion, frame_at))
    return groups


def algorithm(context: ResultContext) -> AlgorithmIdentification:
    """TID 4019: name, version and parameters of what found the lesions."""
    model = context.model
    parameters = [
        f"threshold={model.threshold:.6g}",
        f"sequences={context.sequences}",
        f"weights={model.weights_digest}",
        f"snapshot={context.request.snapshot_digest}",
    ]
    return AlgorithmIdentification(
        name=plain_text(model.name),
        version=plain_text(model.version),
        parameters=[plain_text(parameter) for parameter in parameters],
    )


def _volume_group(context: ResultContext, lesion: Lesion, segment: SegmentReference | None) -> ContentSequence:
    """TID 1411 on the segment; TID 1501 with all numbers where there is no segment."""
    measurements = [
        measurement(codes.VOLUME, lesion.volume_ml, codes.MILLILITRE),
        measurement(codes.PROBABILITY, lesion.mean_probability, codes.NO_UNITS, codes.MEAN),
        measurement(codes.PROBABILITY, lesion.max_probability, codes.NO_UNITS, codes.MAXIMUM),
    ]
    if segment is None:
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(lesion),
            finding_type=codes.NEOPLASM_SECONDARY,
            finding_category=codes.MORPHOLOGICALLY_ABNORMAL,
            finding_sites=_sites(lesion),
            algorithm_id=algorithm(context),
            measurements=measurements + _axes(lesion),
        )
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(lesion),
        referenced_segment=segment.of(lesion, context.reference.series_instance_uid),
        finding_type=codes.NEOPLASM_SECONDARY,
        finding_category=codes.MORPHOLOGICALLY_ABNORMAL,
        finding_sites=_sites(lesion),
        algorithm_id=algorithm(context),
        measurements=measurements,
    )


def _long_axis_group(context: ResultContext, lesion: Lesion, frame_at: dict[int, SourceFrame]) -> ContentSequence:
    """TID 1410 on the image of the long axis."""
    z, ends_xy = _ends_in_image(context, lesion)
    frame = frame_at[z]
    source = SourceImageForRegion(
        referenced_sop_class_uid=frame.sop_class_uid,
        referenced_sop_instance_uid=frame.sop_instance_uid,
        referenced_frame_numbers=None if frame.frame_number is None else [frame.frame_number],
    )
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(lesion),
        referenced_region=ImageRegion(graphic_type="POLYLINE", graphic_data=ends_xy, source_image=source),
        finding_type=codes.NEOPLASM_SECONDARY,
        finding_category=codes.MORPHOLOGICALLY_ABNORMAL,
        finding_sites=_sites(lesion),
        algorithm_id=algorithm(context),
        measurements=_axes(lesion),
    )


def _axes(lesion: Lesion) -> list[Measurement]:
    return [
        measurement(codes.LONG_AXIS, lesion.long_axis_mm, codes.MILLIMETRE),
        measurement(codes.SHORT_AXIS, lesion.short_axis_mm, codes.MILLIMETRE),
    ]


def _ends_in_image(context: ResultContext, lesion: Lesion) -> tuple[int, Float64]:
    """The slice of the long axis, and its two ends as (2, 2) column, row. Raises `WorkerError` off the planes."""
    index_zyx = context.reference.volume.grid.to_index(np.array(lesion.long_axis_ends_mm))
    slices = np.rint(index_zyx[:, 0]).astype(int)
    if slices[0] != slices[1] or not 0 <= slices[0] < context.reference.volume.grid.shape_zyx[0]:
        raise WorkerError(f"the long axis of lesion {lesion.number} does not lie in a plane of the reference series")
    return int(slices[0]), np.round(index_zyx[:, :0:-1] + TOP_LEFT_PIXEL_CENTRE, 3)


def _tracking(lesion: Lesion) -> TrackingIdentifier:
    return TrackingIdentifier(uid=lesion.tracking_uid, identifier=plain_text(lesion.tracking_id))


def _sites(lesion: Lesion) -> list[FindingSite]:
    return [FindingSite(anatomic_location=codes.BRAIN, laterality=codes.LATERALITY.get(lesion.site))]
