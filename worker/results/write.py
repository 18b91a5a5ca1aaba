"""Writes the products of a result as DICOM files, and holds back what fails the rules.

Called by the pipeline, into the attempt folder. Nothing is sent from here; the node sends what the outcome names.
The same context gives the same bytes: no clock, no chance.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from dicom_node.contract.messages import Product, ProductFile
from worker.errors import WorkerError
from worker.results.lesion_groups import SegmentReference
from worker.results.parametric_map import build_parametric_map
from worker.results.provenance import ResultContext
from worker.results.report import build_report
from worker.results.rtstruct import build_rtstruct
from worker.results.secondary_capture import build_secondary_captures
from worker.results.segmentation import build_segmentation
from worker.results.viewer_rules import lint

SEGMENTATIONS = (Product.SEG, Product.SEG_PER_LESION, Product.SEG_FRACTIONAL)
NAMED_BY_REPORTS = (Product.SEG, Product.SEG_PER_LESION)
REPORTS = (Product.SR, Product.SR_COMPREHENSIVE)


def write_results(folder: Path, context: ResultContext, products: Sequence[Product]) -> tuple[ProductFile, ...]:
    """Write each product into `folder` as `seg.dcm`, `sr.dcm`, ... and say what was written.

    A Secondary Capture series is several files, `secondary_capture_001.dcm` and so on. Where segmentations of both
    kinds are made, so are reports of both: the n-th of a class names the n-th segmentation, and the node sends each
    destination the one of its own. Of a negative study only the reports are written. Every file is read back and
    judged by the viewers' rules; raises `WorkerError` with the findings where one fails: nothing of it is sent.
    """
    written = [_write(folder, product, name, dataset) for product, name, dataset in _build(context, products)]
    datasets = [dcmread(folder / file.file_name) for file in written]
    findings = lint(datasets, context.reference.headers)
    if findings:
        raise WorkerError("the results are held back: " + "; ".join(str(finding) for finding in findings))
    return tuple(written)


def _build(context: ResultContext, products: Sequence[Product]) -> Iterator[tuple[Product, str, Dataset]]:
    """Product, file name, data set; in the order of the enumeration, segmentations before reports that name them."""
    segments: list[SegmentReference] = []
    for product in [product for product in Product if product in products]:
        if product in REPORTS:
            yield from _reports(context, product, segments)
        elif context.lesions:
            for name, dataset in _images(context, product):
                if product in NAMED_BY_REPORTS:
                    segments.append(SegmentReference(segmentation=dataset, product=product))
                yield product, name, dataset


def _reports(
    context: ResultContext, product: Product, segments: Sequence[SegmentReference]
) -> Iterator[tuple[Product, str, Dataset]]:
    if not segments:
        yield product, f"{product}.dcm", build_report(context, product)
    for number, segment in enumerate(segments):
        name = f"{product}_of_{segment.product}.dcm" if number else f"{product}.dcm"
        yield product, name, build_report(context, product, segment)


def _images(context: ResultContext, product: Product) -> Iterator[tuple[str, Dataset]]:
    if product in SEGMENTATIONS:
        yield f"{product}.dcm", build_segmentation(context, product)
    elif product is Product.PARAMETRIC_MAP:
        yield f"{product}.dcm", build_parametric_map(context)
    elif product is Product.RTSTRUCT:
        yield f"{product}.dcm", build_rtstruct(context)
    else:
        for number, capture in enumerate(build_secondary_captures(context), start=1):
            yield f"{product}_{number:03d}.dcm", capture


def _write(folder: Path, product: Product, name: str, dataset: Dataset) -> ProductFile:
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    content = buffer.getvalue()
    (folder / name).write_bytes(content)
    return ProductFile(
        product=product,
        file_name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
    )
