"""Writes down what came of a job: its end, the deliveries that follow from it, and the study's next state.

Called by dispatch.py, each time inside one transaction. A doubled outcome changes nothing.
"""

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from dicom_node.catalog import deliveries, jobs, studies
from dicom_node.catalog.database import Database
from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import JobOutcome, OutcomeStatus
from dicom_node.delivery.destinations import wanted_files
from dicom_node.settings import DestinationSettings
from dicom_node.study.lifecycle import settle_delivered
from dicom_node.study.states import StudyEvent

log = logging.getLogger(__name__)

_EVENTS = {
    OutcomeStatus.COMPLETED: StudyEvent.JOB_COMPLETED,
    OutcomeStatus.REFUSED: StudyEvent.JOB_REFUSED,
    OutcomeStatus.FAILED: StudyEvent.JOB_FAILED,
}


def fault_of(folder: JobFolder, outcome: JobOutcome) -> str:
    """What is wrong with a published outcome; empty where its products lie there as it says (design, invariant 5)."""
    if outcome.job_id != folder.job_id:
        return "the outcome is of another job"
    for product in outcome.products:
        if product.file_name in {"", ".", ".."} or "/" in product.file_name or "\\" in product.file_name:
            return "the outcome names a product that is no file of its folder"
        path = folder.outcome / product.file_name
        if not path.is_file():
            return f"the outcome lacks its product {product.product.value}"
        if hashlib.sha256(path.read_bytes()).hexdigest() != product.sha256:
            return f"the product {product.product.value} is not what the worker wrote: its SHA-256 differs"
    return ""


def record_outcome(
    database: Database,
    job: jobs.Job,
    outcome: JobOutcome,
    destinations: Sequence[DestinationSettings],
    now: datetime,
) -> bool:
    """Record the end of a job. False where it had ended already."""
    with database.write() as connection:
        if not jobs.record_end(connection, job.id, outcome, now):
            return False
        studies.apply(connection, job.study_id, _EVENTS[outcome.status], now, reason=outcome.reason or None)
        if outcome.status is OutcomeStatus.COMPLETED:
            _owe(connection, job, outcome, destinations, now)
    log.info(
        "A job ended.",
        extra={
            "study": job.study_id,
            "job": job.id,
            "status": outcome.status.value,
            "attempt": outcome.attempt,
            "lesions": len(outcome.lesions),
            "reason": outcome.reason,
        },
    )
    return True


def _owe(
    connection: Connection,
    job: jobs.Job,
    outcome: JobOutcome,
    destinations: Sequence[DestinationSettings],
    now: datetime,
) -> None:
    deliveries.supersede(connection, job.study_id, job.id)
    wanted = {destination.name: wanted_files(outcome.products, destination) for destination in destinations}
    deliveries.owe(connection, job.id, wanted, now)
    settle_delivered(connection, job.study_id, job.id, now)
