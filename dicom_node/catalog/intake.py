"""Objects in: the receiver's one door (records.Intake), and start-up adoption.

A sender waits for every answer, so concurrent objects share transactions: whoever gets the lock commits for all that
wait (group commit). Contradictions are recorded and hold the study; the object is kept all the same.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select, update

from dicom_node.catalog.database import Database
from dicom_node.catalog.tables import holds, instances, presence, series, studies
from dicom_node.records import Receipt, ReceivedInstance
from dicom_node.study.states import StudyEvent, StudyState, following

OTHER_PATIENT = "objects of different patients came under one Study Instance UID"
OTHER_CONTENT = "an object came twice under one SOP Instance UID with different content"


def study_id(study_instance_uid: str) -> str:
    """Our own id of a study: what logs, people and file names use instead of the UID."""
    return hashlib.sha256(study_instance_uid.encode()).hexdigest()[:16]


@dataclass(slots=True)
class _Pending:
    received: ReceivedInstance
    done: threading.Event = field(default_factory=threading.Event)
    receipt: Receipt | None = None
    fault: Exception | None = None


class CatalogIntake:
    """Implements `records.Intake` over the catalog. One for each receiver process."""

    def __init__(
        self, database: Database, *, receiver: str = "", clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """`receiver` names this process's place; associations that it left open when it died are forgotten here."""
        self._database = database
        self._receiver = receiver
        self._clock = clock
        self._waiting: list[_Pending] = []
        self._list_lock = threading.Lock()
        self._commit_lock = threading.Lock()
        with database.write() as connection:
            connection.execute(delete(presence).where(presence.c.receiver == receiver))

    def association_opened(self, association_id: str, peer: str) -> None:
        """Nothing is known of its studies yet, so nothing waits for it."""

    def study_open(self, association_id: str, study_instance_uid: str) -> None:
        """Completion of the study waits until the association is closed."""
        row = {
            "association_id": association_id,
            "study_instance_uid": study_instance_uid,
            "receiver": self._receiver,
            "opened_at": self._clock(),
        }
        with self._database.write() as connection:
            connection.execute(insert(presence), row)

    def association_closed(self, association_id: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(presence).where(presence.c.association_id == association_id))

    def receive(self, received: ReceivedInstance) -> Receipt:
        """Record one object. Raises `CatalogError`."""
        pending = _Pending(received)
        with self._list_lock:
            self._waiting.append(pending)
        with self._commit_lock:
            if not pending.done.is_set():
                with self._list_lock:
                    batch, self._waiting = self._waiting, []
                self._commit(batch)
        if pending.fault is not None:
            raise pending.fault
        assert pending.receipt is not None
        return pending.receipt

    def adopt(self, received: Sequence[ReceivedInstance]) -> int:
        """Record objects that lie in the store without a row, in one transaction. Gives how many were new."""
        with self._database.write() as connection:
            return sum(record(connection, one, self._clock()) is not Receipt.DUPLICATE for one in received)

    def known_paths(self) -> set[str]:
        """Paths in the store that have a row."""
        with self._database.read() as connection:
            return set(connection.scalars(select(instances.c.path)))

    def _commit(self, batch: Sequence[_Pending]) -> None:
        try:
            with self._database.write() as connection:
                now = self._clock()
                for pending in batch:
                    pending.receipt = record(connection, pending.received, now)
        except Exception as fault:
            for pending in batch:
                pending.fault = fault
        finally:
            for pending in batch:
                pending.done.set()


def record(connection: Connection, received: ReceivedInstance, now: datetime) -> Receipt:
    """Record one object inside a writing transaction."""
    own_id = study_id(received.study_instance_uid)
    study = connection.execute(
        select(studies.c.state, studies.c.patient_digest, studies.c.last_received_at).where(studies.c.id == own_id)
    ).one_or_none()
    same_uid = connection.execute(
        select(instances.c.sha256, instances.c.study_id).where(
            instances.c.sop_instance_uid == received.sop_instance_uid
        )
    ).all()
    if (received.file.sha256, own_id) in {(row.sha256, row.study_id) for row in same_uid}:
        return Receipt.DUPLICATE
    if study is None:
        _new_study(connection, own_id, received, now)
    _new_instance(connection, own_id, received)
    contradictions = []
    if study is not None and study.patient_digest != received.patient_digest:
        contradictions.append(OTHER_PATIENT)
    if same_uid:
        contradictions.append(OTHER_CONTENT)
    before = StudyState(study.state) if study is not None else StudyState.RECEIVING
    event = StudyEvent.CONTRADICTED if contradictions else StudyEvent.OBJECT_CAME
    after = following(before, event)
    for reason in contradictions:
        connection.execute(insert(holds).values(study_id=own_id, reason=reason, created_at=now))
    changes: dict[str, object] = {"state": after.value, "last_received_at": received.received_at, "changed_at": now}
    if contradictions:
        changes["reason"] = contradictions[0]
    elif before is not after:
        changes |= {"first_received_at": received.received_at, "reason": ""}
    connection.execute(update(studies).where(studies.c.id == own_id).values(changes))
    return Receipt.HELD if after is StudyState.HELD else Receipt.STORED


def _new_study(connection: Connection, own_id: str, received: ReceivedInstance, now: datetime) -> None:
    row = {
        "id": own_id,
        "study_instance_uid": received.study_instance_uid,
        "patient_digest": received.patient_digest,
        "state": StudyState.RECEIVING.value,
        "reason": "",
        "first_received_at": received.received_at,
        "last_received_at": received.received_at,
        "created_at": now,
        "changed_at": now,
    }
    connection.execute(insert(studies), row)


def _new_instance(connection: Connection, own_id: str, received: ReceivedInstance) -> None:
    known = connection.scalar(
        select(series.c.id).where(
            series.c.study_id == own_id, series.c.series_instance_uid == received.series_instance_uid
        )
    )
    if known is None:
        connection.execute(
            insert(series).values(
                study_id=own_id,
                series_instance_uid=received.series_instance_uid,
                headers=dict(received.headers),
            )
        )
    connection.execute(
        insert(instances).values(
            study_id=own_id,
            series_instance_uid=received.series_instance_uid,
            sop_instance_uid=received.sop_instance_uid,
            sop_class_uid=received.sop_class_uid,
            transfer_syntax_uid=received.transfer_syntax_uid,
            path=received.file.path,
            sha256=received.file.sha256,
            size_bytes=received.file.size_bytes,
            position_mm=received.headers.get("ImagePositionPatient"),
            calling_ae_title=received.calling_ae_title,
            received_at=received.received_at,
        )
    )
