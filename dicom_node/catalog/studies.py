"""Studies as the lifecycle reads and writes them: those that receive, their series and objects, their state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, exists, func, insert, select, update

from dicom_node.catalog import deliveries, jobs
from dicom_node.catalog.tables import deliveries as deliveries_table
from dicom_node.catalog.tables import expired_paths, holds, instances, presence, series, studies
from dicom_node.catalog.tables import jobs as jobs_table
from dicom_node.contract.job_folder import JOBS
from dicom_node.contract.messages import InstanceRef
from dicom_node.study.snapshot import KnownSeries
from dicom_node.study.states import StudyEvent, StudyState, following


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivingStudy:
    """A study that may be complete."""

    id: str
    study_instance_uid: str
    first_received_at: datetime
    """Of the objects that no snapshot has seen."""
    last_received_at: datetime
    objects: int
    """All that ever came: equal numbers are equal studies."""
    open_associations: int


def receiving(connection: Connection, study_id: str | None = None) -> list[ReceivingStudy]:
    """All studies that wait for completion (or the one asked for), the oldest first."""
    open_count = (
        select(func.count())
        .where(presence.c.study_instance_uid == studies.c.study_instance_uid)
        .scalar_subquery()
        .label("open_associations")
    )
    query = select(
        studies.c.id,
        studies.c.study_instance_uid,
        studies.c.first_received_at,
        studies.c.last_received_at,
        studies.c.objects,
        open_count,
    ).where(studies.c.state == StudyState.RECEIVING.value)
    if study_id is not None:
        query = query.where(studies.c.id == study_id)
    rows = connection.execute(query.order_by(studies.c.first_received_at, studies.c.id))
    return [ReceivingStudy(**row) for row in rows.mappings()]


def known_series(connection: Connection, study_id: str) -> list[KnownSeries]:
    """The series of a study with the objects that take part in a snapshot, in the order of their UIDs.

    Objects of another patient than the study's never take part (design, invariant 6); of a UID that came with more
    than one content the first takes part, or the latest where a person said so.
    """
    study = connection.execute(
        select(studies.c.patient_digest, studies.c.keeps_latest).where(studies.c.id == study_id)
    ).one()
    rows = connection.execute(
        select(
            instances.c.series_instance_uid,
            instances.c.sop_instance_uid,
            instances.c.path,
            instances.c.sha256,
            instances.c.position_mm,
        )
        .where(instances.c.study_id == study_id, instances.c.patient_digest == study.patient_digest)
        .order_by(instances.c.id.asc() if study.keeps_latest else instances.c.id.desc())
    )
    counting = {row.sop_instance_uid: row for row in rows}  # the last of equal UIDs wins
    by_series: dict[str, list[Any]] = {}
    for uid in sorted(counting):
        by_series.setdefault(counting[uid].series_instance_uid, []).append(counting[uid])
    headers = connection.execute(
        select(series.c.series_instance_uid, series.c.headers)
        .where(series.c.study_id == study_id)
        .order_by(series.c.series_instance_uid)
    )
    return [
        _known(row.series_instance_uid, row.headers, by_series[row.series_instance_uid])
        for row in headers
        if row.series_instance_uid in by_series
    ]


def _known(uid: str, headers: dict[str, object], objects: Sequence[Any]) -> KnownSeries:
    return KnownSeries(
        series_instance_uid=uid,
        headers={**headers, "NumberOfSeriesRelatedInstances": len(objects)},
        instances=tuple(
            InstanceRef(sop_instance_uid=one.sop_instance_uid, path=one.path, sha256=one.sha256) for one in objects
        ),
        positions_mm=tuple(_point(one.position_mm) for one in objects),
    )


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
    if after is not before:
        values = {"state": after.value, "changed_at": now, "reason": reason or ""}
        connection.execute(update(studies).where(studies.c.id == study_id).values(values))
    return after


def remark(connection: Connection, study_id: str, reason: str) -> None:
    """Show a reason beside the state as it is: why a study does not move on."""
    connection.execute(update(studies).where(studies.c.id == study_id).values(reason=reason))


def set_clock_back(connection: Connection, study_id: str, now: datetime) -> None:
    """The clock went back behind the study's objects: count from now, lest it waits until the clock is there again."""
    connection.execute(
        update(studies).where(studies.c.id == study_id).values(first_received_at=now, last_received_at=now)
    )


def retry(connection: Connection, study_id: str, now: datetime, *, keep_latest: bool = False) -> StudyState:
    """A person wants another try: holds are released, the failed job and ended deliveries are open again.

    Of contradicting objects those of the first patient and the first content take part from now on, or with
    `keep_latest` those that came last (a corrected identity, say). Raises `StudyError` where nothing can be retried.
    """
    state = apply(connection, study_id, StudyEvent.RETRIED, now)
    open_holds = update(holds).where(holds.c.study_id == study_id, holds.c.released_at.is_(None))
    if connection.execute(open_holds.values(released_at=now)).rowcount:
        order = instances.c.id.desc() if keep_latest else instances.c.id.asc()
        patient = select(instances.c.patient_digest).where(instances.c.study_id == study_id).order_by(order).limit(1)
        connection.execute(
            update(studies)
            .where(studies.c.id == study_id)
            .values(patient_digest=patient.scalar_subquery(), keeps_latest=keep_latest)
        )
    job_id = connection.scalar(select(studies.c.job_id).where(studies.c.id == study_id))
    if job_id is not None:
        jobs.begin_round(connection, job_id)
    deliveries.begin_again(connection, study_id, now)
    return state


def expired(connection: Connection, before: datetime) -> list[str]:
    """Ids of studies that ended before a moment and owe nothing to anybody: done or not processed."""
    ended = (StudyState.DONE.value, StudyState.NOT_PROCESSED.value)
    owing = exists().where(
        jobs_table.c.study_id == studies.c.id,
        deliveries_table.c.job_id == jobs_table.c.id,
        deliveries_table.c.state.in_(deliveries.UNENDED),
    )
    return list(
        connection.scalars(
            select(studies.c.id).where(studies.c.state.in_(ended), studies.c.changed_at < before, ~owing)
        )
    )


def forget(connection: Connection, study_id: str) -> tuple[list[str], list[str]]:
    """Remove a study's rows and leave word of what lies on disk for retention.py, in the same transaction.

    Gives the paths in the store, and the job ids.
    """
    paths = sorted(set(connection.scalars(select(instances.c.path).where(instances.c.study_id == study_id))))
    job_ids = list(connection.scalars(select(jobs_table.c.id).where(jobs_table.c.study_id == study_id)))
    words = [*paths, *(f"{JOBS}/{job_id}" for job_id in job_ids)]
    known = set(connection.scalars(select(expired_paths.c.path)))
    if new := [{"path": path} for path in words if path not in known]:
        connection.execute(insert(expired_paths), new)
    connection.execute(delete(studies).where(studies.c.id == study_id))
    return paths, job_ids
