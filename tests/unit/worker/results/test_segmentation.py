"""The SEG as foreign software reads it: the mask comes back in the right place, in every geometry we can think of."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from support.foreign_tools import read_segments
from support.results import Planted, ResultStudy, result_study

from dicom_node.contract.messages import Product, SlotState
from dicom_node.contract.slots import SequenceSlot
from worker.errors import WorkerError
from worker.results.parametric_map import build_parametric_map
from worker.results.segmentation import MOST_FRAMES, build_segmentation
from worker.results.write import write_results

EDGE = [Planted((0, 0, 0), 3.0), Planted((11, 30, 27), 2.5)]
MANY = [Planted((2 + 4 * (n % 3), 4 + 8 * (n // 8), 4 + 8 * (n % 8)), 2.2) for n in range(60)]
CASES: dict[str, dict[str, Any]] = {
    "axial": {},
    "sagittal": {"orientation": "sagittal"},
    "coronal": {"orientation": "coronal"},
    "oblique": {"orientation": "oblique"},
    "negated cosines": {"orientation": "axial_negated"},
    "descending slices": {"descending": True},
    "descending oblique slices": {"orientation": "oblique", "descending": True},
    "enhanced": {"enhanced": True},
    "enhanced, descending": {"enhanced": True, "descending": True, "orientation": "sagittal"},
    "enhanced with phase images between": {"enhanced": True, "phase": True},
    "rows x columns not a multiple of 8": {"shape_zyx": (12, 31, 29), "lesions": [Planted((5, 12, 17), 4.0)]},
    "anisotropic": {
        "shape_zyx": (14, 50, 42),
        "spacing_mm_zyx": (5.0, 0.43, 0.43),
        "lesions": [Planted((5, 9, 30), 6)],
    },
    "one voxel": {"shape_zyx": (12, 31, 29), "lesions": [Planted((3, 7, 21), 0.0)]},
    "at the edge": {"shape_zyx": (12, 31, 29), "lesions": EDGE},
    "60 lesions": {"shape_zyx": (12, 64, 64), "lesions": MANY},
    "other inputs of another frame of reference": {"other_frame_of_reference": True},
}


def written(study: ResultStudy, folder: Path, *products: Product) -> list[Path]:
    return [folder / file.file_name for file in write_results(folder, study.context, products)]


@pytest.mark.parametrize("case", CASES)
def test_dcmqi_reads_the_mask_back_where_it_lay(case: str, tmp_path: Path) -> None:
    study = result_study(**CASES[case])
    context = study.context
    seg, each = written(study, tmp_path, Product.SEG, Product.SEG_PER_LESION)
    (read,) = read_segments(seg, tmp_path / "all")
    assert int(read.voxels.astype(bool).sum()) == int(context.lesion_map.mask.sum())
    # Every voxel of ours lies in the mask that was read back, by patient millimetres.
    ours_mm = context.lesion_map.grid.to_mm(np.argwhere(context.lesion_map.mask))
    index = np.rint(read.grid.to_index(ours_mm)).astype(int)
    assert read.voxels.astype(bool)[tuple(index.T)].all()
    lesions = read_segments(each, tmp_path / "each")
    assert len(lesions) == len(context.lesions) == len(CASES[case].get("lesions", context.lesions))
    for lesion, segment in zip(context.lesions, lesions, strict=True):
        centroid = segment.grid.to_mm(np.argwhere(segment.voxels)).mean(axis=0)
        off_voxels = np.abs(context.lesion_map.grid.to_index(centroid) - context.lesion_map.grid.to_index(
            np.array(lesion.centroid_mm)))  # fmt: skip
        assert off_voxels.max() < 0.01, "the aim is one voxel; only rounding of positions is left"


@pytest.mark.parametrize("case", CASES)
def test_frames_lie_on_the_planes_of_the_display_series(case: str) -> None:
    study = result_study(**CASES[case])
    seg = build_segmentation(study.context)
    header = study.context.reference.headers[0]
    frames = seg.PerFrameFunctionalGroupsSequence
    assert len(frames) == study.context.lesion_map.grid.shape_zyx[0], "all frames, the empty ones too"
    assert (seg.Rows, seg.Columns) == (header.Rows, header.Columns)
    assert seg.FrameOfReferenceUID == header.FrameOfReferenceUID
    for frame in frames:
        source = frame.DerivationImageSequence[0].SourceImageSequence
        assert len(source) == 1
        assert _position(study, source[0]) == list(frame.PlanePositionSequence[0].ImagePositionPatient)


def _position(study: ResultStudy, reference: Any) -> Sequence[float]:
    headers = study.context.reference.headers
    if "ReferencedFrameNumber" in reference:
        groups = headers[0].PerFrameFunctionalGroupsSequence
        return list(groups[reference.ReferencedFrameNumber - 1].PlanePositionSequence[0].ImagePositionPatient)
    (found,) = [h for h in headers if h.SOPInstanceUID == reference.ReferencedSOPInstanceUID]
    return list(found.ImagePositionPatient)


def test_only_the_display_series_is_referenced_and_the_other_inputs_are_related() -> None:
    """Of several referenced series OHIF lays the overlay over the one it happened to load first."""
    study = result_study(slots=tuple(SequenceSlot))
    display, *others = (study.series[slot] for slot in SequenceSlot)
    for dataset in (build_segmentation(study.context), build_parametric_map(study.context)):
        assert [item.SeriesInstanceUID for item in dataset.ReferencedSeriesSequence] == [display[0].SeriesInstanceUID]
        referenced = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
        assert {item.ReferencedSOPInstanceUID for item in referenced} == {image.SOPInstanceUID for image in display}
        assert [item.SeriesInstanceUID for item in dataset.RelatedSeriesSequence] == [
            series[0].SeriesInstanceUID for series in others
        ]
        assert {item.StudyInstanceUID for item in dataset.RelatedSeriesSequence} == {dataset.StudyInstanceUID}


def test_the_default_has_one_segment_that_says_what_it_is() -> None:
    seg = build_segmentation(result_study().context)
    (segment,) = seg.SegmentSequence
    assert seg.SegmentationType == "BINARY"
    assert segment.SegmentLabel == "Brain metastases"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "14799000"
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("quartet-ild", "0.1.0")
    assert seg.SeriesDescription == "AI BrainMets SEG (post CUBE+FLAIR)"
    assert seg.ContentDescription == "RESEARCH USE ONLY - NOT FOR DIAGNOSIS"
    assert seg.SeriesNumber == 9101


def test_segments_per_lesion_have_the_tracking_uids_and_no_empty_frames() -> None:
    context = result_study().context
    seg = build_segmentation(context, Product.SEG_PER_LESION)
    assert [s.TrackingUID for s in seg.SegmentSequence] == [lesion.tracking_uid for lesion in context.lesions]
    assert [s.TrackingID for s in seg.SegmentSequence] == ["BM-1", "BM-2"]
    assert seg.NumberOfFrames < 2 * context.lesion_map.grid.shape_zyx[0]
    assert seg.pixel_array.any(axis=(1, 2)).all()


def test_the_fractional_one_holds_the_probability() -> None:
    context = result_study().context
    seg = build_segmentation(context, Product.SEG_FRACTIONAL)
    assert (seg.SegmentationType, seg.SegmentationFractionalType) == ("FRACTIONAL", "PROBABILITY")
    positions = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in seg.PerFrameFunctionalGroupsSequence]
    slices = np.rint(context.probability.grid.to_index(np.array(positions, dtype=float))[:, 0]).astype(int)
    read = np.empty(context.probability.voxels.shape)
    read[slices] = seg.pixel_array / seg.MaximumFractionalValue
    assert np.abs(read - context.probability.voxels).max() <= 0.5 / 255 + 1e-6


def test_of_very_many_slices_the_empty_ones_are_left_out() -> None:
    study = result_study(shape_zyx=(MOST_FRAMES + 1, 8, 8), lesions=[Planted((200, 4, 4), 2.0)])
    assert build_segmentation(study.context).NumberOfFrames < 10


def test_all_descriptions_fit_with_all_sequences() -> None:
    context = result_study(slots=tuple(SequenceSlot)).context
    for product in (Product.SEG, Product.SEG_PER_LESION, Product.SEG_FRACTIONAL):
        description = build_segmentation(context, product).SeriesDescription
        assert len(description) <= 64
        assert description.endswith("(BRAVO+pre CUBE+post CUBE+FLAIR)")


def test_another_set_of_weights_is_another_device_and_other_objects() -> None:
    context = result_study().context
    model = dataclasses.replace(context.model, weights_digest="ef" * 32)
    other = dataclasses.replace(context, model=model)
    one, two = build_segmentation(context), build_segmentation(other)
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert one.ContributingEquipmentSequence[0].DeviceUID != two.ContributingEquipmentSequence[0].DeviceUID


def test_a_study_without_lesions_has_no_segmentation() -> None:
    with pytest.raises(WorkerError, match="no segmentation"):
        build_segmentation(result_study(lesions=[]).context)


def test_headers_of_other_voxels_are_refused() -> None:
    study = result_study()
    half = dataclasses.replace(study.context.reference, headers=study.context.reference.headers[::2])
    with pytest.raises(WorkerError, match="do not name each slice"):
        build_segmentation(dataclasses.replace(study.context, reference=half))


def test_lossy_sources_are_said_to_be_lossy(tmp_path: Path) -> None:
    study = result_study(headers={"LossyImageCompression": "01", "LossyImageCompressionRatio": 8.0})
    (path,) = written(study, tmp_path, Product.SEG)
    assert dcmread(path).LossyImageCompression == "01"


def test_only_used_sequences_are_named() -> None:
    context = result_study(slots=(SequenceSlot.FLAIR,)).context
    assert context.sequences == "FLAIR"
    assert {slot.state for slot in context.slots} == set(SlotState)
