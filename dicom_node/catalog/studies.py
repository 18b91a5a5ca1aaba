"""Studies as the lifecycle reads and writes them: those that receive, their series and objects, their state."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from dicom_node.catalog.tables import deliveries, holds, instances, jobs, presence, series, studies
from dicom_node.contract.messages import InstanceRef
from dicom_node.study.snapshot import KnownSeries
from dicom_node.study.states import StudyEvent, StudyState, following


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivingStudy:
    """A study that may be complete."""

    id: str
    study_instance_uid: str
    first_received_at: datetime
    last_received_at: datetime
    open_associations: int


def receiving(connection: Connection) -> list[ReceivingStudy]:
    """All studies that wait for completion, the oldest first."""
    open_count = (
        select(func.count())
        .where(presence.c.study_instance_uid == studies.c.study_instance_uid)
        .scalar_subquery()
        .label("open_associations")
    )
    rows = connection.execute(
        select(
            studies.c.id,
            studies.c.study_instance_uid,
            studies.c.first_received_at,
            studies.c.last_received_at,
            open_count,
        )
        .where(studies.c.state == StudyState.RECEIVING.value)
        .order_by(studies.c.first_received_at)
    )
    return [ReceivingStudy(**row) for row in rows.mappings()]


def known_series(connection: Connection, study_id: str) -> list[KnownSeries]:
    """The series of a study with their objects, in the order of their UIDs."""
    objects: dict[str, list[InstanceRef]] = defaultdict(list)
    positions: dict[str, list[tuple[float, float, float] | None]] = defaultdict(list)
    rows = connection.execute(
        select(
            instances.c.series_instance_uid,
            instances.c.sop_instance_uid,
            instances.c.path,
            instances.c.sha256,
            instances.c.position_mm,
        )
        .where(instances.c.study_id == study_id)
        .order_by(instances.c.series_instance_uid, instances.c.sop_instance_uid)
    )
    for row in rows:
        ref = InstanceRef(sop_instance_uid=row.sop_instance_uid, path=row.path, sha256=row.sha256)
        objects[row.series_instance_uid].append(ref)
        positions[row.series_instance_uid].append(_point(row.position_mm))
    headers = connection.execute(
        select(series.c.series_instance_uid, series.c.headers)
        .where(series.c.study_id == study_id)
        .order_by(series.c.series_instance_uid)
    )
    return [
        KnownSeries(
            series_instance_uid=row.series_instance_uid,
            headers={**row.headers, "NumberOfSeriesRelatedInstances": len(objects[row.series_instance_uid])},
            instances=tuple(objects[row.series_instance_uid]),
            positions_mm=tuple(positions[row.series_instance_uid]),
        )
        for row in headers
    ]


def _point(value: object) -> tuple[float, float, float] | None:
    if not isinstance(value, list | tuple) or len(value) != 3:
        return None
    try:
        x, y, z = (float(part) for part in value)
    except (TypeError, ValueError):
        return None
    return x, y, z


def apply(
    connection: Connection, study_id: str, event: StudyEvent, now: datetime, *, reason: str | None = None
) -> StudyState:
    """Move a study by an event, inside a writing transaction. Raises `StudyError` for what its state does not know."""
    before = StudyState(connection.scalars(select(studies.c.state).where(studies.c.id == study_id)).one())
    after = following(before, event)
    changes: dict[str, object] = {}
    if after is not before:
        changes = {"state": after.value, "changed_at": now, "reason": reason or ""}
    elif reason is not None and after is not StudyState.HELD:
        changes = {"reason": reason}
    if changes:
        connection.execute(update(studies).where(studies.c.id == study_id).values(changes))
    return after


def retry(connection: Connection, study_id: str, now: datetime) -> StudyState:
    """A person wants another try: holds are released, failed jobs and given-up deliveries are open again."""
    state = apply(connection, study_id, StudyEvent.RETRIED, now)
    connection.execute(
        update(holds).where(holds.c.study_id == study_id, holds.c.released_at.is_(None)).values(released_at=now)
    )
    connection.execute(
        update(jobs)
        .where(jobs.c.study_id == study_id, jobs.c.state.in_(("failed", "refused")))
        .values(state="open", attempt=jobs.c.attempt + 1, first_attempt=jobs.c.attempt + 1, rung_at=None, rings=0)
    )
    own_jobs = select(jobs.c.id).where(jobs.c.study_id == study_id)
    connection.execute(
        update(deliveries)
        .where(deliveries.c.job_id.in_(own_jobs), deliveries.c.state.in_(("refused", "given up")))
        .values(state="pending", attempts=0, next_try_at=now, owed_since=now, finished_at=None)
    )
    return state


def expired(connection: Connection, before: datetime) -> list[str]:
    """Ids of studies that ended before a moment and owe nothing: done or not processed."""
    ended = (StudyState.DONE.value, StudyState.NOT_PROCESSED.value)
    return list(
        connection.scalars(select(studies.c.id).where(studies.c.state.in_(ended), studies.c.changed_at < before))
    )


def forget(connection: Connection, study_id: str) -> tuple[list[str], list[str]]:
    """Remove a study's rows. Gives the paths in the store that no other study uses, and its job ids."""
    paths = set(connection.scalars(select(instances.c.path).where(instances.c.study_id == study_id)))
    shared = set(
        connection.scalars(
            select(instances.c.path).where(instances.c.path.in_(paths), instances.c.study_id != study_id)
        )
    )
    job_ids = list(connection.scalars(select(jobs.c.id).where(jobs.c.study_id == study_id)))
    connection.execute(delete(studies).where(studies.c.id == study_id))
    return sorted(paths - shared), job_ids
