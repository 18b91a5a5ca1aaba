"""Looks at every open job: writes its request, rings, watches the lease, takes the outcome. One round is `dispatch`.

Called by the coordinator. Safe to kill between any two lines, and to run twice at once: requests are written once,
rings and outcomes may be doubled without harm (design, invariants 2 to 4).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from dicom_node.catalog import jobs, studies
from dicom_node.catalog.database import Database
from dicom_node.catalog.jobs import Job, JobState
from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import Doorbell, JobOutcome, MessageError, OutcomeStatus
from dicom_node.errors import CatalogError
from dicom_node.jobs.leases import AttemptFacts, GiveUp, Ring, decide
from dicom_node.jobs.outcomes import fault_of, record_outcome
from dicom_node.settings import DestinationSettings, JobSettings
from dicom_node.study.states import StudyEvent

log = logging.getLogger(__name__)

PAUSE_AFTER_FAULT = timedelta(seconds=60)
"""A job that could not be looked at is tried again after so long."""


@dataclass(slots=True)
class Dispatcher:
    """Brings open jobs to their end."""

    database: Database
    storage_root: Path
    ring: Callable[[Doorbell], bool]
    settings: JobSettings
    destinations: Sequence[DestinationSettings]
    _distrusted: set[str] = field(default_factory=set)
    """Failed jobs whose outcome was looked at and cannot be trusted: not looked at again."""
    _paused: dict[str, datetime] = field(default_factory=dict)
    """Job -> when to look at it again after a fault."""

    def dispatch(self, now: datetime) -> None:
        """One round over all open jobs. A fault with one is logged, shown as its study's reason, and stops no other.

        Raises `CatalogError`. After the first ring that no broker took, this round rings no more.
        """
        with self.database.read() as connection:
            owed = [*jobs.open_jobs(connection), *jobs.failed_jobs(connection)]
        broker_answers = True
        ids = {job.id for job in owed}
        self._paused = {key: until for key, until in self._paused.items() if key in ids}
        for job in owed:
            if job.state is JobState.FAILED and job.id in self._distrusted:
                continue
            if job.id in self._paused and now < self._paused[job.id]:
                continue
            try:
                broker_answers = self._attend(job, now, may_ring=broker_answers)
            except CatalogError:
                raise
            except Exception as fault:  # one job's fault; the others are owed too
                self._pause(job, fault, now)

    def _pause(self, job: Job, fault: Exception, now: datetime) -> None:
        log.exception("A job could not be looked at; the others go on.", extra={"job": job.id})
        self._paused[job.id] = now + PAUSE_AFTER_FAULT
        if job.state is JobState.OPEN:
            reason = f"its job could not be looked at ({type(fault).__name__}); see the log"
            with self.database.write() as connection:
                studies.remark(connection, job.study_id, reason)

    def _attend(self, job: Job, now: datetime, *, may_ring: bool) -> bool:
        """As `_look_at`; a job whose words cannot be read is given up."""
        try:
            return self._look_at(job, now, may_ring=may_ring)
        except MessageError as error:
            self._distrusted.add(job.id)
            self._give_up(job, str(error), now)
            return may_ring

    def _look_at(self, job: Job, now: datetime, *, may_ring: bool) -> bool:
        """Gives whether the broker may be asked again."""
        folder = JobFolder(self.storage_root, job.id)
        if self._take_outcome(folder, job, now) or job.state is not JobState.OPEN:
            return may_ring
        if not folder.request_path.exists():
            with self.database.read() as connection:
                request = jobs.request_of(connection, job.id)
            folder.write_request(request)
        facts = _facts(job, folder, now)
        if facts.seconds_since_beat is not None and job.begun_at is None:
            self._record_begun(job, now)
        decision = decide(facts, now, self.settings)
        if isinstance(decision, GiveUp):
            self._give_up(job, decision.reason, now)
        elif isinstance(decision, Ring) and may_ring:
            return self._ring(job, decision, now)
        return may_ring

    def _take_outcome(self, folder: JobFolder, job: Job, now: datetime) -> bool:
        outcome = folder.read_outcome()
        if outcome is None:
            return False
        if outcome.status is OutcomeStatus.REFUSED and outcome.attempt < job.first_attempt:
            folder.set_aside(outcome)  # a person wants another round in spite of this refusal
            return False
        if fault := fault_of(folder, outcome):
            self._distrusted.add(job.id)
            self._give_up(job, fault, now)
        else:
            record_outcome(self.database, job, outcome, self.destinations, now)
        return True

    def _ring(self, job: Job, decision: Ring, now: datetime) -> bool:
        if not self.ring(Doorbell(job_id=job.id, attempt=decision.attempt)):
            return False
        with self.database.write() as connection:
            jobs.record_ring(connection, job, decision.attempt, now, decision.reason)
        log.info("Rang for a worker.", extra={"job": job.id, "attempt": decision.attempt, "reason": decision.reason})
        return True

    def _record_begun(self, job: Job, now: datetime) -> None:
        with self.database.write() as connection:
            if jobs.record_begun(connection, job, now):
                studies.apply(connection, job.study_id, StudyEvent.JOB_BEGUN, now)

    def _give_up(self, job: Job, reason: str, now: datetime) -> None:
        failed = JobOutcome(job_id=job.id, attempt=job.attempt, status=OutcomeStatus.FAILED, reason=reason)
        record_outcome(self.database, job, failed, self.destinations, now)


def _facts(job: Job, folder: JobFolder, now: datetime) -> AttemptFacts:
    failure = folder.read_failure(job.attempt)
    return AttemptFacts(
        attempt=job.attempt,
        first_attempt=job.first_attempt,
        rung_at=job.rung_at,
        rings=job.rings,
        seconds_since_beat=folder.seconds_since_beat(job.attempt, now.timestamp()),
        failure=failure.reason if failure is not None else None,
        retryable=failure.retryable if failure is not None else False,
    )
