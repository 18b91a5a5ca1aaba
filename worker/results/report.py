"""The structured report: what was found, how large, how sure, and from which sequences (TID 1500, PS3.16).

Called by write, after the segmentation it refers to. Comprehensive 3D SR (PS3.3 A.35.13) by default, Comprehensive SR
(A.35.3) for viewers that do not take it; the content is the same. A negative study has a report that says so. Content
items are highdicom's; its document classes copy the tree several times, so the document around them is our own.
"""

from collections.abc import Sequence
from typing import Any

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    ImageContentItem,
    LanguageOfContentItemAndDescendants,
    ObservationContext,
    ObserverContext,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as standard
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from dicom_node.contract.messages import Product, ProductFile
from worker.results import codes
from worker.results.content_items import CONTAINS, code, container, number
from worker.results.identity import sop_instance_uid, stamp
from worker.results.lesion_groups import SegmentReference, lesion_groups
from worker.results.provenance import MANUFACTURER, MODEL_NAME, ResultContext
from worker.results.provenance_items import disclaimer, expected_performance, input_sequences, model_and_provenance

SERIES_NUMBERS = {Product.SR: 9111, Product.SR_COMPREHENSIVE: 9112}
_CLASSES = {Product.SR: Comprehensive3DSRStorage, Product.SR_COMPREHENSIVE: ComprehensiveSRStorage}


def build_report(
    context: ResultContext, product: Product = Product.SR, segment: SegmentReference | None = None
) -> Dataset:
    """The SR of a result. `segment` is the segmentation that goes with it; None where none is made."""
    kind = _kind(context, product, segment)
    report = Dataset()
    report.SOPClassUID = _CLASSES[product]
    report.SOPInstanceUID = sop_instance_uid(context, kind)
    report.Modality = "SR"
    report.SeriesNumber = SERIES_NUMBERS[product]
    report.InstanceNumber = 1
    report.ReferencedPerformedProcedureStepSequence = []
    report.ContentDate = report.ContentTime = ""
    report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag = "COMPLETE", "PRELIMINARY", "UNVERIFIED"
    report.PerformedProcedureCodeSequence = []
    report.CurrentRequestedProcedureEvidenceSequence = [_evidence(context, segment)]
    report.CodingSchemeIdentificationSequence = [_private_scheme()]
    report.update(_root(context, segment))
    stamp(report, context, kind, f"AI BrainMets SR ({context.sequences})")
    predecessors = [file for file in context.predecessor if file.product in SERIES_NUMBERS]
    if predecessors:
        report.PredecessorDocumentsSequence = [_predecessors(context, predecessors)]
    return report


def _kind(context: ResultContext, product: Product, segment: SegmentReference | None) -> str:
    """Names the report in the derivation of its UIDs: a report on another segmentation is another object."""
    if not context.lesions or (segment is not None and segment.product is Product.SEG):
        return str(product)
    return f"{product}.{'alone' if segment is None else segment.product}"


def _root(context: ResultContext, segment: SegmentReference | None) -> ContainerContentItem:
    """TID 1500, and after its rows the containers of our own that an extensible template may have."""
    items: list[ContentItem] = [
        *LanguageOfContentItemAndDescendants(CodedConcept("en", "RFC5646", "English")),
        *_observer(context),
        CodeContentItem(name=codes.PROCEDURE_REPORTED, value=codes.BRAIN_MRI, relationship_type="HAS CONCEPT MOD"),
        disclaimer(context),
        _image_library(context),
        container(codes.IMAGING_MEASUREMENTS, lesion_groups(context, segment)),
        container(codes.DERIVED_MEASUREMENTS, _totals(context)),
        container(codes.QUALITATIVE_EVALUATIONS, [_conclusion(context)]),
        input_sequences(context),
        expected_performance(context),
        model_and_provenance(context),
    ]
    root = ContainerContentItem(name=codes.IMAGING_MEASUREMENT_REPORT, template_id="1500")
    root.ContentSequence = ContentSequence(items)
    return root


