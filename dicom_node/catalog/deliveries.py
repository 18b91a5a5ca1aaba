"""What is owed to each destination: the objects of one result together, so that nothing partial counts as delivered.

The deliverer reads `due` and records what came of each try, then calls study.lifecycle.settle_delivered in the same
transaction; the receiver records what a PACS says of a commitment. While a study is held nothing of it goes out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, update

from dicom_node.catalog.tables import deliveries, items, jobs, studies
from dicom_node.contract.messages import Product, ProductFile
from dicom_node.study.states import StudyState


class DeliveryState(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    COMMITTING = "committing"
    """Stored by the destination, which has yet to commit to it."""
    DELIVERED = "delivered"
    REFUSED = "refused"
    """The destination refuses it for good, with its reason; a person must act."""
    GIVEN_UP = "given up"
    """Tried for as long as the settings allow."""
    SUPERSEDED = "superseded"
    """A newer result took its place before anything of it was sent."""


UNENDED = (DeliveryState.PENDING.value, DeliveryState.COMMITTING.value)
"""States in which something is still owed."""
UNTAKEN = (DeliveryState.REFUSED.value, DeliveryState.GIVEN_UP.value)
"""States that ended without the destination having it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwedDelivery:
    """One result for one destination."""

    id: int
    job_id: str
    destination: str
    state: DeliveryState
    attempts: int
    """Tries that failed so far."""
    owed_since: datetime
    transaction_uid: str | None
    files: tuple[ProductFile, ...]


def owe(
    connection: Connection, job_id: str, files_by_destination: Mapping[str, Sequence[ProductFile]], now: datetime
) -> None:
    """Owe the files of a result to each destination; those that are owed already stay as they are."""
    owed = set(connection.scalars(select(deliveries.c.destination).where(deliveries.c.job_id == job_id)))
    for destination, files in files_by_destination.items():
        if destination in owed or not files:
            continue
        made = connection.execute(
            insert(deliveries).values(
                job_id=job_id,
                destination=destination,
                state=DeliveryState.PENDING.value,
                attempts=0,
                next_try_at=now,
                reason="",
                owed_since=now,
            )
        )
        key = made.inserted_primary_key
        assert key is not None
        connection.execute(insert(items), [_item(key[0], file) for file in files])


def _item(delivery_id: int, file: ProductFile) -> dict[str, object]:
    return {
        "delivery_id": delivery_id,
        "product": file.product.value,
        "file_name": file.file_name,
        "sha256": file.sha256,
        "sop_class_uid": file.sop_class_uid,
        "sop_instance_uid": file.sop_instance_uid,
        "series_instance_uid": file.series_instance_uid,
        "committed": False,
    }


def due(connection: Connection, now: datetime, destination: str | None = None) -> list[OwedDelivery]:
    """Deliveries whose next try is due, the oldest first."""
    condition = [deliveries.c.state == DeliveryState.PENDING.value, deliveries.c.next_try_at <= now]
    if destination is not None:
        condition.append(deliveries.c.destination == destination)
    rows = connection.execute(
        select(deliveries).where(*condition, _not_held()).order_by(deliveries.c.owed_since, deliveries.c.id)
    )
    return [_owed(connection, row._asdict()) for row in rows.all()]


def _not_held() -> ColumnElement[bool]:
    held = select(jobs.c.id).join(studies, studies.c.id == jobs.c.study_id)
    return deliveries.c.job_id.not_in(held.where(studies.c.state == StudyState.HELD.value))


def overdue_commitments(connection: Connection, asked_before: datetime, destination: str) -> list[OwedDelivery]:
    """Deliveries whose destination was asked for a commitment before a moment and has not answered."""
    rows = connection.execute(
        select(deliveries).where(
            deliveries.c.state == DeliveryState.COMMITTING.value,
            deliveries.c.destination == destination,
            _not_held(),
            or_(deliveries.c.asked_at.is_(None), deliveries.c.asked_at < asked_before),
        )
    )
    return [_owed(connection, row._asdict()) for row in rows.all()]


def of_job(connection: Connection, job_id: str) -> list[OwedDelivery]:
    """All deliveries of a result."""
    rows = connection.execute(select(deliveries).where(deliveries.c.job_id == job_id).order_by(deliveries.c.id))
    return [_owed(connection, row._asdict()) for row in rows.all()]


