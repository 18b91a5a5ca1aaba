"""Looks at every open job: writes its request, rings, watches the lease, takes the outcome. One round is `dispatch`.

Called by the coordinator. Safe to kill between any two lines, and to run twice at once: requests are written once,
rings and outcomes may be doubled without harm (design, invariants 2 to 4).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dicom_node.catalog import jobs
from dicom_node.catalog.database import Database
from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import Doorbell, JobOutcome, MessageError, OutcomeStatus
from dicom_node.jobs.leases import AttemptFacts, GiveUp, decide
from dicom_node.jobs.outcomes import record_outcome
from dicom_node.settings import DestinationSettings, JobSettings

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Dispatcher:
    """Brings open jobs to their end."""

    database: Database
    storage_root: Path
    ring: Callable[[Doorbell], bool]
    settings: JobSettings
    destinations: Sequence[DestinationSettings]

    def dispatch(self, now: datetime) -> None:
        """One round over all open jobs. A fault with one job is logged and does not stop the others."""
        with self.database.read() as connection:
            owed = jobs.open_jobs(connection)
        for job in owed:
            try:
                self._look_at(job, now)
            except MessageError as error:
                self._give_up(job, str(error), now)
            except Exception:
                log.exception("A job could not be looked at; the others go on.", extra={"job": job.id})

    def _look_at(self, job: jobs.Job, now: datetime) -> None:
        folder = JobFolder(self.storage_root, job.id)
        folder.write_request(job.request)
        outcome = folder.read_outcome()
        if outcome is not None:
            record_outcome(self.database, job, outcome, self.destinations, now)
            return
        decision = decide(_facts(job, folder), now, self.settings)
        if isinstance(decision, GiveUp):
            self._give_up(job, decision.reason, now)
        elif decision is not None and self.ring(Doorbell(job_id=job.id, attempt=decision.attempt)):
            with self.database.write() as connection:
                jobs.record_ring(connection, job, decision.attempt, now)
            extra = {"job": job.id, "attempt": decision.attempt, "reason": decision.reason}
            log.info("Rang for a worker.", extra=extra)

    def _give_up(self, job: jobs.Job, reason: str, now: datetime) -> None:
        failed = JobOutcome(job_id=job.id, attempt=job.attempt, status=OutcomeStatus.FAILED, reason=reason)
        record_outcome(self.database, job, failed, self.destinations, now)


def _facts(job: jobs.Job, folder: JobFolder) -> AttemptFacts:
    failure = folder.read_failure(job.attempt)
    return AttemptFacts(
        attempt=job.attempt,
        first_attempt=job.first_attempt,
        rung_at=job.rung_at,
        rings=job.rings,
        seconds_since_beat=folder.seconds_since_beat(job.attempt),
        failure=failure.reason if failure is not None else None,
        retryable=failure.retryable if failure is not None else False,
    )
