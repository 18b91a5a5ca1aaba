"""The RT Structure Set: the outline of each lesion on each slice, for planning systems.

Called by write for destinations that ask for it. RT Structure Set IOD: PS3.3 A.19.3, C.8.8.5, C.8.8.6, C.8.8.8.
Outlines run on the pixels' edges; a cavity that lies whole within a lesion belongs to the target, so inner outlines
are left out and the description of the region says so.
"""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from dicom_node.contract.messages import Lesion, Product, ProductFile
from worker.errors import WorkerError
from worker.results.identity import local_moment, sop_instance_uid, stamp
from worker.results.outlines import Outline, outlines
from worker.results.provenance import LONG_STRING_CHARACTERS, RESEARCH_USE_ONLY, ResultContext, plain_text
from worker.results.segmentation import COLOURS_RGB
from worker.results.source_images import SourceFrame, source_frames
from worker.volume.geometry import Grid

SERIES_NUMBER = 9105
STUDY_COMPONENT_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"
"""The retired class by which RT objects refer to a study (PS3.3 C.8.8.5)."""
ROI_DESCRIPTION = "AI outline, research use only; cavities within the lesion are included"


def build_rtstruct(context: ResultContext) -> Dataset:
    """The structure set of a result that has lesions; raises `WorkerError` where it has none."""
    if not context.lesions:
        raise WorkerError("a study without lesions has no structure set")
    product = Product.RTSTRUCT
    frames = source_frames(context.reference)
    moment = local_moment(context)
    structures = Dataset()
    structures.SOPClassUID = RTStructureSetStorage
    structures.SOPInstanceUID = sop_instance_uid(context, product)
    structures.Modality = "RTSTRUCT"
    structures.SeriesNumber = SERIES_NUMBER
    structures.InstanceNumber = 1
    structures.OperatorsName = ""
    structures.FrameOfReferenceUID = context.reference.frame_of_reference_uid
    structures.PositionReferenceIndicator = ""
    structures.StructureSetLabel = "AI BrainMets"
    structures.StructureSetName = RESEARCH_USE_ONLY
    structures.StructureSetDescription = RESEARCH_USE_ONLY
    structures.StructureSetDate = moment.strftime("%Y%m%d")
    structures.StructureSetTime = moment.strftime("%H%M%S")
    structures.ReferencedFrameOfReferenceSequence = [_frame_of_reference(context, frames)]
    structures.StructureSetROISequence = [_region(context, lesion) for lesion in context.lesions]
    structures.ROIContourSequence = [_contours(context, lesion, frames) for lesion in context.lesions]
    structures.RTROIObservationsSequence = [_observation(lesion) for lesion in context.lesions]
    structures.ApprovalStatus = "UNAPPROVED"
    replaced = [file for file in context.predecessor if file.product is product]
    if replaced:
        structures.PredecessorStructureSetSequence = [_predecessor(file) for file in replaced]
    stamp(structures, context, product, f"AI BrainMets RTSTRUCT ({context.sequences})")
    return structures


def _frame_of_reference(context: ResultContext, frames: tuple[SourceFrame, ...]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = context.reference.series_instance_uid
    series.ContourImageSequence = [_image(frame) for frame in frames]
    study = Dataset()
    study.ReferencedSOPClassUID = STUDY_COMPONENT_MANAGEMENT
    study.ReferencedSOPInstanceUID = context.request.study_instance_uid
    study.RTReferencedSeriesSequence = [series]
    frame_of_reference = Dataset()
    frame_of_reference.FrameOfReferenceUID = context.reference.frame_of_reference_uid
    frame_of_reference.RTReferencedStudySequence = [study]
    return frame_of_reference


def _region(context: ResultContext, lesion: Lesion) -> Dataset:
    region = Dataset()
    region.ROINumber = lesion.number
    region.ReferencedFrameOfReferenceUID = context.reference.frame_of_reference_uid
    region.ROIName = plain_text(f"Metastasis {lesion.tracking_id}", LONG_STRING_CHARACTERS)
    region.ROIDescription = ROI_DESCRIPTION
    region.ROIVolume = f"{lesion.volume_ml:.4f}"
    region.ROIGenerationAlgorithm = "AUTOMATIC"
    region.ROIGenerationDescription = plain_text(
        f"{context.model.name} {context.model.version}, threshold {context.model.threshold:.6g}", LONG_STRING_CHARACTERS
    )
    return region


def _contours(context: ResultContext, lesion: Lesion, frames: tuple[SourceFrame, ...]) -> Dataset:
    labels = context.lesion_map.labels
    drawn: list[Dataset] = []
    for frame in frames:
        mask = labels[frame.z] == lesion.number
        if mask.any():
            for line in outlines(mask, fill_cavities=True):
                drawn.append(_contour(len(drawn) + 1, line, frame, context.lesion_map.grid))
    contours = Dataset()
    contours.ROIDisplayColor = list(COLOURS_RGB[(lesion.number - 1) % len(COLOURS_RGB)])
    contours.ReferencedROINumber = lesion.number
    contours.ContourSequence = drawn
    return contours


def _contour(number: int, line: Outline, frame: SourceFrame, grid: Grid) -> Dataset:
    points_mm = grid.to_mm(np.column_stack([np.full(len(line), float(frame.z)), line]))
    contour = Dataset()
    contour.ContourNumber = number
    contour.ContourImageSequence = [_image(frame)]
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(line)
    contour.ContourData = [f"{value:.3f}" for value in points_mm.ravel()]
    return contour


def _observation(lesion: Lesion) -> Dataset:
    observation = Dataset()
    observation.ObservationNumber = lesion.number
    observation.ReferencedROINumber = lesion.number
    observation.ROIObservationLabel = plain_text(lesion.tracking_id, 16)
    observation.ROIObservationDescription = plain_text(f"Tracking UID {lesion.tracking_uid}")
    observation.RTROIInterpretedType = "GTV"
    observation.ROIInterpreter = ""
    return observation


def _predecessor(file: ProductFile) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = file.sop_class_uid
    reference.ReferencedSOPInstanceUID = file.sop_instance_uid
    return reference


def _image(frame: SourceFrame) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID = frame.sop_class_uid
    image.ReferencedSOPInstanceUID = frame.sop_instance_uid
    if frame.frame_number is not None:
        image.ReferencedFrameNumber = frame.frame_number
    return image
