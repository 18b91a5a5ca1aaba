"""Rules for the structured report: what OHIF, Slicer and dcmqi need of TID 1500, which no validator checks."""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from worker.results import codes
from worker.results.provenance import RESEARCH_USE_ONLY
from worker.results.rule import REPORTS, SEGMENTATION, Rule, Subject, code_value, first_item

_NAME = "ConceptNameCodeSequence"
_CONTEXT = (
    codes.LANGUAGE,
    codes.PROCEDURE_REPORTED,
    codes.DEVICE_OBSERVER_UID,
    codes.DEVICE_OBSERVER_NAME,
    codes.DEVICE_OBSERVER_MANUFACTURER,
    codes.DEVICE_OBSERVER_MODEL,
)


def _children(item: Dataset) -> list[Dataset]:
    return list(item.get("ContentSequence") or [])


def _named(items: list[Dataset], value: str) -> list[Dataset]:
    return [item for item in items if code_value(item, _NAME) == value]


def _walk(item: Dataset) -> Iterator[Dataset]:
    for child in _children(item):
        yield child
        yield from _walk(child)


def _groups(report: Dataset) -> list[Dataset]:
    return [
        group
        for c in _named(_children(report), codes.IMAGING_MEASUREMENTS.value)
        for group in _named(_children(c), codes.MEASUREMENT_GROUP.value)
    ]


def _tracking_uid(group: Dataset) -> str:
    return next((str(item.get("UID", "")) for item in _named(_children(group), codes.TRACKING_UID.value)), "")


def _root(subject: Subject) -> Iterator[str]:
    report = subject.dataset
    template = first_item(report, "ContentTemplateSequence")
    if code_value(report, _NAME) != codes.IMAGING_MEASUREMENT_REPORT.value:
        yield "its root is not an Imaging Measurement Report (126000 DCM)"
    if template is None or template.get("TemplateIdentifier") != "1500":
        yield "it does not name template 1500"


def _unverified(subject: Subject) -> Iterator[str]:
    if subject.dataset.get("VerificationFlag") != "UNVERIFIED":
        yield "it is not UNVERIFIED"


def _named_items(subject: Subject) -> Iterator[str]:
    unnamed = sum(not code_value(item, _NAME) for item in _walk(subject.dataset))
    if unnamed:
        yield f"{unnamed} content items have no name"


def _context(subject: Subject) -> Iterator[str]:
    items = _children(subject.dataset)
    for concept in _CONTEXT:
        if not _named(items, concept.value):
            yield f"no {concept.meaning} ({concept.value} {concept.scheme_designator})"


def _image_library(subject: Subject) -> Iterator[str]:
    library = _named(_children(subject.dataset), codes.IMAGE_LIBRARY.value)
    if not library or not _named(_children(library[0]), codes.IMAGE_LIBRARY_GROUP.value):
        yield "no image library with a group (111028, 126200 DCM)"


def _measurements(subject: Subject) -> Iterator[str]:
    if not _named(_children(subject.dataset), codes.IMAGING_MEASUREMENTS.value):
        yield "no container of imaging measurements (126010 DCM)"


def _tracking(subject: Subject) -> Iterator[str]:
    for number, group in enumerate(_groups(subject.dataset), start=1):
        names = [code_value(item, _NAME) for item in _children(group)[:2]]
        if names != [codes.TRACKING_IDENTIFIER.value, codes.TRACKING_UID.value] or not _tracking_uid(group):
            yield f"measurement group {number} does not begin with tracking identifier and UID (112039, 112040 DCM)"


def _drawn(subject: Subject) -> Iterator[str]:
    """Each lesion's groups together have a region on an image."""
    drawn: dict[str, bool] = {}
    for group in _groups(subject.dataset):
        region = any(item.get("ValueType") == "SCOORD" and _children(item) for item in _children(group))
        drawn[_tracking_uid(group)] = drawn.get(_tracking_uid(group), False) or region
    lacking = sum(not has for has in drawn.values())
    if lacking:
        yield f"{lacking} lesions have measurements but no coordinates on an image"


def _group_content(subject: Subject) -> Iterator[str]:
    for number, group in enumerate(_groups(subject.dataset), start=1):
        names = {code_value(item, _NAME) for item in _children(group)}
        missing = {
            codes.FINDING.value,
            codes.FINDING_SITE.value,
            codes.ALGORITHM_NAME.value,
            codes.ALGORITHM_VERSION.value,
        } - names
        if codes.REFERENCED_SEGMENT.value in names and not names & {
            codes.SOURCE_SERIES.value,
            codes.SOURCE_IMAGE_FOR_SEGMENTATION.value,
        }:
            missing.add(codes.SOURCE_SERIES.value)
        if missing:
            yield f"measurement group {number} lacks {', '.join(sorted(missing))}"


def _evidence(subject: Subject) -> Iterator[str]:
    """All that is referenced is listed, and all that is listed lies in the report's own study."""
    report = subject.dataset
    listed: set[str] = set()
    for study in report.get("CurrentRequestedProcedureEvidenceSequence") or []:
        if study.get("StudyInstanceUID") != report.get("StudyInstanceUID"):
            yield "it refers to another study"
        for series in study.get("ReferencedSeriesSequence") or []:
            listed.update(str(item.ReferencedSOPInstanceUID) for item in series.ReferencedSOPSequence)
    if report.get("PertinentOtherEvidenceSequence"):
        yield "it refers to another study"
    missing = {uid for uid, _ in _references(report)} - listed
    if missing:
        yield f"{len(missing)} referenced objects are not listed as evidence"


