"""What is owed to each destination: the objects of one result together, so that nothing partial counts as delivered.

Written where a job ends (jobs/outcomes.py) and where a study changes; ledger.py is what the courier sees of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, insert, select, update

from dicom_node.catalog.tables import deliveries, items, jobs
from dicom_node.contract.messages import ProductFile


class DeliveryState(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    COMMITTING = "committing"
    """Stored by the destination, which has yet to commit to it."""
    DELIVERED = "delivered"
    REFUSED = "refused"
    """The destination does not take it, for the reason given; a person must act."""
    SUPERSEDED = "superseded"
    """A newer result took its place before anything of it was sent."""


UNENDED = (DeliveryState.PENDING.value, DeliveryState.COMMITTING.value)
"""States in which something is still owed."""


def owe(
    connection: Connection, job_id: str, files_by_destination: Mapping[str, Sequence[ProductFile]], now: datetime
) -> None:
    """Owe the files of a result to each destination; those that are owed already stay as they are."""
    owed = set(connection.scalars(select(deliveries.c.destination).where(deliveries.c.job_id == job_id)))
    for destination, files in files_by_destination.items():
        if destination in owed or not files:
            continue
        row = {
            "job_id": job_id,
            "destination": destination,
            "state": DeliveryState.PENDING.value,
            "next_try_at": now,
            "owed_since": now,
        }
        made = connection.execute(insert(deliveries), row).inserted_primary_key
        assert made is not None
        connection.execute(insert(items), [_item(made[0], file) for file in files])


def _item(delivery_id: int, file: ProductFile) -> dict[str, object]:
    return {
        "delivery_id": delivery_id,
        "product": file.product.value,
        "file_name": file.file_name,
        "sha256": file.sha256,
        "sop_class_uid": file.sop_class_uid,
        "sop_instance_uid": file.sop_instance_uid,
        "series_instance_uid": file.series_instance_uid,
    }


def unended(connection: Connection, job_id: str) -> bool:
    """Whether some of a result is still owed to a destination."""
    found = select(deliveries.c.id).where(deliveries.c.job_id == job_id, deliveries.c.state.in_(UNENDED)).limit(1)
    return connection.scalar(found) is not None


def untaken(connection: Connection, job_id: str) -> list[str]:
    """Destinations that did not take a result."""
    found = select(deliveries.c.destination).where(
        deliveries.c.job_id == job_id, deliveries.c.state == DeliveryState.REFUSED.value
    )
    return list(connection.scalars(found.order_by(deliveries.c.destination)))


def supersede(connection: Connection, study_id: str, by_job_id: str) -> None:
    """Older results of a study of which no try was made yet are not sent any more; what was begun goes on."""
    older = select(jobs.c.id).where(jobs.c.study_id == study_id, jobs.c.id != by_job_id)
    connection.execute(
        update(deliveries)
        .where(
            deliveries.c.job_id.in_(older),
            deliveries.c.state == DeliveryState.PENDING.value,
            deliveries.c.attempts == 0,
        )
        .values(state=DeliveryState.SUPERSEDED.value, reason=f"superseded by {by_job_id} before it was sent")
    )


def revive(connection: Connection, job_id: str, now: datetime) -> None:
    """This result is the study's newest again: what was superseded before it was sent is owed after all."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.job_id == job_id, deliveries.c.state == DeliveryState.SUPERSEDED.value)
        .values(state=DeliveryState.PENDING.value, reason="", next_try_at=now, owed_since=now)
    )


def begin_again(connection: Connection, study_id: str, now: datetime) -> None:
    """A person wants what destinations did not take to be tried again."""
    own = select(jobs.c.id).where(jobs.c.study_id == study_id)
    connection.execute(
        update(deliveries)
        .where(deliveries.c.job_id.in_(own), deliveries.c.state == DeliveryState.REFUSED.value)
        .values(
            state=DeliveryState.PENDING.value,
            reason="",
            attempts=0,
            next_try_at=now,
            owed_since=now,
            finished_at=None,
        )
    )
