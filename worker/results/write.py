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
REPORTS = (Product.SR, Product.SR_COMPREHENSIVE)


def write_results(folder: Path, context: ResultContext, products: Sequence[Product]) -> tuple[ProductFile, ...]:
    """Write each product into `folder` as `seg.dcm`, `sr.dcm`, ... and say what was written.

    A Secondary Capture series is several files, `secondary_capture_001.dcm` and so on. Of a negative study only the
    reports are written. Every file is read back and checked against the viewers' rules; raises `WorkerError` with the
    findings where one fails, so that nothing of the result is sent.
    """
    written = [_write(folder, product, dataset) for product, dataset in _build(context, products)]
    datasets = [dcmread(folder / file.file_name) for file in written]
    findings = lint(datasets, context.reference.headers)
    if findings:
        raise WorkerError("the results are held back: " + "; ".join(str(finding) for finding in findings))
    return tuple(written)


def _build(context: ResultContext, products: Sequence[Product]) -> Iterator[tuple[Product, Dataset]]:
    """The data sets in the order of the enumeration, which puts the segmentations before the reports that name them."""
    segment: SegmentReference | None = None
    for product in [product for product in Product if product in products]:
        if product in REPORTS:
            yield product, build_report(context, product, segment)
        elif not context.lesions:
            continue
        elif product in SEGMENTATIONS:
            dataset = build_segmentation(context, product)
            if segment is None and product is not Product.SEG_FRACTIONAL:
                segment = SegmentReference(segmentation=dataset, per_lesion=product is Product.SEG_PER_LESION)
            yield product, dataset
        elif product is Product.PARAMETRIC_MAP:
            yield product, build_parametric_map(context)
        elif product is Product.RTSTRUCT:
            yield product, build_rtstruct(context)
        else:
            yield from ((product, capture) for capture in build_secondary_captures(context))


def _write(folder: Path, product: Product, dataset: Dataset) -> ProductFile:
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    content = buffer.getvalue()
    number = f"_{int(dataset.InstanceNumber):03d}" if product is Product.SECONDARY_CAPTURE else ""
    path = folder / f"{product}{number}.dcm"
    path.write_bytes(content)
    return ProductFile(
        product=product,
        file_name=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
    )
