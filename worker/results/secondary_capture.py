"""The Secondary Capture series: slices with the outlines drawn in, for a PACS that shows no SEG.

Called by write for destinations that ask for it. One colour image for each slice with a lesion, in one series.
Secondary Capture Image IOD: PS3.3 A.8.1, C.8.6.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_node.contract.messages import Product
from worker.errors import WorkerError
from worker.results.identity import sop_instance_uid, stamp
from worker.results.outlines import outlines
from worker.results.provenance import RESEARCH_USE_ONLY, ResultContext
from worker.results.segmentation import COLOURS_RGB
from worker.results.source_images import SourceFrame, source_frames

SERIES_NUMBER = 9106
SMALLEST_SIDE_PX = 512
"""Small images are enlarged by a whole factor, so that lines and text are fine beside the pixels."""
WINDOW_PERCENTILES = (1.0, 99.7)
_TEXT_RGB = (255, 255, 255)


def build_secondary_captures(context: ResultContext) -> Iterator[Dataset]:
    """One image a slice that has a lesion, in the order of the slices. Raises `WorkerError` where there is none."""
    if not context.lesions:
        raise WorkerError("a study without lesions has no secondary capture")
    window = np.percentile(context.reference.volume.voxels, WINDOW_PERCENTILES)
    frames = source_frames(context.reference)
    shown = [frame for frame in frames if context.lesion_map.labels[frame.z].any()]
    for number, frame in enumerate(shown, start=1):
        yield _capture(context, frame, number, (float(window[0]), float(window[1])))


def _capture(context: ResultContext, frame: SourceFrame, number: int, window: tuple[float, float]) -> Dataset:
    product = Product.SECONDARY_CAPTURE
    pixels = _draw(context, frame.z, window)
    capture = Dataset()
    capture.SOPClassUID = SecondaryCaptureImageStorage
    capture.SOPInstanceUID = sop_instance_uid(context, f"{product}.{number}")
    capture.Modality = "OT"
    capture.ConversionType = "WSD"
    capture.SeriesNumber = SERIES_NUMBER
    capture.InstanceNumber = number
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.PatientOrientation = ""
    capture.BurnedInAnnotation = "YES"
    capture.ContentDate = capture.ContentTime = ""
    capture.ImageComments = RESEARCH_USE_ONLY
    capture.SamplesPerPixel, capture.PhotometricInterpretation, capture.PlanarConfiguration = 3, "RGB", 0
    capture.Rows, capture.Columns, _ = pixels.shape
    capture.BitsAllocated, capture.BitsStored, capture.HighBit, capture.PixelRepresentation = 8, 8, 7, 0
    capture.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    source = Dataset()
    source.ReferencedSOPClassUID = frame.sop_class_uid
    source.ReferencedSOPInstanceUID = frame.sop_instance_uid
    if frame.frame_number is not None:
        source.ReferencedFrameNumber = frame.frame_number
    capture.SourceImageSequence = [source]
    stamp(capture, context, product, f"AI BrainMets images ({context.sequences})")
    return capture


def _draw(context: ResultContext, z: int, window: tuple[float, float]) -> NDArray[np.uint8]:
    """(rows, columns, 3) uint8: the slice in grey, its outlines in colour, the words on top."""
    low, high = window
    grey = np.clip((context.reference.volume.voxels[z] - low) / max(high - low, 1e-6), 0, 1)
    factor = -(-SMALLEST_SIDE_PX // min(grey.shape))
    enlarged = np.kron((grey * 255).astype(np.uint8), np.ones((factor, factor), dtype=np.uint8))
    image = Image.fromarray(np.stack([enlarged] * 3, axis=-1))
    pen = ImageDraw.Draw(image)
    labels = context.lesion_map.labels[z]
    for lesion in context.lesions:
        mask = labels == lesion.number
        if mask.any():
            colour = COLOURS_RGB[(lesion.number - 1) % len(COLOURS_RGB)]
            for line in outlines(mask):
                corners = [((x + 0.5) * factor, (y + 0.5) * factor) for y, x in line]
                pen.line([*corners, corners[0]], fill=colour, width=2)
            row, column = np.argwhere(mask).max(axis=0)
            pen.text(((column + 1.5) * factor, (row + 1.5) * factor), lesion.tracking_id, fill=colour)
    pen.text((8, 8), f"{RESEARCH_USE_ONLY}\nAI outlines: {context.sequences}", fill=_TEXT_RGB)
    return np.asarray(image)
