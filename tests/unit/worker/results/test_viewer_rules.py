"""Each rule finds the fault that it is for, and nothing in what we write ourselves."""

import copy
import io
from collections.abc import Callable, Sequence

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from support.results import Planted, ResultStudy, result_study

from dicom_node.contract.messages import Product
from worker.results import write
from worker.results.rule import SEGMENTATION
from worker.results.viewer_rules import RULES, judge, lint

PRODUCTS = (Product.SEG, Product.SEG_PER_LESION, Product.RTSTRUCT, Product.PARAMETRIC_MAP, Product.SR)
Objects = dict[Product, Dataset]


@pytest.fixture(scope="module")
def study() -> ResultStudy:
    return result_study(shape_zyx=(8, 20, 20), lesions=[Planted((4, 6, 6), 2.0), Planted((5, 14, 14), 1.5)])


@pytest.fixture(scope="module")
def encoded(study: ResultStudy) -> dict[Product, bytes]:
    made: dict[Product, bytes] = {}
    for product, _, dataset in write._build(study.context, PRODUCTS):
        buffer = io.BytesIO()
        dcmwrite(buffer, dataset, enforce_file_format=True)
        made.setdefault(product, buffer.getvalue())
    return made


@pytest.fixture
def objects(encoded: dict[Product, bytes]) -> Objects:
    """Fresh copies from bytes, to be broken."""
    return {product: dcmread(io.BytesIO(content)) for product, content in encoded.items()}


def groups(sr: Dataset) -> Sequence[Dataset]:
    return next(c for c in sr.ContentSequence if c.ConceptNameCodeSequence[0].CodeValue == "126010").ContentSequence


def without(sr: Dataset, value: str) -> None:
    sr.ContentSequence = [c for c in sr.ContentSequence if c.ConceptNameCodeSequence[0].CodeValue != value]


def drop(item: Dataset, value: str) -> None:
    item.ContentSequence = [c for c in item.ContentSequence if c.ConceptNameCodeSequence[0].CodeValue != value]


def _foreign_class(o: Objects) -> None:
    o[Product.SEG].SOPClassUID = "1.2.840.10008.5.1.4.1.1.7.9"


def _label_map(o: Objects) -> None:
    o[Product.SEG].SOPClassUID, o[Product.SEG].SegmentationType = "1.2.840.10008.5.1.4.1.1.66.7", "LABELMAP"


def _one_series(o: Objects) -> None:
    o[Product.SEG_PER_LESION].SeriesInstanceUID = o[Product.SEG].SeriesInstanceUID


def _one_uid(o: Objects) -> None:
    o[Product.SEG_PER_LESION].SOPInstanceUID = o[Product.SEG].SOPInstanceUID


def _other_study(o: Objects) -> None:
    o[Product.SEG].StudyInstanceUID = "1.2.3"


def _no_patient_id(o: Objects) -> None:
    del o[Product.SR].PatientID


def _random_series_number(o: Objects) -> None:
    o[Product.SEG].SeriesNumber = 7


def _no_description(o: Objects) -> None:
    o[Product.SEG].SeriesDescription = ""


def _no_maker(o: Objects) -> None:
    del o[Product.SEG].DeviceSerialNumber


def _no_device(o: Objects) -> None:
    del o[Product.SEG].ContributingEquipmentSequence[0].DeviceUID


def _no_disclaimer(o: Objects) -> None:
    o[Product.SEG].ContentDescription = "Segmentation"


def _no_body_part(o: Objects) -> None:
    del o[Product.SEG].BodyPartExamined


def _no_referenced_series(o: Objects) -> None:
    del o[Product.SEG].ReferencedSeriesSequence


def _other_series(o: Objects) -> None:
    o[Product.SEG].ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3"


def _two_series(o: Objects) -> None:
    """As a further source image has it: the display series first, and another input after it."""
    (display,) = o[Product.SEG].ReferencedSeriesSequence
    other = copy.deepcopy(display)
    other.SeriesInstanceUID = o[Product.SEG].RelatedSeriesSequence[0].SeriesInstanceUID
    o[Product.SEG].ReferencedSeriesSequence = [display, other]


def _other_frame(o: Objects) -> None:
    o[Product.SEG].FrameOfReferenceUID = "1.2.3"


def _turned(o: Objects) -> None:
    shared = o[Product.SEG].SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


def _off_the_slices(o: Objects) -> None:
    frame = o[Product.SEG].PerFrameFunctionalGroupsSequence[2]
    x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
    frame.PlanePositionSequence[0].ImagePositionPatient = [x, y, z + 0.4]


def _other_spacing(o: Objects) -> None:
    o[Product.PARAMETRIC_MAP].SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1, 1]


