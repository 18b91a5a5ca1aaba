"""The Segmentation: which voxels the model holds for metastasis, on the planes of the reference series.

Called by write. Built by highdicom, one data set a call, nothing on disk. Segmentation IOD: PS3.3 A.51, C.8.20.
Three kinds: one segment with all frames (default: shown by every viewer we know of), one segment a lesion with its
tracking UID, and the probability as FRACTIONAL.
"""

from typing import Any

import highdicom as hd
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.contract.messages import Product
from worker.errors import WorkerError
from worker.results import codes
from worker.results.identity import sop_instance_uid, stamp
from worker.results.provenance import LONG_STRING_CHARACTERS, RESEARCH_USE_ONLY, ResultContext, plain_text
from worker.results.source_images import bare_images, restore_frame_numbers

SERIES_NUMBERS = {Product.SEG: 9101, Product.SEG_PER_LESION: 9102, Product.SEG_FRACTIONAL: 9103}
MOST_FRAMES = 400
"""Of more slices than this the empty ones are left out: Weasis switches a larger SEG off. Else all frames are kept,
because older OHIF shifts the overlay where some are missing.
"""
SEGMENT_LABEL = "Brain metastases"
_TITLES = {Product.SEG: "SEG", Product.SEG_PER_LESION: "SEG lesions", Product.SEG_FRACTIONAL: "SEG prob."}
_LABELS = {
    Product.SEG: "BRAIN_METS",
    Product.SEG_PER_LESION: "BRAIN_METS_EACH",
    Product.SEG_FRACTIONAL: "BRAIN_METS_PROB",
}
COLOURS_RGB = (
    (230, 60, 60),
    (240, 160, 40),
    (240, 230, 70),
    (120, 220, 90),
    (70, 200, 220),
    (90, 120, 240),
    (200, 90, 230),
)
"""By lesion number, repeated; the first is that of all lesions together."""


def build_segmentation(context: ResultContext, product: Product = Product.SEG) -> Dataset:
    """The SEG of a result that has lesions.

    Raises `WorkerError` for a negative study: an empty segment hangs viewers, the report alone says it.
    """
    if not context.lesions:
        raise WorkerError("a study without lesions has no segmentation")
    images = bare_images(context.reference)
    slices = context.lesion_map.grid.shape_zyx[0]
    segmentation = Segmentation(
        source_images=images,
        pixel_array=_pixels(context, product),
        segmentation_type="FRACTIONAL" if product is Product.SEG_FRACTIONAL else "BINARY",
        segment_descriptions=_segments(context, product),
        series_instance_uid=context.uid(f"{product}.series"),
        series_number=SERIES_NUMBERS[product],
        sop_instance_uid=sop_instance_uid(context, product),
        instance_number=1,
        manufacturer="",
        manufacturer_model_name="",
        software_versions="",
        device_serial_number="",
        content_description=RESEARCH_USE_ONLY,
        content_label=_LABELS[product],
        omit_empty_frames=product is Product.SEG_PER_LESION or slices > MOST_FRAMES,
    )
    restore_frame_numbers(segmentation, context.reference)
    stamp(segmentation, context, product, f"AI BrainMets {_TITLES[product]} ({context.sequences})")
    return segmentation


def _pixels(context: ResultContext, product: Product) -> NDArray[Any]:
    """(Z, Y, X): mask, labels or probability."""
    if product is Product.SEG:
        return context.lesion_map.mask.astype(np.uint8)
    if product is Product.SEG_PER_LESION:
        return context.lesion_map.labels
    return context.probability.voxels


def _segments(context: ResultContext, product: Product) -> list[SegmentDescription]:
    if product is not Product.SEG_PER_LESION:
        return [_segment(context, 1, SEGMENT_LABEL, context.uid("all lesions"), SEGMENT_LABEL)]
    return [
        _segment(context, lesion.number, f"Metastasis {lesion.tracking_id}", lesion.tracking_uid, lesion.tracking_id)
        for lesion in context.lesions
    ]


def _segment(
    context: ResultContext, number: int, label: str, tracking_uid: str, tracking_id: str
) -> SegmentDescription:
    model = context.model
    return SegmentDescription(
        segment_number=number,
        segment_label=plain_text(label, LONG_STRING_CHARACTERS),
        segmented_property_category=codes.MORPHOLOGICALLY_ABNORMAL,
        segmented_property_type=codes.NEOPLASM_SECONDARY,
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=plain_text(model.name, LONG_STRING_CHARACTERS),
            family=codes.ARTIFICIAL_INTELLIGENCE,
            version=plain_text(model.version, LONG_STRING_CHARACTERS),
            parameters={"threshold": f"{model.threshold:.6g}", "weights": model.weights_digest},
        ),
        tracking_uid=tracking_uid,
        tracking_id=plain_text(tracking_id, LONG_STRING_CHARACTERS),
        anatomic_regions=[codes.BRAIN],
        display_color=hd.color.CIELabColor.from_rgb(*COLOURS_RGB[(number - 1) % len(COLOURS_RGB)]),
    )
