"""From lesion map to the lesions of the outcome: numbers and names joined.

Called by the pipeline between `find_lesions` and the results.
"""

import numpy as np

from dicom_node.contract.messages import Lesion
from worker.lesions.components import LesionMap
from worker.lesions.measure import measure_lesions
from worker.lesions.side import mirror_plane, side_of
from worker.lesions.tracking import LesionRecord
from worker.volume.geometry import Volume

SITES = {"left": "left half of the brain", "right": "right half of the brain", "": ""}
"""Side -> `Lesion.site`. Lobes and cerebellum would need a registered atlas; none is claimed."""


def describe_lesions(record: LesionRecord, probability: Volume, image: Volume) -> tuple[Lesion, ...]:
    """The lesions of a result as node, SEG and SR name them. Probability and reference image lie on their grid."""
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
            site=site,
        )
        for number, (lesion, track, site) in enumerate(
            zip(measured, record.tracks, _sites(record.lesions, image), strict=True), start=1
        )
    )


def _sites(lesions: LesionMap, image: Volume) -> list[str]:
    """The half of the brain of each lesion; empty where it is not clear."""
    if lesions.count == 0:
        return []
    plane = mirror_plane(image)
    voxels_zyx = np.argwhere(lesions.labels)
    numbers = lesions.labels[tuple(voxels_zyx.T)]
    points_mm = lesions.grid.to_mm(voxels_zyx)
    return [SITES[side_of(points_mm[numbers == number], plane)] for number in range(1, lesions.count + 1)]