def _no_source_image(o: Objects) -> None:
    del o[Product.SEG].PerFrameFunctionalGroupsSequence[0].DerivationImageSequence


def _neighbour_as_source(o: Objects) -> None:
    one, two = o[Product.SEG].PerFrameFunctionalGroupsSequence[:2]
    one.DerivationImageSequence, two.DerivationImageSequence = two.DerivationImageSequence, one.DerivationImageSequence


def _wrong_purpose(o: Objects) -> None:
    source = o[Product.SEG].PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    source.PurposeOfReferenceCodeSequence[0].CodeValue = "121324"


def _no_frame_content(o: Objects) -> None:
    del o[Product.SEG].PerFrameFunctionalGroupsSequence[0].FrameContentSequence


def _no_colour(o: Objects) -> None:
    del o[Product.SEG].SegmentSequence[0].RecommendedDisplayCIELabValue


def _manual(o: Objects) -> None:
    o[Product.SEG].SegmentSequence[0].SegmentAlgorithmType = "MANUAL"


def _numbers_from_2(o: Objects) -> None:
    o[Product.SEG].SegmentSequence[0].SegmentNumber = 2


def _empty(o: Objects) -> None:
    o[Product.SEG].PixelData = b"\0" * len(o[Product.SEG].PixelData)


def _short_pixels(o: Objects) -> None:
    o[Product.SEG].PixelData = o[Product.SEG].PixelData[:-2]


def _no_label(o: Objects) -> None:
    o[Product.SEG].ContentLabel = ""


def _many_frames(o: Objects) -> None:
    o[Product.SEG].NumberOfFrames = 401


def _other_root(o: Objects) -> None:
    o[Product.SR].ConceptNameCodeSequence[0].CodeValue = "111400"


def _other_template(o: Objects) -> None:
    o[Product.SR].ContentTemplateSequence[0].TemplateIdentifier = "2000"


def _verified(o: Objects) -> None:
    o[Product.SR].VerificationFlag = "VERIFIED"


def _unnamed_item(o: Objects) -> None:
    del groups(o[Product.SR])[0].ContentSequence[2].ConceptNameCodeSequence


def _no_observer(o: Objects) -> None:
    without(o[Product.SR], "121012")


def _no_library(o: Objects) -> None:
    without(o[Product.SR], "111028")


def _no_measurements(o: Objects) -> None:
    without(o[Product.SR], "126010")


def _no_tracking_uid(o: Objects) -> None:
    drop(groups(o[Product.SR])[1], "112040")


def _tracking_last(o: Objects) -> None:
    group = groups(o[Product.SR])[0]
    group.ContentSequence = list(group.ContentSequence)[2:] + list(group.ContentSequence)[:2]


def _not_drawn(o: Objects) -> None:
    drop(groups(o[Product.SR])[1], "111030")


def _no_finding(o: Objects) -> None:
    drop(groups(o[Product.SR])[0], "121071")


def _no_source_series(o: Objects) -> None:
    drop(groups(o[Product.SR])[0], "121232")


def _evidence_missing(o: Objects) -> None:
    evidence = o[Product.SR].CurrentRequestedProcedureEvidenceSequence[0]
    evidence.ReferencedSeriesSequence = list(evidence.ReferencedSeriesSequence)[:-1]


def _evidence_elsewhere(o: Objects) -> None:
    o[Product.SR].CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID = "1.2.3"


def _segment_missing(o: Objects) -> None:
    _segment(o).ReferencedSegmentNumber = 9


def _segment_of_another(o: Objects) -> None:
    for group, lesion in zip(groups(o[Product.SR])[::2], (2, 1), strict=True):
        reference = _segment(o, group)
        reference.ReferencedSOPInstanceUID = o[Product.SEG_PER_LESION].SOPInstanceUID
        reference.ReferencedSegmentNumber = lesion


def _segment(o: Objects, group: Dataset | None = None) -> Dataset:
    items = (group or groups(o[Product.SR])[0]).ContentSequence
    found: Dataset = next(
        item for item in items if item.ConceptNameCodeSequence[0].CodeValue == "121191"
    ).ReferencedSOPSequence[0]
    return found


def _line(o: Objects) -> Dataset:
    found: Dataset = next(item for item in groups(o[Product.SR])[1].ContentSequence if item.ValueType == "SCOORD")
    return found


def _outside_the_image(o: Objects) -> None:
    _line(o).GraphicData = [3.0, 3.0, 25.0, 3.0]


def _on_a_foreign_image(o: Objects) -> None:
    _line(o).ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def _disclaimer_later(o: Objects) -> None:
    without(o[Product.SR], "121106")


def _region_without_contour(o: Objects) -> None:
    o[Product.RTSTRUCT].ROIContourSequence = list(o[Product.RTSTRUCT].ROIContourSequence)[:-1]


