"""The Parametric Map: the probability of metastasis of each voxel, as floating point numbers.

Called by write for destinations that ask for it; readers of research software take it, most viewers do not. Built by
highdicom on the planes of the reference series. Parametric Map IOD: PS3.3 A.75, C.8.32.
"""

import highdicom as hd
import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.dataset import Dataset

from dicom_node.contract.messages import Product
from worker.results import codes
from worker.results.identity import sop_instance_uid, stamp
from worker.results.provenance import MANUFACTURER, MODEL_NAME, RESEARCH_USE_ONLY, ResultContext
from worker.results.source_images import bare_images, restore_frame_numbers

SERIES_NUMBER = 9104


def build_parametric_map(context: ResultContext) -> Dataset:
    """The probability of the whole volume, (Z, Y, X) float32 as it is."""
    mapping = RealWorldValueMapping(
        lut_label="PROBABILITY",
        lut_explanation="Probability of brain metastasis",
        unit=codes.NO_UNITS,
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=codes.PROBABILITY,
    )
    product = Product.PARAMETRIC_MAP
    parametric_map = ParametricMap(
        source_images=bare_images(context.reference),
        pixel_array=context.probability.voxels.astype(np.float32),
        series_instance_uid=context.uid(f"{product}.series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=sop_instance_uid(context, product),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions="0",
        device_serial_number="0",
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1.0)],
        content_description=RESEARCH_USE_ONLY,
        content_label="BRAIN_METS_PROB",
    )
    _ascending(parametric_map)
    parametric_map.ContentCreatorName = ""
    parametric_map.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_anatomy()]
    restore_frame_numbers(parametric_map, context.reference)
    stamp(parametric_map, context, product, f"AI BrainMets map ({context.sequences})")
    return parametric_map


def _ascending(parametric_map: Dataset) -> None:
    """Put the frames in the order of the normal. highdicom writes them against it; dcmqi's paramap2itkimage (and so
    3D Slicer) takes pixels in the order of the normal without looking, and would turn the map upside down.
    """
    shared = parametric_map.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=np.float64)
    normal = np.cross(cosines[:3], cosines[3:])
    frames = list(parametric_map.PerFrameFunctionalGroupsSequence)
    positions = [np.array(f.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64) for f in frames]
    ranked = np.argsort([float(position @ normal) for position in positions], kind="stable")
    pixels = np.frombuffer(parametric_map.FloatPixelData, dtype=np.float32).reshape(len(frames), -1)
    parametric_map.FloatPixelData = pixels[ranked].tobytes()
    parametric_map.PerFrameFunctionalGroupsSequence = [frames[n] for n in ranked]
    for number, frame in enumerate(parametric_map.PerFrameFunctionalGroupsSequence, start=1):
        frame.FrameContentSequence[0].DimensionIndexValues = [number]


def _anatomy() -> Dataset:
    """Frame Anatomy (PS3.3 C.7.6.16.2.8); dcmqi's paramap2itkimage crashes without it."""
    anatomy = Dataset()
    anatomy.FrameLaterality = "U"
    anatomy.AnatomicRegionSequence = [hd.sr.CodedConcept.from_code(codes.BRAIN)]
    return anatomy
