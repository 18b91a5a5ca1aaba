"""Jobs as rows: the outbox of the broker. What is open here is owed, whatever the broker knows.

Written by study/lifecycle.py (a snapshot and its job are one row) and jobs/ (rings, attempts, outcomes).
"""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, insert, select, update

from dicom_node.catalog.tables import attempts, jobs, studies
from dicom_node.contract.messages import JobOutcome, JobRequest, OutcomeStatus, from_json, to_json


class JobState(StrEnum):
    """Where a job is."""

    OPEN = "open"
    """Owed: to be rung, waiting for a worker, or running."""
    COMPLETED = "completed"
    REFUSED = "refused"
    """The input is not processable; another attempt gives the same."""
    FAILED = "failed"
    """The attempts are used up. One that was taken for dead may still publish."""
    SUPERSEDED = "superseded"
    """A newer snapshot of the study took its place before it ended."""


_ENDS = {
    OutcomeStatus.COMPLETED: JobState.COMPLETED,
    OutcomeStatus.REFUSED: JobState.REFUSED,
    OutcomeStatus.FAILED: JobState.FAILED,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A row of the outbox, without its request, which `request_of` gives."""

    id: str
    study_id: str
    state: JobState
    snapshot_digest: str
    attempt: int
    first_attempt: int
    """Of the present round; a person's retry begins a new one."""
    rings: int
    """Of the present attempt."""
    rung_at: datetime | None
    begun_at: datetime | None
    """When the present attempt was first seen to live."""
    reason: str
    created_at: datetime


_COLUMNS = tuple(jobs.c[column.name] for column in fields(Job))


def open_jobs(connection: Connection) -> list[Job]:
    """All jobs that are owed, the oldest first."""
    return _select(connection, jobs.c.state == JobState.OPEN.value)


def failed_jobs(connection: Connection) -> list[Job]:
    """Failed jobs of newest snapshots: an attempt that was taken for dead may still publish."""
    newest = select(studies.c.job_id)
    return _select(connection, jobs.c.state == JobState.FAILED.value, jobs.c.id.in_(newest))


def of_study(connection: Connection, study_id: str) -> list[Job]:
    """The jobs of a study, the oldest first."""
    return _select(connection, jobs.c.study_id == study_id)


def _select(connection: Connection, *conditions: ColumnElement[bool]) -> list[Job]:
    rows = connection.execute(select(*_COLUMNS).where(*conditions).order_by(jobs.c.created_at, jobs.c.id))
    return [Job(**{**row, "state": JobState(row["state"])}) for row in rows.mappings()]


def request_of(connection: Connection, job_id: str) -> JobRequest:
    """The snapshot that a job works on."""
    return from_json(JobRequest, connection.scalars(select(jobs.c.request).where(jobs.c.id == job_id)).one())


def outcome_of(connection: Connection, job_id: str) -> JobOutcome | None:
    """The outcome of a job that ended, or None."""
    found = connection.scalar(select(jobs.c.outcome).where(jobs.c.id == job_id))
    return from_json(JobOutcome, found) if found else None


def add(connection: Connection, study_id: str, request: JobRequest, now: datetime) -> None:
    """Owe the job of a new snapshot, and supersede the study's open ones."""
    row = {
        "id": request.job_id,
        "study_id": study_id,
        "snapshot_digest": request.snapshot_digest,
        "request": to_json(request),
        "state": JobState.OPEN.value,
        "created_at": now,
    }
    connection.execute(insert(jobs), row)
    make_newest(connection, study_id, request.job_id)


def make_newest(connection: Connection, study_id: str, job_id: str) -> None:
    """The study is what this job's snapshot says: what else is open is superseded, and the job owed if it was not."""
    connection.execute(update(studies).where(studies.c.id == study_id).values(job_id=job_id))
    connection.execute(
        update(jobs)
        .where(jobs.c.study_id == study_id, jobs.c.state == JobState.OPEN.value, jobs.c.id != job_id)
        .values(state=JobState.SUPERSEDED.value, reason=f"superseded by {job_id}")
    )
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state == JobState.SUPERSEDED.value)
        .values(state=JobState.OPEN.value, reason="")
    )


def begin_round(connection: Connection, job_id: str) -> None:
    """A person wants another try of a job that failed or was refused: owe it again, with fresh attempts."""
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.in_((JobState.FAILED.value, JobState.REFUSED.value)))
        .values(
            state=JobState.OPEN.value,
            reason="",
            outcome=None,
            finished_at=None,
            attempt=jobs.c.attempt + 1,
            first_attempt=jobs.c.attempt + 1,
            rings=0,
            rung_at=None,
            begun_at=None,
        )
    )


def record_ring(connection: Connection, job: Job, attempt: int, now: datetime, reason: str = "") -> None:
    """The doorbell of an attempt was rung. A higher attempt ends the present one, for the reason given."""
    same = attempt == job.attempt
    changed = connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id, jobs.c.state == JobState.OPEN.value, jobs.c.attempt == job.attempt)
        .values(
            attempt=attempt,
            rings=job.rings + 1 if same else 1,
            rung_at=now,
            begun_at=jobs.c.begun_at if same else None,
        )
    )
    if not changed.rowcount:
        return  # a colleague was first
    if not same:
        _end_attempt(connection, job.id, job.attempt, now, reason)
    if not connection.scalar(select(attempts.c.number).filter_by(job_id=job.id, number=attempt)):
        connection.execute(insert(attempts), {"job_id": job.id, "number": attempt, "rung_at": now})


def record_begun(connection: Connection, job: Job, now: datetime) -> bool:
    """A worker was seen at the present attempt. False where that was known."""
    changed = connection.execute(
        update(jobs)
        .where(
            jobs.c.id == job.id,
            jobs.c.state == JobState.OPEN.value,
            jobs.c.attempt == job.attempt,
            jobs.c.begun_at.is_(None),
        )
        .values(begun_at=now)
    )
    connection.execute(
        update(attempts).filter_by(job_id=job.id, number=job.attempt, begun_at=None).values(begun_at=now)
    )
    return bool(changed.rowcount)


def record_end(connection: Connection, job_id: str, outcome: JobOutcome, now: datetime) -> bool:
    """Write down the outcome of a job. False where it has ended already: a doubled outcome changes nothing.

    The outcome of any attempt counts, and a published one counts even where the job was given up.
    """
    before = [JobState.OPEN.value]
    if outcome.status is not OutcomeStatus.FAILED:
        before.append(JobState.FAILED.value)
    changed = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.in_(before))
        .values(state=_ENDS[outcome.status].value, reason=outcome.reason, outcome=to_json(outcome), finished_at=now)
    )
    if changed.rowcount:
        _end_attempt(connection, job_id, outcome.attempt, now, outcome.reason or outcome.status.value)
    return bool(changed.rowcount)


def last_completed(connection: Connection, study_id: str) -> str | None:
    """The newest completed job of a study: the predecessor of a new snapshot."""
    return connection.scalar(
        select(jobs.c.id)
        .where(jobs.c.study_id == study_id, jobs.c.state == JobState.COMPLETED.value)
        .order_by(jobs.c.finished_at.desc(), jobs.c.id)
        .limit(1)
    )


def _end_attempt(connection: Connection, job_id: str, number: int, now: datetime, reason: str) -> None:
    connection.execute(update(attempts).filter_by(job_id=job_id, number=number).values(ended_at=now, reason=reason))
