"""The SR as dcmqi reads it, and the rules of its templates that dciodvfy does not know."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from support.foreign_tools import dciodvfy, dsrdump, read_measurements
from support.results import Planted, result_study

from dicom_node.contract.messages import Product
from dicom_node.contract.slots import SequenceSlot
from worker.results.write import write_results


def named(item: Dataset, *path: str) -> list[Dataset]:
    """The items along concept code values."""
    found = [item]
    for value in path:
        found = [
            c for i in found for c in i.get("ContentSequence", []) if c.ConceptNameCodeSequence[0].CodeValue == value
        ]
    return found


def report(folder: Path, study: Any, *products: Product) -> Dataset:
    files = write_results(folder, study.context, products or (Product.SEG, Product.SR))
    return dcmread(folder / files[-1].file_name)


@pytest.mark.parametrize("product", [Product.SR, Product.SR_COMPREHENSIVE])
@pytest.mark.parametrize("orientation", ["axial", "sagittal", "oblique"])
def test_dcmqi_reads_every_number_of_every_lesion(product: Product, orientation: str, tmp_path: Path) -> None:
    study = result_study(orientation=orientation)
    write_results(tmp_path, study.context, (Product.SEG, product))
    read = read_measurements(tmp_path / f"{product}.dcm", tmp_path)
    values: dict[str, dict[str, float]] = {}
    for group in read["Measurements"]:
        assert group["Finding"]["CodeValue"] == "14799000"
        assert group["FindingSite"]["CodeValue"] == "12738006"
        for item in group["measurementItems"]:
            name = item.get("derivationModifier", item["quantity"])["CodeValue"]
            values.setdefault(group["TrackingUniqueIdentifier"], {})[name] = float(item["value"])
    assert len(values) == 2
    for lesion in study.context.lesions:
        mine = {"118565006": lesion.volume_ml, "103339001": lesion.long_axis_mm, "103340004": lesion.short_axis_mm,
                "373098007": lesion.mean_probability, "56851009": lesion.max_probability}  # fmt: skip
        assert values[lesion.tracking_uid] == pytest.approx(mine, abs=1e-4)
    seg = dcmread(tmp_path / "seg.dcm", stop_before_pixels=True)
    assert {g["segmentationSOPInstanceUID"] for g in read["Measurements"] if "ReferencedSegment" in g} == {
        seg.SOPInstanceUID
    }


def test_the_site_is_the_brain_with_its_side_where_known(tmp_path: Path) -> None:
    context = result_study().context
    one, other = context.lesions
    for site, laterality in (("left half of the brain", "7771000"), ("right half of the brain", "24028007"), ("", "")):
        lesions = (dataclasses.replace(one, site=site), dataclasses.replace(other, site=""))
        write_results(tmp_path, dataclasses.replace(context, lesions=lesions), (Product.SEG, Product.SR))
        sites = named(dcmread(tmp_path / "sr.dcm"), "126010", "125007", "363698007")
        assert {item.ConceptCodeSequence[0].CodeValue for item in sites} == {"12738006"}
        said = [[c.ConceptCodeSequence[0].CodeValue for c in named(item, "272741003")] for item in sites]
        assert said == [[laterality] if laterality else []] * 2 + [[]] * 2
        assert ("Laterality" in dsrdump(tmp_path / "sr.dcm")) == bool(laterality)
        assert not [line for line in dciodvfy(tmp_path / "sr.dcm") if line.startswith("Error")]


def test_the_first_words_are_research_use_only(tmp_path: Path) -> None:
    sr = report(tmp_path, result_study())
    texts = [
        item.TextValue
        for item in sr.ContentSequence
        if item.ValueType == "TEXT" and item.RelationshipType == "CONTAINS"
    ]
    assert texts[0].startswith("RESEARCH USE ONLY - NOT FOR DIAGNOSIS")
    assert "Sequences used: post CUBE+FLAIR" in texts[0]
    assert "Not used: BRAVO, pre CUBE" in texts[0]


def test_root_and_flags(tmp_path: Path) -> None:
    sr = report(tmp_path, result_study())
    assert sr.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert sr.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert (sr.CompletionFlag, sr.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    order = [item.ConceptNameCodeSequence[0].CodeValue for item in sr.ContentSequence]
    template = [
        "121049",
        "121005",
        "121012",
        "121013",
        "121014",
        "121015",
        "121058",
        "111028",
        "126010",
        "126011",
        "C0034375",
    ]
    assert [value for value in order if value in template] == template


def test_each_group_begins_with_tracking_identifier_and_uid(tmp_path: Path) -> None:
    sr = report(tmp_path, result_study())
    groups = named(sr, "126010", "125007")
    assert [g.ContentTemplateSequence[0].TemplateIdentifier for g in groups] == ["1411", "1410"] * 2
    for group in groups:
        assert [c.ConceptNameCodeSequence[0].CodeValue for c in group.ContentSequence[:2]] == ["112039", "112040"]
    assert [g.ContentSequence[0].TextValue for g in groups] == ["BM-1", "BM-1", "BM-2", "BM-2"]


@pytest.mark.parametrize("options", [{}, {"orientation": "sagittal"}, {"orientation": "oblique", "descending": True}])
def test_the_long_axis_lies_on_its_image_where_the_lesion_is(options: dict[str, Any], tmp_path: Path) -> None:
    study = result_study(**options)
    sr = report(tmp_path, study)
    lines = named(sr, "126010", "125007", "111030")
    assert len(lines) == 2
    for line, lesion in zip(lines, study.context.lesions, strict=True):
        assert line.GraphicType == "POLYLINE"
        uid = line.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        (image,) = [h for h in study.context.reference.headers if h.SOPInstanceUID == uid]
        cosines = np.array(image.ImageOrientationPatient, dtype=float)
        origin = np.array(image.ImagePositionPatient, dtype=float)
        row_mm, column_mm = (float(v) for v in image.PixelSpacing)
        for (x, y), end in zip(np.reshape(line.GraphicData, (2, 2)), lesion.long_axis_ends_mm, strict=True):
            # Half a pixel off: SCOORD counts from the corner of the first pixel.
            point = origin + cosines[:3] * (x - 0.5) * column_mm + cosines[3:] * (y - 0.5) * row_mm
            assert np.linalg.norm(point - end) < 0.01


def test_an_enhanced_reference_is_referred_to_by_frame(tmp_path: Path) -> None:
    sr = report(tmp_path, result_study(enhanced=True))
    references = [line.ContentSequence[0].ReferencedSOPSequence[0] for line in named(sr, "126010", "125007", "111030")]
    assert [reference.ReferencedFrameNumber for reference in references] == [10, 17]


def test_frames_between_that_are_no_slices_are_counted(tmp_path: Path) -> None:
    sr = report(tmp_path, result_study(enhanced=True, phase=True))
    references = [line.ContentSequence[0].ReferencedSOPSequence[0] for line in named(sr, "126010", "125007", "111030")]
    assert [reference.ReferencedFrameNumber for reference in references] == [20, 34]


def test_slots_are_first_class_content(tmp_path: Path) -> None:
    study = result_study()
    sr = report(tmp_path, study)
    slots = {item.ContentSequence[0].ConceptCodeSequence[0].CodeValue: item for item in named(sr, "INPUTS", "INPUT")}
    assert list(slots) == [slot.value for slot in SequenceSlot]
    states = {slot: named(item, "SLOT_STATE")[0].ConceptCodeSequence[0].CodeMeaning for slot, item in slots.items()}
    assert states == {"BRAVO": "missing", "PRE_CUBE": "rejected", "POST_CUBE": "used", "FLAIR": "used"}
    assert named(slots["POST_CUBE"], "REFERENCE")
    assert named(slots["BRAVO"], "SLOT_REASON")[0].TextValue.startswith("no series of the study")
    assert named(slots["PRE_CUBE"], "SLOT_REASON")[0].TextValue.endswith("14 mm from the reference - uber all limits")
    flair = slots["FLAIR"]
    assert study.series[SequenceSlot.FLAIR][0].SeriesInstanceUID == named(flair, "SLOT_SERIES")[0].UID
    assert named(flair, "SLOT_CONFIDENCE")[0].MeasuredValueSequence[0].NumericValue == 0.95
    figures = {i.ConceptNameCodeSequence[0].CodeMeaning: float(i.MeasuredValueSequence[0].NumericValue)
               for i in named(flair, "REGISTRATION")[0].ContentSequence}  # fmt: skip
    assert figures == {"mutual_information": 0.61, "shift_mm": 1.2}


def test_model_threshold_performance_and_digests_are_content(tmp_path: Path) -> None:
    context = result_study().context
    sr = report(tmp_path, result_study())
    assert named(sr, "PROCESSING", "111001")[0].TextValue == "quartet-ild"
    assert float(named(sr, "PROCESSING", "THRESHOLD")[0].MeasuredValueSequence[0].NumericValue) == 0.5
    assert named(sr, "PROCESSING", "WEIGHTS")[0].TextValue == context.model.weights_digest
    assert named(sr, "PROCESSING", "SNAPSHOT")[0].TextValue == context.request.snapshot_digest
    expected = {i.ConceptNameCodeSequence[0].CodeMeaning: float(i.MeasuredValueSequence[0].NumericValue)
                for i in named(sr, "EXPECTED")[0].ContentSequence}  # fmt: skip
    assert expected == {"Expected dice": 0.79, "Expected auc": 0.989, "Expected false positives per patient": 3.6}


def test_study_totals(tmp_path: Path) -> None:
    study = result_study()
    sr = report(tmp_path, study)
    totals = {i.ConceptNameCodeSequence[0].CodeValue: float(i.MeasuredValueSequence[0].NumericValue)
              for i in named(sr, "126011")[0].ContentSequence}  # fmt: skip
    volume = sum(lesion.volume_ml for lesion in study.context.lesions)
    largest = max(lesion.long_axis_mm for lesion in study.context.lesions)
    assert totals == pytest.approx({"246206008": 2, "118565006": volume, "LARGEST": largest}, abs=1e-4)


def test_a_negative_study_has_a_report_that_says_so_and_no_seg(tmp_path: Path) -> None:
    study = result_study(lesions=[])
    files = write_results(tmp_path, study.context, tuple(Product))
    assert [file.product for file in files] == [Product.SR, Product.SR_COMPREHENSIVE]
    sr = dcmread(tmp_path / "sr.dcm")
    assert named(sr, "C0034375", "121077")[0].ConceptCodeSequence[0].CodeValue == "NONE_FOUND"
    assert float(named(sr, "126011", "246206008")[0].MeasuredValueSequence[0].NumericValue) == 0
    assert named(sr, "126010"), "OHIF looks for the container before it looks into it"
    assert read_measurements(tmp_path / "sr.dcm", tmp_path).get("Measurements") in (None, [])


def test_without_a_segmentation_the_numbers_stand_in_groups_of_their_own(tmp_path: Path) -> None:
    sr = report(tmp_path, result_study(), Product.SR)
    groups = named(sr, "126010", "125007")
    assert [g.ContentTemplateSequence[0].TemplateIdentifier for g in groups] == ["1501", "1410"] * 2
    assert not named(sr, "126010", "125007", "121191")


def test_each_segmentation_has_a_report_that_names_it(tmp_path: Path) -> None:
    """A destination is sent one of them, and the report that goes with it."""
    products = (Product.SEG, Product.SEG_PER_LESION, Product.SR, Product.SR_COMPREHENSIVE)
    files = {file.file_name: file for file in write_results(tmp_path, result_study().context, products)}
    assert list(files) == ["seg.dcm", "seg_per_lesion.dcm", "sr.dcm", "sr_of_seg_per_lesion.dcm",
                           "sr_comprehensive.dcm", "sr_comprehensive_of_seg_per_lesion.dcm"]  # fmt: skip
    for name, segmentation, segments in (
        ("sr.dcm", "seg.dcm", [1, 1]),
        ("sr_of_seg_per_lesion.dcm", "seg_per_lesion.dcm", [1, 2]),
        ("sr_comprehensive_of_seg_per_lesion.dcm", "seg_per_lesion.dcm", [1, 2]),
    ):
        sr = dcmread(tmp_path / name)
        assert _segments(sr) == segments
        read = read_measurements(tmp_path / name, tmp_path)["Measurements"]
        named_by = {group["segmentationSOPInstanceUID"] for group in read if "ReferencedSegment" in group}
        assert named_by == {files[segmentation].sop_instance_uid}
    assert len({file.series_instance_uid for file in files.values()}) == len(files)


def test_a_report_on_another_segmentation_is_another_object_whatever_else_is_made(tmp_path: Path) -> None:
    study = result_study()
    made = {
        names: report(tmp_path, study, *names, Product.SR).SOPInstanceUID
        for names in ((), (Product.SEG,), (Product.SEG_PER_LESION,), (Product.SEG, Product.SEG_PER_LESION))
    }
    assert made[Product.SEG_PER_LESION,] == made[Product.SEG, Product.SEG_PER_LESION]
    assert len(set(made.values())) == 3


def _segments(sr: Dataset) -> list[int]:
    items = named(sr, "126010", "125007", "121191")
    return [item.ReferencedSOPSequence[0].ReferencedSegmentNumber for item in items]


def test_all_sources_and_the_segmentation_are_evidence_of_this_study(tmp_path: Path) -> None:
    study = result_study(slots=tuple(SequenceSlot))
    sr = report(tmp_path, study)
    (evidence,) = sr.CurrentRequestedProcedureEvidenceSequence
    assert evidence.StudyInstanceUID == sr.StudyInstanceUID
    listed = [series.SeriesInstanceUID for series in evidence.ReferencedSeriesSequence]
    seg = dcmread(tmp_path / "seg.dcm", stop_before_pixels=True)
    assert listed == [*(s[0].SeriesInstanceUID for s in study.series.values()), seg.SeriesInstanceUID]
    assert "PertinentOtherEvidenceSequence" not in sr


def test_a_superseding_result_names_its_predecessor_and_keeps_the_tracking_uids(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    first = result_study(slots=(SequenceSlot.POST_CUBE,))
    sent = write_results(tmp_path / "first", first.context, (Product.SEG, Product.SR))
    grown = [Planted((10, 24, 40), 6.0), Planted((16, 44, 20), 3.0), Planted((4, 50, 50), 2.0)]
    second = result_study(lesions=grown, snapshot="2" * 64, predecessor=sent, previous=first.record)
    files = write_results(tmp_path / "second", second.context, (Product.SEG, Product.SR))
    assert not {f.sop_instance_uid for f in files} & {f.sop_instance_uid for f in sent}
    sr = dcmread(tmp_path / "second" / "sr.dcm")
    (study_item,) = sr.PredecessorDocumentsSequence
    replaced = study_item.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert replaced.ReferencedSOPInstanceUID == sent[1].sop_instance_uid
    assert [item.UID for item in named(sr, "PROCESSING", "SUPERSEDES")] == [file.sop_instance_uid for file in sent]
    seg = dcmread(tmp_path / "second" / "seg.dcm")
    related = {item.PurposeOfReferenceCodeSequence[0].CodeValue: item for item in seg.RelatedSeriesSequence}
    assert related["SUPERSEDES"].SeriesInstanceUID == sent[0].series_instance_uid
    old = [lesion.tracking_uid for lesion in first.context.lesions]
    new = [lesion.tracking_uid for lesion in second.context.lesions]
    assert new[:2] == old
    assert new[2] not in old
