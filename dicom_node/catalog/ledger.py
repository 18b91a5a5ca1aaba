"""The catalog as the courier sees it: fulfils delivery/ledger.py. Each call is one transaction, safe from any thread.

A delivery's id is its job and destination, not its row: it is the same in a catalog that was rebuilt from the store,
and so are the transaction UIDs that derive from it. While a study is held nothing of it is due.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from dicom_node.catalog.database import Database
from dicom_node.catalog.deliveries import UNENDED, DeliveryState
from dicom_node.catalog.tables import commitments, deliveries, items, jobs, studies
from dicom_node.contract.job_folder import JobFolder
from dicom_node.delivery.ledger import DeliveryPhase, DueDelivery
from dicom_node.delivery.retry import next_try
from dicom_node.settings import RetrySettings
from dicom_node.study.lifecycle import settle_delivered
from dicom_node.study.states import StudyState

_OPEN = (*UNENDED, DeliveryState.SUPERSEDED.value)
"""What came of a try counts for these: one that was superseded while it was being sent is owed whole, never half."""


class CatalogLedger:
    """Implements `DeliveryLedger`."""

    def __init__(
        self,
        database: Database,
        *,
        storage_root: Path,
        retry: RetrySettings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._root = storage_root
        self._retry = retry
        self._clock = clock

    def due(self, now: datetime) -> list[DueDelivery]:
        """Deliveries to act on now, the longest owed first."""
        asked = select(func.count()).where(commitments.c.delivery_id == deliveries.c.id).scalar_subquery()
        query = (
            select(deliveries, asked.label("asked"))
            .join(jobs, jobs.c.id == deliveries.c.job_id)
            .join(studies, studies.c.id == jobs.c.study_id)
            .where(deliveries.c.state.in_(UNENDED), deliveries.c.next_try_at <= now)
            .where(studies.c.state != StudyState.HELD.value)
            .order_by(deliveries.c.owed_since, deliveries.c.id)
        )
        with self._database.read() as connection:
            return [self._due(connection, row) for row in connection.execute(query).all()]

    def _due(self, connection: Connection, row: Row[Any]) -> DueDelivery:
        names = connection.scalars(select(items.c.file_name).where(items.c.delivery_id == row.id).order_by(items.c.id))
        folder = JobFolder(self._root, row.job_id).outcome
        committing = row.state == DeliveryState.COMMITTING.value
        return DueDelivery(
            delivery_id=f"{row.job_id}/{row.destination}",
            destination=row.destination,
            files=tuple((folder / name).absolute() for name in names),
            phase=DeliveryPhase.COMMIT if committing else DeliveryPhase.SEND,
            attempts=row.attempts,
            commitment_requests=row.asked,
            owed_since=row.owed_since,
        )

    def record_sent(self, delivery_id: str, *, at: datetime, reason: str = "") -> None:
        """Done. `reason` holds warnings."""
        with self._database.write() as connection:
            if (row := _open(connection, delivery_id)) is not None:
                _end(connection, row, DeliveryState.DELIVERED, at, reason)

    def record_retry(self, delivery_id: str, *, next_try_at: datetime, reason: str) -> None:
        """A try failed in a way that another can mend."""
        with self._database.write() as connection:
            if (row := _open(connection, delivery_id)) is not None:
                _try_again(connection, row, _after_a_try(row.state), next_try_at, reason)

    def record_refused(self, delivery_id: str, *, reason: str) -> None:
        """Held for a person."""
        with self._database.write() as connection:
            if (row := _open(connection, delivery_id)) is not None:
                _end(connection, row, DeliveryState.REFUSED, self._clock(), reason)

    def record_commitment_requested(self, delivery_id: str, *, transaction_uid: str, ask_again_at: datetime) -> None:
        """Stored, and about to be asked to commit under this transaction."""
        with self._database.write() as connection:
            if (row := _open(connection, delivery_id)) is None:
                return
            values = {"state": DeliveryState.COMMITTING.value, "next_try_at": ask_again_at}
            connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(values))
            known = select(commitments.c.delivery_id).where(commitments.c.transaction_uid == transaction_uid)
            if connection.scalar(known) is None:
                asked = {"transaction_uid": transaction_uid, "delivery_id": row.id, "asked_at": self._clock()}
                connection.execute(insert(commitments), asked)

    def record_commitment(self, transaction_uid: str, *, committed: bool, at: datetime, reason: str = "") -> bool:
        """The destination answered. False for a transaction that is not ours; a doubled answer changes nothing."""
        with self._database.write() as connection:
            asked = connection.execute(
                select(commitments).where(commitments.c.transaction_uid == transaction_uid)
            ).one_or_none()
            if asked is None:
                return False
            if asked.answered_at is not None:
                return True
            connection.execute(
                update(commitments)
                .where(commitments.c.transaction_uid == transaction_uid)
                .values(answered_at=at, answer="committed" if committed else reason or "not committed")
            )
            row = connection.execute(
                _ROWS.where(deliveries.c.id == asked.delivery_id, deliveries.c.state.in_(UNENDED))
            ).one_or_none()
            if row is not None and committed:
                _end(connection, row, DeliveryState.DELIVERED, at, reason)
            elif row is not None and row.state == DeliveryState.COMMITTING.value:
                self._send_again(connection, row, at, reason or "the destination did not commit")
            return True

    def _send_again(self, connection: Connection, row: Row[Any], at: datetime, reason: str) -> None:
        again = next_try(
            attempts=row.attempts + 1,
            owed_since=row.owed_since,
            now=at,
            settings=self._retry,
            key=f"{row.job_id}/{row.destination}",
        )
        if again is None:
            _end(connection, row, DeliveryState.REFUSED, at, reason)
        else:
            _try_again(connection, row, DeliveryState.PENDING, again, reason)


_ROWS = select(deliveries, jobs.c.study_id).join(jobs, jobs.c.id == deliveries.c.job_id)


def _open(connection: Connection, delivery_id: str) -> Row[Any] | None:
    """The row of a delivery, or None where it has ended or was forgotten: then a try's word comes too late."""
    job_id, _, destination = delivery_id.partition("/")
    return connection.execute(
        _ROWS.where(
            deliveries.c.job_id == job_id, deliveries.c.destination == destination, deliveries.c.state.in_(_OPEN)
        )
    ).one_or_none()


def _after_a_try(state: str) -> DeliveryState:
    return DeliveryState.COMMITTING if state == DeliveryState.COMMITTING.value else DeliveryState.PENDING


def _try_again(connection: Connection, row: Row[Any], state: DeliveryState, next_try_at: datetime, reason: str) -> None:
    values = {"state": state.value, "attempts": row.attempts + 1, "next_try_at": next_try_at, "reason": reason}
    connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(values))


def _end(connection: Connection, row: Row[Any], state: DeliveryState, now: datetime, reason: str) -> None:
    values = {"state": state.value, "finished_at": now, "next_try_at": None, "reason": reason}
    connection.execute(update(deliveries).where(deliveries.c.id == row.id).values(values))
    settle_delivered(connection, row.study_id, row.job_id, now)
