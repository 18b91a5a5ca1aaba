"""What an image of ours stands beside, apart from the series that it is shown on: the other inputs, the predecessor.

Called by identity for every image. As Related Series (General Series Module, PS3.3 C.7.3.1), and not as source images:
those must stand in Referenced Series too (Common Instance Reference, C.12.2), and there OHIF takes whichever of them it
loaded first for the series under the overlay. The report names the inputs image by image.
"""

from collections.abc import Sequence
from typing import Any

from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from worker.errors import WorkerError
from worker.results import codes
from worker.results.provenance import ResultContext


def name_related_series(dataset: Dataset, context: ResultContext, kind: str) -> None:
    """Name the other input series, and the series that this one of the same kind replaces. Changes `dataset`.

    Raises `WorkerError` where an input belongs to another study.
    """
    related = [_input(headers, context) for headers in context.others.values() if headers]
    replaced = dict.fromkeys(file.series_instance_uid for file in context.predecessor if file.product == kind)
    related += [_related(context, series, codes.SUPERSEDES) for series in replaced]
    if related:
        dataset.RelatedSeriesSequence = related


def _input(headers: Sequence[Any], context: ResultContext) -> Dataset:
    if any(header.StudyInstanceUID != context.request.study_instance_uid for header in headers):
        raise WorkerError("an input series belongs to another study than the reference series")
    return _related(context, str(headers[0].SeriesInstanceUID), codes.SOURCE_IMAGE)


def _related(context: ResultContext, series_instance_uid: str, purpose: Code) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = context.request.study_instance_uid
    item.SeriesInstanceUID = series_instance_uid
    item.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(purpose)]
    return item