def unended(connection: Connection, job_id: str) -> bool:
    """Whether some of a result is still owed to a destination."""
    found = select(deliveries.c.id).where(deliveries.c.job_id == job_id, deliveries.c.state.in_(UNENDED)).limit(1)
    return connection.scalar(found) is not None


def untaken(connection: Connection, job_id: str) -> list[str]:
    """Destinations that did not take a result."""
    found = select(deliveries.c.destination).where(deliveries.c.job_id == job_id, deliveries.c.state.in_(UNTAKEN))
    return list(connection.scalars(found.order_by(deliveries.c.destination)))


def _owed(connection: Connection, row: Mapping[str, object]) -> OwedDelivery:
    files = connection.execute(select(items).where(items.c.delivery_id == row["id"]).order_by(items.c.id))
    return OwedDelivery(
        id=row["id"],  # type: ignore[arg-type]
        job_id=str(row["job_id"]),
        destination=str(row["destination"]),
        state=DeliveryState(str(row["state"])),
        attempts=row["attempts"],  # type: ignore[arg-type]
        owed_since=row["owed_since"],  # type: ignore[arg-type]
        transaction_uid=row["transaction_uid"],  # type: ignore[arg-type]
        files=tuple(
            ProductFile(
                product=Product(file.product),
                file_name=file.file_name,
                sha256=file.sha256,
                sop_class_uid=file.sop_class_uid,
                sop_instance_uid=file.sop_instance_uid,
                series_instance_uid=file.series_instance_uid,
            )
            for file in files
        ),
    )


def record_delivered(connection: Connection, delivery_id: int, now: datetime, reason: str = "") -> None:
    """The destination has it (and committed to it where that is asked for)."""
    _record(connection, delivery_id, state=DeliveryState.DELIVERED, reason=reason, finished_at=now, next_try_at=None)


def record_retry(connection: Connection, delivery_id: int, next_try_at: datetime, reason: str) -> None:
    """A try failed in a way that another can mend. Nothing is taken back from what ended: then nothing changes."""
    _record(
        connection,
        delivery_id,
        state=DeliveryState.PENDING,
        attempts=deliveries.c.attempts + 1,
        next_try_at=next_try_at,
        reason=reason,
    )


def record_end(connection: Connection, delivery_id: int, state: DeliveryState, now: datetime, reason: str) -> None:
    """Refused for good, or given up."""
    _record(connection, delivery_id, state=state, reason=reason, finished_at=now, next_try_at=None)


def record_asked(connection: Connection, delivery_id: int, transaction_uid: str, now: datetime) -> None:
    """The destination stored it and was asked to commit under this transaction."""
    _record(
        connection,
        delivery_id,
        state=DeliveryState.COMMITTING,
        transaction_uid=transaction_uid,
        asked_at=now,
        reason="",
    )


def record_commitment(
    connection: Connection,
    transaction_uid: str,
    committed: Collection[str],
    failed: Mapping[str, str],
    now: datetime,
) -> str | None:
    """What a PACS says of a transaction: SOP Instance UIDs it committed to, and those it did not, with the reason.

    Gives the job's id, or None for a transaction that is not ours or has ended: doubled reports are harmless. A failure
    makes the delivery due again.
    """
    row = connection.execute(
        select(deliveries.c.id, deliveries.c.job_id).where(
            deliveries.c.transaction_uid == transaction_uid, deliveries.c.state == DeliveryState.COMMITTING.value
        )
    ).one_or_none()
    if row is None:
        return None
    connection.execute(
        update(items)
        .where(items.c.delivery_id == row.id, items.c.sop_instance_uid.in_(list(committed)))
        .values(committed=True)
    )
    open_items = connection.scalar(
        select(func.count()).select_from(items).where(items.c.delivery_id == row.id, items.c.committed.is_(False))
    )
    if not open_items:
        record_delivered(connection, row.id, now)
    elif failed:
        record_retry(connection, row.id, now, "not committed: " + "; ".join(sorted(set(failed.values()))))
    return str(row.job_id)


def supersede(connection: Connection, study_id: str, by_job_id: str) -> None:
    """Older results of a study of which no try was made yet are not sent any more."""
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
        .where(deliveries.c.job_id.in_(own), deliveries.c.state.in_(UNTAKEN))
        .values(
            state=DeliveryState.PENDING.value,
            reason="",
            attempts=0,
            next_try_at=now,
            owed_since=now,
            finished_at=None,
        )
    )


def _record(connection: Connection, delivery_id: int, *, state: DeliveryState, **values: object) -> None:
    connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(state=state.value, **values))
