"""Writes the products of a result as DICOM files, and holds back what fails the rules.

Called by the pipeline, into the attempt folder. Nothing is sent from here; the node sends what the outcome names.
The same context gives the same bytes: no clock, no chance.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from dicom_node.contract.messages import Product, ProductFile
from worker.results.lesion_groups import SegmentReference
from worker.results.provenance import ResultContext
from worker.results.report import build_report
from worker.results.segmentation import build_segmentation

SEGMENTATIONS = (Product.SEG, Product.SEG_PER_LESION, Product.SEG_FRACTIONAL)
REPORTS = (Product.SR, Product.SR_COMPREHENSIVE)


def write_results(folder: Path, context: ResultContext, products: Sequence[Product]) -> tuple[ProductFile, ...]:
    """Write each product into `folder` as `seg.dcm`, `sr.dcm`, ... and say what was written.

    Of a negative study only the reports are written.
    """
    return tuple(_write(folder, product, dataset) for product, dataset in _build(context, products))


def _build(context: ResultContext, products: Sequence[Product]) -> Iterator[tuple[Product, Dataset]]:
    segment: SegmentReference | None = None
    wanted = [product for product in Product if product in products]
    for product in [p for p in wanted if p in SEGMENTATIONS] if context.lesions else []:
        dataset = build_segmentation(context, product)
        if segment is None and product is not Product.SEG_FRACTIONAL:
            segment = SegmentReference(segmentation=dataset, per_lesion=product is Product.SEG_PER_LESION)
        yield product, dataset
    for product in [p for p in wanted if p in REPORTS]:
        yield product, build_report(context, product, segment)


def _write(folder: Path, product: Product, dataset: Dataset) -> ProductFile:
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    content = buffer.getvalue()
    path = folder / f"{product}.dcm"
    path.write_bytes(content)
    return ProductFile(
        product=product,
        file_name=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
    )