def _evidence(context: ResultContext, segment: SegmentReference | None) -> Dataset:
    """All images that went in, and the segmentation (PS3.3 C.17.2)."""
    groups: list[Sequence[Any]] = [context.reference.headers, *context.others.values()]
    if segment is not None:
        groups.append([segment.segmentation])
    study = Dataset()
    study.StudyInstanceUID = context.request.study_instance_uid
    study.ReferencedSeriesSequence = [_evidence_of_series(datasets) for datasets in groups if datasets]
    return study


def _evidence_of_series(datasets: Sequence[Any]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = datasets[0].SeriesInstanceUID
    series.ReferencedSOPSequence = [
        _reference(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)) for dataset in datasets
    ]
    return series


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = sop_class_uid
    reference.ReferencedSOPInstanceUID = sop_instance_uid
    return reference


def _private_scheme() -> Dataset:
    scheme = Dataset()
    scheme.CodingSchemeDesignator = codes.PRIVATE_SCHEME
    scheme.CodingSchemeName = codes.PRIVATE_SCHEME_NAME
    return scheme


def _observer(context: ResultContext) -> ObservationContext:
    """TID 1001: the algorithm is the observer (TID 1004)."""
    device = DeviceObserverIdentifyingAttributes(
        uid=context.device_uid,
        name=context.model.name,
        manufacturer_name=MANUFACTURER,
        model_name=MODEL_NAME,
        serial_number=context.model.weights_digest,
    )
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=standard.DCM.Device, observer_identifying_attributes=device
        )
    )


def _image_library(context: ResultContext) -> ContentItem:
    """TID 1600: one group a series, the display series first."""
    groups = [context.reference.headers, *context.others.values()]
    return container(codes.IMAGE_LIBRARY, [_library_group(headers) for headers in groups if headers])


def _library_group(headers: tuple[Dataset, ...]) -> ContentItem:
    descriptors: list[ContentItem] = [
        CodeContentItem(name=codes.MODALITY, value=codes.MAGNETIC_RESONANCE, relationship_type="HAS ACQ CONTEXT"),
        CodeContentItem(name=codes.TARGET_REGION, value=codes.BRAIN, relationship_type="HAS ACQ CONTEXT"),
    ]
    images = [
        ImageContentItem(
            name=codes.SOURCE,
            referenced_sop_class_uid=header.SOPClassUID,
            referenced_sop_instance_uid=header.SOPInstanceUID,
            relationship_type=CONTAINS,
        )
        for header in headers
    ]
    return container(codes.IMAGE_LIBRARY_GROUP, [*descriptors, *images])


def _totals(context: ResultContext) -> list[ContentItem]:
    """Sums over the study. Not a measurement group: OHIF fails on a group whose numbers have no coordinates."""
    lesions = context.lesions
    totals: list[ContentItem] = [number(codes.LESION_COUNT, len(lesions))]
    totals.extend(_total_volume(sum(lesion.volume_ml for lesion in lesions)))
    if lesions:
        totals.append(number(codes.LARGEST, max(lesion.long_axis_mm for lesion in lesions), codes.MILLIMETRE))
    return totals


def _total_volume(volume_ml: float) -> list[ContentItem]:
    total = number(codes.VOLUME, volume_ml, codes.MILLILITRE)
    derivation = CodeContentItem(name=codes.DERIVATION, value=codes.TOTAL, relationship_type="HAS CONCEPT MOD")
    total.ContentSequence = ContentSequence([derivation])
    return [total]


def _conclusion(context: ResultContext) -> ContentItem:
    found = codes.FOUND if context.lesions else codes.NONE_FOUND
    return code(codes.CONCLUSION, found)


def _predecessors(context: ResultContext, files: list[ProductFile]) -> Dataset:
    """PS3.3 C.17.2: the reports that this one replaces."""
    study = Dataset()
    study.StudyInstanceUID = context.request.study_instance_uid
    study.ReferencedSeriesSequence = []
    for file in files:
        series = Dataset()
        series.SeriesInstanceUID = file.series_instance_uid
        series.ReferencedSOPSequence = [_reference(file.sop_class_uid, file.sop_instance_uid)]
        study.ReferencedSeriesSequence.append(series)
    return study
