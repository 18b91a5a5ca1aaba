"""Objects in: the receiver's one door (records.Intake), and start-up adoption.

A sender waits for every answer, so concurrent objects share transactions: whoever gets the lock commits for all that
wait (group commit). Contradictions are recorded and hold the study; the object is kept all the same.
Settling counts from the moment the catalog learned of an object, not from what clock stamped it elsewhere.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from dicom_node.catalog.database import CatalogLocked, Database
from dicom_node.catalog.tables import expired_paths, holds, instances, presence, series, studies
from dicom_node.errors import CatalogError
from dicom_node.records import Receipt, ReceivedInstance
from dicom_node.study.states import StudyEvent, StudyState, following

log = logging.getLogger(__name__)

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
    """Implements `records.Intake` over the catalog. One for each receiver process; called from many threads."""

    def __init__(
        self,
        database: Database,
        *,
        receiver: str = "",
        storage_root: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`receiver` names this process's place; associations that it left open when it died are forgotten here.

        With `storage_root` an object whose file is gone by the time of its row is refused with `CatalogError`: the
        removal of old studies came between, and the sender must send it again.
        """
        self._database = database
        self._receiver = receiver
        self._root = storage_root
        self._clock = clock
        self._waiting: list[_Pending] = []
        self._list_lock = threading.Lock()
        self._commit_lock = threading.Lock()
        with database.write() as connection:
            connection.execute(delete(presence).where(presence.c.receiver == receiver))

    def association_opened(self, association_id: str, peer: str) -> None:
        """Nothing is known of its studies yet, so nothing waits for it."""

    def study_open(self, association_id: str, study_instance_uid: str) -> None:
        """Completion of the study waits until the association is closed. Saying it again changes nothing."""
        key = {"association_id": association_id, "study_instance_uid": study_instance_uid}
        with self._database.write() as connection:
            known = connection.scalar(select(presence.c.opened_at).filter_by(**key))
            if known is None:
                connection.execute(insert(presence), key | {"receiver": self._receiver, "opened_at": self._clock()})

    def association_closed(self, association_id: str) -> None:
        """Its studies wait for it no longer."""
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
        """Record objects that lie in the store without a row, in one transaction. Gives how many were new.

        One that cannot be recorded is logged and left where it is. Raises `CatalogError` where the catalog is locked.
        """
        batch = [_Pending(one) for one in received]
        with self._commit_lock:
            self._commit(batch)
        for pending in batch:
            if isinstance(pending.fault, CatalogLocked):
                raise pending.fault
            if pending.fault is not None:
                extra = {"path": pending.received.file.path, "reason": str(pending.fault)}
                log.error("A stored object could not be recorded; it stays in the store.", extra=extra)
        return sum(pending.receipt not in (None, Receipt.DUPLICATE) for pending in batch)

    def known_paths(self) -> set[str]:
        """Paths in the store that have a row, or had one and are about to be deleted: nothing to adopt."""
        with self._database.read() as connection:
            return {*connection.scalars(select(instances.c.path)), *connection.scalars(select(expired_paths.c.path))}

    def _commit(self, batch: Sequence[_Pending]) -> None:
        """Record a batch. Where it fails as a whole, each object is tried alone, so that one cannot sink the others."""
        try:
            self._record_all(batch)
        except Exception as fault:
            for pending in batch:
                pending.fault = fault
            if len(batch) > 1 and not isinstance(fault, CatalogLocked):
                for pending in batch:
                    self._record_alone(pending)
        finally:
            for pending in batch:
                pending.done.set()

    def _record_alone(self, pending: _Pending) -> None:
        try:
            self._record_all([pending])
            pending.fault = None
        except Exception as fault:
            pending.fault = fault

    def _record_all(self, batch: Sequence[_Pending]) -> None:
        with self._database.write() as connection:
            now = self._clock()
            receipts = [self._record(connection, pending.received, now) for pending in batch]
        for pending, receipt in zip(batch, receipts, strict=True):
            pending.receipt = receipt

    def _record(self, connection: Connection, received: ReceivedInstance, now: datetime) -> Receipt:
        if self._root is not None and not (self._root / received.file.path).exists():
            raise CatalogError("the object's file was removed while it came in; it must be sent again")
        return record(connection, received, now)


