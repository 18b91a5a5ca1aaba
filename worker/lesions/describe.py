"""From lesion map to the lesions of the outcome: numbers and names joined.

Called by the pipeline between `find_lesions` and the results.
"""

from dicom_node.contract.messages import Lesion
from worker.lesions.measure import measure_lesions
from worker.lesions.tracking import LesionRecord
from worker.volume.geometry import Volume


def describe_lesions(record: LesionRecord, probability: Volume) -> tuple[Lesion, ...]:
    """The lesions of a result as node, SEG and SR name them; `probability` lies on the grid of the lesions."""
    measured = measure_lesions(record.lesions, probability)
    return tuple(
        Lesion(
            number=number,
            tracking_uid=track.uid,
            tracking_id=track.id,
            volume_ml=lesion.volume_ml,
            long_axis_mm=lesion.long_axis_mm,
            short_axis_mm=lesion.short_axis_mm,
            long_axis_ends_mm=lesion.long_axis_ends_mm,
            centroid_mm=lesion.centroid_mm,
            mean_probability=lesion.mean_probability,
            max_probability=lesion.max_probability,
        )
        for number, (lesion, track) in enumerate(zip(measured, record.tracks, strict=True), start=1)
    )
