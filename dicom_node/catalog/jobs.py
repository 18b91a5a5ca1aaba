"""Jobs as rows: the outbox of the broker. What is open here is owed, whatever the broker knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, insert, select, update

from dicom_node.catalog.tables import jobs
from dicom_node.contract.messages import JobOutcome, JobRequest, OutcomeStatus, from_json, to_json


class JobState(StrEnum):
    """Where a job is."""

    OPEN = "open"
    """Owed: to be rung, waiting for a worker, or running."""
    COMPLETED = "completed"
    REFUSED = "refused"
    """The input is not processable; another attempt gives the same."""
    FAILED = "failed"
    """The attempts are used up."""
    SUPERSEDED = "superseded"
    """A newer snapshot of the study took its place before it ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A row of the outbox."""

    id: str
    study_id: str
    state: JobState
    request: JobRequest
    attempt: int
    first_attempt: int
    rung_at: datetime | None
    rings: int
    reason: str
    created_at: datetime


_COLUMNS = (
    jobs.c.id,
    jobs.c.study_id,
    jobs.c.state,
    jobs.c.request,
    jobs.c.attempt,
    jobs.c.first_attempt,
    jobs.c.rung_at,
    jobs.c.rings,
    jobs.c.reason,
    jobs.c.created_at,
)


def open_jobs(connection: Connection) -> list[Job]:
    """All jobs that are owed, the oldest first."""
    rows = connection.execute(
        select(*_COLUMNS).where(jobs.c.state == JobState.OPEN.value).order_by(jobs.c.created_at, jobs.c.id)
    )
    return [_job(row._asdict()) for row in rows]


def of_study(connection: Connection, study_id: str) -> list[Job]:
    """The jobs of a study, the oldest first."""
    rows = connection.execute(
        select(*_COLUMNS).where(jobs.c.study_id == study_id).order_by(jobs.c.created_at, jobs.c.id)
    )
    return [_job(row._asdict()) for row in rows]


def _job(row: dict[str, object]) -> Job:
    request = from_json(JobRequest, str(row.pop("request")))
    return Job(request=request, state=JobState(str(row.pop("state"))), **row)  # type: ignore[arg-type]


def add(connection: Connection, study_id: str, request: JobRequest, now: datetime) -> None:
    """Owe a job, and supersede the study's open ones."""
    supersede(connection, study_id, request.job_id)
    connection.execute(
        insert(jobs).values(
            id=request.job_id,
            study_id=study_id,
            snapshot_digest=request.snapshot_digest,
            request=to_json(request),
            state=JobState.OPEN.value,
            attempt=1,
            first_attempt=1,
            rings=0,
            reason="",
            created_at=now,
        )
    )


def supersede(connection: Connection, study_id: str, by_job_id: str) -> None:
    """A newer snapshot takes the place of what is still open."""
    connection.execute(
        update(jobs)
        .where(jobs.c.study_id == study_id, jobs.c.state == JobState.OPEN.value, jobs.c.id != by_job_id)
        .values(state=JobState.SUPERSEDED.value, reason=f"superseded by {by_job_id}")
    )


def reopen(connection: Connection, job_id: str) -> None:
    """Owe a superseded job again: the study is what it was."""
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state == JobState.SUPERSEDED.value)
        .values(state=JobState.OPEN.value, reason="")
    )


def record_ring(connection: Connection, job: Job, attempt: int, now: datetime) -> None:
    """The doorbell of an attempt was rung; a higher attempt begins its own count of rings."""
    rings = job.rings + 1 if attempt == job.attempt else 1
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id, jobs.c.state == JobState.OPEN.value, jobs.c.attempt <= attempt)
        .values(attempt=attempt, rings=rings, rung_at=now)
    )


def record_end(connection: Connection, job_id: str, outcome: JobOutcome, now: datetime) -> bool:
    """Write down the outcome of an open job. False where it had ended already: a doubled outcome changes nothing."""
    states = {
        OutcomeStatus.COMPLETED: JobState.COMPLETED,
        OutcomeStatus.REFUSED: JobState.REFUSED,
        OutcomeStatus.FAILED: JobState.FAILED,
    }
    changed = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state == JobState.OPEN.value)
        .values(state=states[outcome.status].value, reason=outcome.reason, outcome=to_json(outcome), finished_at=now)
    )
    return bool(changed.rowcount)


def last_completed(connection: Connection, study_id: str, but: Sequence[str] = ()) -> str | None:
    """The newest completed job of a study: the predecessor of a new snapshot."""
    return connection.scalar(
        select(jobs.c.id)
        .where(jobs.c.study_id == study_id, jobs.c.state == JobState.COMPLETED.value, jobs.c.id.not_in(but))
        .order_by(jobs.c.finished_at.desc())
        .limit(1)
    )


def outcome_of(connection: Connection, job_id: str) -> JobOutcome | None:
    """The outcome of a job that ended, or None."""
    found = connection.scalar(select(jobs.c.outcome).where(jobs.c.id == job_id))
    return from_json(JobOutcome, found) if found else None