def record(connection: Connection, received: ReceivedInstance, now: datetime) -> Receipt:
    """Record one object inside a writing transaction."""
    own_id = study_id(received.study_instance_uid)
    study = connection.execute(_STUDY, {"own_id": own_id}).one_or_none()
    if study is not None and study.study_instance_uid != received.study_instance_uid:
        raise CatalogError(f"two Study Instance UIDs share the id {own_id}: no chance brings this about")
    same_uid = connection.execute(_SAME_UID, {"uid": received.sop_instance_uid}).all()
    if any(row.sha256 == received.file.sha256 and row.study_id == own_id for row in same_uid):
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
    after = following(before, StudyEvent.CONTRADICTED if contradictions else StudyEvent.OBJECT_CAME)
    changes: dict[str, object] = {"last_received_at": now, "objects": (study.objects if study else 0) + 1}
    if contradictions:
        changes["reason"] = _hold(connection, own_id, contradictions, now)
    if before is not after:
        changes |= {"state": after.value, "changed_at": now}
        if after is StudyState.RECEIVING:
            changes |= {"first_received_at": now, "reason": ""}
    connection.execute(update(studies).where(studies.c.id == own_id).values(changes))
    return Receipt.HELD if after is StudyState.HELD else Receipt.STORED


_STUDY = select(studies.c.study_instance_uid, studies.c.state, studies.c.patient_digest, studies.c.objects)
_STUDY = _STUDY.where(studies.c.id == bindparam("own_id"))
_SAME_UID = select(instances.c.sha256, instances.c.study_id).where(instances.c.sop_instance_uid == bindparam("uid"))
_SERIES = select(series.c.id, series.c.headers_of).where(
    series.c.study_id == bindparam("own_id"), series.c.series_instance_uid == bindparam("uid")
)


def _hold(connection: Connection, own_id: str, contradictions: Sequence[str], now: datetime) -> str:
    """Write down each contradiction that no open hold names yet. Gives the study's reason: all of them."""
    standing = list(
        connection.scalars(select(holds.c.reason).where(holds.c.study_id == own_id, holds.c.released_at.is_(None)))
    )
    for reason in contradictions:
        if reason not in standing:
            connection.execute(insert(holds), {"study_id": own_id, "reason": reason, "created_at": now})
            standing.append(reason)
    return "; ".join(standing)


def _new_study(connection: Connection, own_id: str, received: ReceivedInstance, now: datetime) -> None:
    row = {
        "id": own_id,
        "study_instance_uid": received.study_instance_uid,
        "patient_digest": received.patient_digest,
        "state": StudyState.RECEIVING.value,
        "first_received_at": now,
        "last_received_at": now,
        "created_at": now,
        "changed_at": now,
    }
    connection.execute(insert(studies), row)


def _new_instance(connection: Connection, own_id: str, received: ReceivedInstance) -> None:
    known = connection.execute(_SERIES, {"own_id": own_id, "uid": received.series_instance_uid}).one_or_none()
    shown = {"headers_of": received.sop_instance_uid, "headers": dict(received.headers)}
    if known is None:
        key = {"study_id": own_id, "series_instance_uid": received.series_instance_uid}
        connection.execute(insert(series), key | shown)
    elif received.sop_instance_uid < known.headers_of:
        connection.execute(update(series).where(series.c.id == known.id).values(shown))
    row = {
        "study_id": own_id,
        "series_instance_uid": received.series_instance_uid,
        "sop_instance_uid": received.sop_instance_uid,
        "sop_class_uid": received.sop_class_uid,
        "transfer_syntax_uid": received.transfer_syntax_uid,
        "patient_digest": received.patient_digest,
        "path": received.file.path,
        "sha256": received.file.sha256,
        "size_bytes": received.file.size_bytes,
        "position_mm": received.headers.get("ImagePositionPatient"),
        "calling_ae_title": received.calling_ae_title,
        "received_at": received.received_at,
    }
    connection.execute(insert(instances), row)