def _references(report: Dataset) -> Iterator[tuple[str, Dataset]]:
    for item in _walk(report):
        for reference in item.get("ReferencedSOPSequence") or []:
            yield str(reference.ReferencedSOPInstanceUID), reference


def _referenced_segments(subject: Subject) -> Iterator[str]:
    """Referenced segments exist, and where segments are per lesion the tracking UIDs agree."""
    known = {str(ds.SOPInstanceUID): ds for ds in subject.together if ds.get("SOPClassUID") == SEGMENTATION}
    groups = _groups(subject.dataset)
    lesions = {_tracking_uid(group) for group in groups}
    for group in groups:
        for item in _named(_children(group), codes.REFERENCED_SEGMENT.value):
            reference = first_item(item, "ReferencedSOPSequence")
            segmentation = known.get(str(reference.ReferencedSOPInstanceUID)) if reference is not None else None
            if reference is None or (known and segmentation is None):
                yield "a lesion refers to a segmentation that does not go with it"
            elif segmentation is not None:
                uids = {int(s.SegmentNumber): str(s.get("TrackingUID", "")) for s in segmentation.SegmentSequence}
                number = int(reference.get("ReferencedSegmentNumber") or 0)
                if number not in uids:
                    yield f"a lesion refers to segment {number}, which is not there"
                elif lesions & set(uids.values()) and uids[number] != _tracking_uid(group):
                    yield f"segment {number} has another tracking UID than its lesion"


def _coordinates(subject: Subject) -> Iterator[str]:
    """Regions lie within an image of the display series."""
    display = subject.display
    if display is None:
        return
    for item in _walk(subject.dataset):
        if item.get("ValueType") != "SCOORD":
            continue
        data = [float(value) for value in item.get("GraphicData") or []]
        if not data or any(not 0 <= v <= (display.rows if n % 2 else display.columns) for n, v in enumerate(data)):
            yield "a region lies outside its image"
        reference = first_item(item, "ContentSequence", "ReferencedSOPSequence")
        if reference is None or str(reference.ReferencedSOPInstanceUID) not in display.instances:
            yield "a region lies on no image of the display series"


def _research_first(subject: Subject) -> Iterator[str]:
    texts = [i for i in _children(subject.dataset) if i.get("ValueType") == "TEXT" and i.RelationshipType == "CONTAINS"]
    if not texts or not str(texts[0].get("TextValue", "")).startswith(RESEARCH_USE_ONLY):
        yield f'its first text is not "{RESEARCH_USE_ONLY}"'


RULES = (
    Rule(id="SR-ROOT", viewers=("OHIF", "3D Slicer"), classes=REPORTS, check=_root,
         reason="another report is not read as measurements"),
    Rule(id="SR-UNVERIFIED", viewers=("radiologist",), classes=REPORTS, check=_unverified,
         reason="a machine's report passes for a signed one"),
    Rule(id="SR-NAMES", viewers=("OHIF",), classes=REPORTS, check=_named_items,
         reason="a content item without a name is a TypeError"),
    Rule(id="SR-CONTEXT", viewers=("standard", "dcmqi"), classes=REPORTS, check=_context,
         reason="TID 1500 asks for language, observer and procedure"),
    Rule(id="SR-IMAGE-LIBRARY", viewers=("OHIF",), classes=REPORTS, check=_image_library,
         reason="older releases crash without one"),
    Rule(id="SR-MEASUREMENTS", viewers=("OHIF",), classes=REPORTS, check=_measurements,
         reason="a report without the container is a TypeError, also where nothing was found"),
    Rule(id="SR-TRACKING", viewers=("OHIF",), classes=REPORTS, check=_tracking,
         reason="a group without tracking UID is a TypeError, and its first UID is taken for it"),
    Rule(id="SR-DRAWN", viewers=("OHIF",), classes=REPORTS, check=_drawn,
         reason="numbers without coordinates are a TypeError and a black viewport"),
    Rule(id="SR-GROUP", viewers=("3D Slicer", "dcmqi"), classes=REPORTS, check=_group_content,
         reason="finding, site, algorithm and source series are read from each group"),
    Rule(id="SR-EVIDENCE", viewers=("OHIF", "standard"), classes=REPORTS, check=_evidence,
         reason="unlisted objects are not loaded, and another study throws"),
    Rule(id="SR-SEGMENT", viewers=("3D Slicer", "dcmqi"), classes=REPORTS, check=_referenced_segments,
         reason="the lesion is not found in the segmentation"),
    Rule(id="SR-COORDINATES", viewers=("OHIF",), classes=REPORTS, check=_coordinates,
         reason="the line is drawn elsewhere or not at all"),
    Rule(id="SR-RESEARCH", viewers=("radiologist",), classes=REPORTS, check=_research_first,
         reason="a research result is taken for a finding"),
)  # fmt: skip
"""One row a rule."""