def _other_frame_in_rt(o: Objects) -> None:
    o[Product.RTSTRUCT].ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = "1.2.3"


def _contour_on_no_image(o: Objects) -> None:
    contour = o[Product.RTSTRUCT].ROIContourSequence[0].ContourSequence[0]
    contour.ContourImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"


FAULTS: list[tuple[str, Callable[[Objects], None]]] = [
    ("ALL-CLASS", _foreign_class), ("ALL-ONE-INSTANCE", _one_series), ("ALL-OWN-UID", _one_uid),
    ("ALL-STUDY", _other_study), ("ALL-TYPE-2", _no_patient_id), ("ALL-DESCRIBED", _random_series_number),
    ("ALL-DESCRIBED", _no_description), ("ALL-EQUIPMENT", _no_maker), ("ALL-DEVICE", _no_device),
    ("ALL-RESEARCH", _no_disclaimer), ("ALL-BODY-PART", _no_body_part), ("SEG-BINARY", _label_map),
    ("SEG-REFERENCED-SERIES", _no_referenced_series), ("SEG-REFERENCED-SERIES", _other_series),
    ("SEG-REFERENCED-SERIES", _two_series),
    ("SEG-FRAME-OF-REFERENCE", _other_frame), ("SEG-PLANES", _turned), ("SEG-PLANES", _off_the_slices),
    ("SEG-PLANES", _other_spacing), ("SEG-SOURCE-IMAGE", _no_source_image), ("SEG-SOURCE-IMAGE", _neighbour_as_source),
    ("SEG-SOURCE-IMAGE", _wrong_purpose), ("SEG-FRAMES", _no_frame_content), ("SEG-SEGMENT", _no_colour),
    ("SEG-SEGMENT", _manual), ("SEG-SEGMENT", _numbers_from_2), ("SEG-EMPTY", _empty), ("SEG-EMPTY", _short_pixels),
    ("SEG-LABEL", _no_label), ("SEG-FEW-FRAMES", _many_frames), ("SR-ROOT", _other_root), ("SR-ROOT", _other_template),
    ("SR-UNVERIFIED", _verified), ("SR-NAMES", _unnamed_item), ("SR-CONTEXT", _no_observer),
    ("SR-IMAGE-LIBRARY", _no_library), ("SR-MEASUREMENTS", _no_measurements), ("SR-TRACKING", _no_tracking_uid),
    ("SR-TRACKING", _tracking_last), ("SR-DRAWN", _not_drawn), ("SR-GROUP", _no_finding),
    ("SR-GROUP", _no_source_series), ("SR-EVIDENCE", _evidence_missing), ("SR-EVIDENCE", _evidence_elsewhere),
    ("SR-SEGMENT", _segment_missing), ("SR-SEGMENT", _segment_of_another), ("SR-COORDINATES", _outside_the_image),
    ("SR-COORDINATES", _on_a_foreign_image), ("SR-RESEARCH", _disclaimer_later),
    ("RT-REGIONS", _region_without_contour), ("RT-PLACED", _other_frame_in_rt), ("RT-IMAGES", _contour_on_no_image),
]  # fmt: skip


def test_what_we_write_breaks_no_rule(objects: Objects, study: ResultStudy) -> None:
    assert judge(list(objects.values()), study.context.reference.headers) == ()


@pytest.mark.parametrize(("rule", "fault"), FAULTS, ids=[f"{rule}:{fault.__name__}" for rule, fault in FAULTS])
def test_a_fault_is_found(rule: str, fault: Callable[[Objects], None], objects: Objects, study: ResultStudy) -> None:
    fault(objects)
    found = judge(list(objects.values()), study.context.reference.headers)
    assert rule in {finding.rule.id for finding in found}
    assert all(str(finding).startswith(f"[{finding.rule.id}] ") for finding in found)


def test_every_rule_has_a_fault_that_it_finds() -> None:
    assert {rule.id for rule in RULES} == {rule for rule, _ in FAULTS}
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_notes_hold_nothing_back(objects: Objects, study: ResultStudy) -> None:
    del objects[Product.SEG].BodyPartExamined
    assert lint(list(objects.values()), study.context.reference.headers) == ()


def test_without_a_display_series_the_rest_is_judged(objects: Objects) -> None:
    assert judge(list(objects.values())) == ()
    del objects[Product.SEG].ReferencedSeriesSequence
    assert [finding.rule.id for finding in lint([objects[Product.SEG]])] == ["SEG-REFERENCED-SERIES"]


def test_a_data_set_that_is_hardly_one_is_found_and_raises_nothing() -> None:
    empty = Dataset()
    assert lint([empty])
    empty.SOPClassUID = SEGMENTATION
    assert lint([empty])
