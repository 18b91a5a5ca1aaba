"""SEG and SR of the cases that break writers, each read back by foreign tools: dcmqi, DCMTK, dciodvfy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from support.foreign_tools import dciodvfy, dsrdump, read_measurements, read_segments
from support.results import Planted, result_study

from dicom_node.contract.messages import Product
from dicom_node.contract.slots import SequenceSlot
from worker.results.write import write_results

SMALL = (12, 31, 29)
"""31 x 29 pixels: 899 bits a frame, no multiple of 8."""
GRID_OF_60 = [Planted((2 + 4 * (n % 3), 4 + 8 * (n // 8), 4 + 8 * (n % 8)), 2.2) for n in range(60)]
CASES: dict[str, dict[str, Any]] = {
    "rows x columns not a multiple of 8": {"shape_zyx": SMALL, "lesions": [Planted((5, 12, 17), 4.0)]},
    "one lesion of one voxel": {"shape_zyx": SMALL, "lesions": [Planted((3, 7, 21), 0.0)]},
    "one voxel in the last corner": {"shape_zyx": SMALL, "lesions": [Planted((11, 30, 28), 0.0)]},
    "lesions at the edges": {"shape_zyx": SMALL, "lesions": [Planted((0, 0, 0), 3.0), Planted((11, 30, 27), 2.5)]},
    "60 lesions": {"shape_zyx": (12, 64, 64), "lesions": GRID_OF_60},
    "two series of different frames of reference": {"other_frame_of_reference": True},
    "no StudyID, no AccessionNumber": {"headers": {"StudyID": None, "AccessionNumber": None}},
    "sagittal, descending": {"orientation": "sagittal", "descending": True},
}
COUNTS = {"60 lesions": 60, "one lesion of one voxel": 1, "one voxel in the last corner": 1}


@pytest.mark.parametrize("case", CASES)
def test_foreign_tools_read_the_same_lesions(case: str, tmp_path: Path) -> None:
    context = result_study(**CASES[case]).context
    assert len(context.lesions) == COUNTS.get(case, len(context.lesions)) > 0
    write_results(tmp_path, context, (Product.SEG, Product.SR))
    for name in ("seg.dcm", "sr.dcm"):
        assert not [line for line in dciodvfy(tmp_path / name) if line.startswith("Error")]

    (mask,) = read_segments(tmp_path / "seg.dcm", tmp_path / "segments")
    ours = np.argwhere(context.lesion_map.mask)
    index = np.rint(mask.grid.to_index(context.lesion_map.grid.to_mm(ours))).astype(int)
    assert mask.voxels.astype(bool)[tuple(index.T)].all()
    assert np.count_nonzero(mask.voxels) == len(ours)

    groups = read_measurements(tmp_path / "sr.dcm", tmp_path)["Measurements"]
    volumes_ml = {
        group["TrackingUniqueIdentifier"]: float(item["value"])
        for group in groups
        for item in group["measurementItems"]
        if item["quantity"]["CodeValue"] == "118565006"
    }
    assert volumes_ml == pytest.approx({one.tracking_uid: one.volume_ml for one in context.lesions}, abs=1e-4)
    words = dsrdump(tmp_path / "sr.dcm")
    assert all(f'"{lesion.tracking_id}"' in words for lesion in context.lesions)
    assert words.count("SCOORD") == len(context.lesions)


def test_a_series_of_another_frame_of_reference_carries_nothing(tmp_path: Path) -> None:
    """Its millimetres are not those of the SEG: it is named as an input, and no frame and no line lies on it."""
    study = result_study(other_frame_of_reference=True)
    display, other = (study.series[slot] for slot in (SequenceSlot.POST_CUBE, SequenceSlot.FLAIR))
    assert display[0].FrameOfReferenceUID != other[0].FrameOfReferenceUID
    write_results(tmp_path, study.context, (Product.SEG, Product.SR))
    seg, sr = dcmread(tmp_path / "seg.dcm"), dcmread(tmp_path / "sr.dcm")
    assert seg.FrameOfReferenceUID == display[0].FrameOfReferenceUID
    theirs = {image.SOPInstanceUID for image in other}
    frames = [frame.DerivationImageSequence[0].SourceImageSequence for frame in seg.PerFrameFunctionalGroupsSequence]
    assert not theirs & {image.ReferencedSOPInstanceUID for sources in frames for image in sources}
    assert [item.SeriesInstanceUID for item in seg.RelatedSeriesSequence] == [other[0].SeriesInstanceUID]
    (measurements,) = [i for i in sr.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "126010"]
    assert not any(uid in str(measurements) for uid in theirs)
    assert all(uid in str(sr.CurrentRequestedProcedureEvidenceSequence) for uid in theirs)
