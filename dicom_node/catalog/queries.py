"""What people ask: `quartet studies` and `quartet show STUDY`. Frozen records, no patient identifiers.

Reads only. UIDs are left out too, but for those that a person needs to find a result in the PACS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from dicom_node.catalog.deliveries import DeliveryState
from dicom_node.catalog.jobs import JobState
from dicom_node.catalog.tables import attempts, deliveries, holds, instances, items, jobs, series, studies
from dicom_node.contract.messages import JobOutcome, JobRequest, from_json
from dicom_node.contract.slots import SequenceSlot
from dicom_node.errors import StudyError
from dicom_node.study.states import StudyState


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyLine:
    """One line of `quartet studies`."""

    id: str
    state: StudyState
    reason: str
    slots: tuple[SequenceSlot, ...]
    """Slots that hold a series, in the order of the channels; empty before the study was complete once."""
    series: int
    objects: int
    created_at: datetime
    last_received_at: datetime
    changed_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesLine:
    """One series of a study as it was sorted last."""

    series_instance_uid: str
    description: str
    slot: SequenceSlot | None
    chosen: bool
    confidence: float
    reasons: tuple[str, ...]
    objects: int


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldLine:
    """Why a study waits, or waited, for a person."""

    reason: str
    created_at: datetime
    released_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptLine:
    """One attempt at a job."""

    number: int
    rung_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryLine:
    """What one destination gets of one result."""

    destination: str
    state: DeliveryState
    attempts: int
    """Tries that failed."""
    reason: str
    next_try_at: datetime | None
    finished_at: datetime | None
    products: tuple[str, ...]
    sop_instance_uids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLine:
    """One snapshot of a study and its job."""

    id: str
    state: JobState
    reason: str
    predecessor_job_id: str | None
    created_at: datetime
    finished_at: datetime | None
    attempts: tuple[AttemptLine, ...]
    outcome: JobOutcome | None
    deliveries: tuple[DeliveryLine, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyDetail:
    """Everything of `quartet show STUDY`."""

    line: StudyLine
    series: tuple[SeriesLine, ...]
    holds: tuple[HoldLine, ...]
    jobs: tuple[JobLine, ...]
    """The newest first."""


def list_studies(connection: Connection, *, limit: int = 1000) -> list[StudyLine]:
    """The studies whose state changed last, the newest first."""
    query = _lines().order_by(studies.c.changed_at.desc(), studies.c.id).limit(limit)
    return [_line(row) for row in connection.execute(query)]


def count_states(connection: Connection) -> dict[StudyState, int]:
    """How many studies are in each state; every state is there."""
    rows = connection.execute(select(studies.c.state, func.count()).group_by(studies.c.state)).all()
    return dict.fromkeys(StudyState, 0) | {StudyState(state): count for state, count in rows}


def find_study(connection: Connection, text: str) -> str:
    """The id of the study that a person means: the beginning of its id or of a job's, or its Study Instance UID.

    Raises `StudyError` where none or more than one fits.
    """
    text = text.strip()
    found = connection.scalars(select(studies.c.id).where(studies.c.study_instance_uid == text)).all()
    if not found and text:
        begins = text.lower()
        query = select(studies.c.id).outerjoin(jobs, jobs.c.study_id == studies.c.id).distinct().limit(3)
        fits = or_(studies.c.id.startswith(begins, autoescape=True), jobs.c.id.startswith(begins, autoescape=True))
        found = connection.scalars(query.where(fits)).all()
    if not found:
        raise StudyError("no study has this id; `quartet studies` lists them")
    if len(found) > 1:
        raise StudyError("more than one study begins so; give more digits")
    return str(found[0])


def show_study(connection: Connection, study_id: str) -> StudyDetail:
    """All that is known of a study. Raises `StudyError` where there is none of this id."""
    row = connection.execute(_lines().where(studies.c.id == study_id)).one_or_none()
    if row is None:
        raise StudyError("no study has this id; `quartet studies` lists them")
    own_holds = connection.execute(select(holds).where(holds.c.study_id == study_id).order_by(holds.c.id))
    own_jobs = connection.execute(
        select(jobs).where(jobs.c.study_id == study_id).order_by(jobs.c.created_at.desc(), jobs.c.id)
    ).all()
    return StudyDetail(
        line=_line(row),
        series=tuple(_sorted(one) for one in row.verdict)
        if row.verdict is not None
        else _unsorted(connection, study_id),
        holds=tuple(
            HoldLine(reason=one.reason, created_at=one.created_at, released_at=one.released_at) for one in own_holds
        ),
        jobs=tuple(_job(connection, one) for one in own_jobs),
    )


def _lines() -> Any:
    in_study = select(func.count()).where(series.c.study_id == studies.c.id).scalar_subquery()
    return select(studies, in_study.label("series"))


def _line(row: Row[Any]) -> StudyLine:
    chosen = {one["slot"] for one in row.verdict or () if one["chosen"]}
    return StudyLine(
        id=row.id,
        state=StudyState(row.state),
        reason=row.reason,
        slots=tuple(slot for slot in SequenceSlot if slot.value in chosen),
        series=row.series,
        objects=row.objects,
        created_at=row.created_at,
        last_received_at=row.last_received_at,
        changed_at=row.changed_at,
    )


def _sorted(one: Mapping[str, Any]) -> SeriesLine:
    return SeriesLine(
        series_instance_uid=one["series_instance_uid"],
        description=one["description"],
        slot=SequenceSlot(one["slot"]) if one["slot"] else None,
        chosen=one["chosen"],
        confidence=one["confidence"],
        reasons=tuple(one["reasons"]),
        objects=one["instances"],
    )


def _unsorted(connection: Connection, study_id: str) -> tuple[SeriesLine, ...]:
    """The series of a study that was not complete yet."""
    count = select(func.count()).where(
        instances.c.study_id == study_id, instances.c.series_instance_uid == series.c.series_instance_uid
    )
    rows = connection.execute(
        select(series.c.series_instance_uid, series.c.headers, count.scalar_subquery().label("objects"))
        .where(series.c.study_id == study_id)
        .order_by(series.c.series_instance_uid)
    )
    return tuple(
        SeriesLine(
            series_instance_uid=row.series_instance_uid,
            description=str(row.headers.get("SeriesDescription") or ""),
            slot=None,
            chosen=False,
            confidence=0.0,
            reasons=("not sorted yet: the study is not complete",),
            objects=row.objects,
        )
        for row in rows
    )


def _job(connection: Connection, row: Row[Any]) -> JobLine:
    own_attempts = connection.execute(select(attempts).filter_by(job_id=row.id).order_by(attempts.c.number))
    own_deliveries = connection.execute(select(deliveries).filter_by(job_id=row.id).order_by(deliveries.c.id)).all()
    return JobLine(
        id=row.id,
        state=JobState(row.state),
        reason=row.reason,
        predecessor_job_id=from_json(JobRequest, row.request).predecessor_job_id,
        created_at=row.created_at,
        finished_at=row.finished_at,
        attempts=tuple(
            AttemptLine(
                number=one.number,
                rung_at=one.rung_at,
                begun_at=one.begun_at,
                ended_at=one.ended_at,
                reason=one.reason,
            )
            for one in own_attempts
        ),
        outcome=from_json(JobOutcome, row.outcome) if row.outcome else None,
        deliveries=tuple(_delivery(connection, one) for one in own_deliveries),
    )


def _delivery(connection: Connection, row: Row[Any]) -> DeliveryLine:
    files = connection.execute(select(items).where(items.c.delivery_id == row.id).order_by(items.c.id)).all()
    return DeliveryLine(
        destination=row.destination,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        reason=row.reason,
        next_try_at=row.next_try_at,
        finished_at=row.finished_at,
        products=tuple(file.product for file in files),
        sop_instance_uids=tuple(file.sop_instance_uid for file in files),
    )
