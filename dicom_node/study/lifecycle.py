"""Applies what happens to studies: completes those that have settled, and makes snapshot and job in one transaction.

Called by the coordinator. Decisions are pure (completion.py, snapshot.py, states.py); this file reads the catalog, asks
the classifier, and writes down what was decided. Two coordinators at once are harmless: each decision is made again
inside the transaction that writes it down, and falls away where the study is no longer what it was.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from dicom_node.catalog import deliveries, jobs, studies
from dicom_node.catalog.database import Database
from dicom_node.catalog.jobs import Job, JobState
from dicom_node.catalog.studies import ReceivingStudy
from dicom_node.catalog.tables import studies as studies_table
from dicom_node.contract.messages import Product
from dicom_node.errors import CatalogError
from dicom_node.records import StudyVerdict
from dicom_node.settings import StudySettings
from dicom_node.study.completion import Complete, StudyFacts, decide
from dicom_node.study.snapshot import KnownSeries, make_request, missing_required, snapshot_series
from dicom_node.study.states import StudyEvent, StudyState
from dicom_node.study.wholeness import is_whole

log = logging.getLogger(__name__)

Classifier = Callable[[Sequence[Mapping[str, object]]], StudyVerdict]

CLOCK_TOLERANCE = timedelta(seconds=5)
"""A study whose last object lies this far in the future was stamped before the clock went back."""
PAUSE_AFTER_FAULT = timedelta(seconds=60)
"""A study that could not be looked at is tried again after so long."""


@dataclass(slots=True)
class Lifecycle:
    """Completes studies."""

    database: Database
    classify: Classifier
    settings: StudySettings
    products: tuple[Product, ...]
    """What a job makes: the union over the destinations."""
    _whole: dict[str, tuple[int, bool]] = field(default_factory=dict)
    """Study -> (objects, are the expected slots whole): asked often, changed by new objects only."""
    _paused: dict[str, datetime] = field(default_factory=dict)
    """Study -> when to look at it again after a fault."""

    def complete_settled(self, now: datetime) -> int:
        """Look at every study that receives, and complete those that are due. Gives how many were.

        A fault with one study is logged, shown as its reason, and does not stop the others. Raises `CatalogError`.
        """
        with self.database.read() as connection:
            waiting = studies.receiving(connection)
            delivering = _delivering(connection)
        ids = {one.id for one in waiting}
        self._whole = {key: known for key, known in self._whole.items() if key in ids}
        self._paused = {key: until for key, until in self._paused.items() if key in ids}
        completed = 0
        for study in waiting:
            if study.id in self._paused and now < self._paused[study.id]:
                continue
            try:
                completed += self._look_at(study, now)
            except CatalogError:
                raise
            except Exception as fault:
                self._pause(study.id, fault, now)
        for study_id, job_id in delivering:
            with self.database.write() as connection:
                settle_delivered(connection, study_id, job_id, now)
        return completed

    def _pause(self, study_id: str, fault: Exception, now: datetime) -> None:
        log.exception("A study could not be looked at; the others go on.", extra={"study": study_id})
        self._paused[study_id] = now + PAUSE_AFTER_FAULT
        with self.database.write() as connection:
            studies.remark(connection, study_id, f"could not be looked at ({type(fault).__name__}); see the log")

    def _look_at(self, study: ReceivingStudy, now: datetime) -> bool:
        if study.last_received_at > now + CLOCK_TOLERANCE:
            with self.database.write() as connection:
                studies.set_clock_back(connection, study.id, now)
            return False
        facts = StudyFacts(
            first_received_at=study.first_received_at,
            last_received_at=study.last_received_at,
            open_associations=study.open_associations,
            expected_are_whole=self._expected_are_whole(study, now),
        )
        decision = decide(facts, now, self.settings)
        if not isinstance(decision, Complete):
            return False
        with self.database.write() as connection:
            if studies.receiving(connection, study.id) != [study]:
                return False  # an object or an association came between, or a colleague was first
            self._complete(connection, study, now, decision.reason)
        return True

    def _expected_are_whole(self, study: ReceivingStudy, now: datetime) -> bool:
        if now - study.last_received_at < timedelta(seconds=self.settings.early_settle_s):
            return False
        cached = self._whole.get(study.id)
        if cached is None or cached[0] != study.objects:
            with self.database.read() as connection:
                known = studies.known_series(connection, study.id)
            verdict = self.classify([series.headers for series in known])
            cached = (study.objects, self._whole_slots(known, verdict))
            self._whole[study.id] = cached
        return cached[1]

    def _whole_slots(self, known: Sequence[KnownSeries], verdict: StudyVerdict) -> bool:
        chosen = [verdict.chosen.get(slot) for slot in self.settings.expected_slots]
        return bool(chosen) and all(
            index is not None and is_whole(known[index].positions_mm, known[index].frames) for index in chosen
        )

    def _complete(self, connection: Connection, study: ReceivingStudy, now: datetime, why: str) -> None:
        known = studies.known_series(connection, study.id)
        verdict = self.classify([series.headers for series in known])
        sorted_series = snapshot_series(known, verdict)
        counts = {series.series_instance_uid: len(series.instances) for series in known}
        shown = [asdict(one) | {"instances": counts[one.series_instance_uid]} for one in sorted_series]
        connection.execute(update(studies_table).where(studies_table.c.id == study.id).values(verdict=shown))
        unusable = missing_required(verdict, self.settings.required_slots)
        if unusable:
            studies.apply(connection, study.id, StudyEvent.NOTHING_USABLE, now, reason=unusable)
            log.info("A study is complete, but not processed.", extra={"study": study.id, "reason": unusable})
            return
        request = make_request(
            study_instance_uid=study.study_instance_uid,
            series=sorted_series,
            products=self.products,
            created_at=now,
            predecessor_job_id=jobs.last_completed(connection, study.id),
        )
        same = [job for job in jobs.of_study(connection, study.id) if job.id == request.job_id]
        studies.apply(connection, study.id, StudyEvent.SNAPSHOT_TAKEN, now)
        if same:
            _take_up(connection, same[0], now)
        else:
            jobs.add(connection, study.id, request, now)
        log.info("A study is complete.", extra={"study": study.id, "job": request.job_id, "reason": why})


def _take_up(connection: Connection, job: Job, now: datetime) -> None:
    """The same input as before: nothing new is made, and the study takes the state that its job is in."""
    jobs.make_newest(connection, job.study_id, job.id)
    if job.state is JobState.COMPLETED:
        studies.apply(connection, job.study_id, StudyEvent.JOB_COMPLETED, now)
        deliveries.revive(connection, job.id, now)
        settle_delivered(connection, job.study_id, job.id, now)
    elif job.state is JobState.REFUSED:
        studies.apply(connection, job.study_id, StudyEvent.JOB_REFUSED, now, reason=job.reason)
    elif job.state is JobState.FAILED:
        studies.apply(connection, job.study_id, StudyEvent.JOB_FAILED, now, reason=job.reason)
    elif job.begun_at is not None:
        studies.apply(connection, job.study_id, StudyEvent.JOB_BEGUN, now)


def _delivering(connection: Connection) -> list[tuple[str, str]]:
    """Studies that deliver with their newest job: a crash may have come before their last step."""
    rows = connection.execute(
        select(studies_table.c.id, studies_table.c.job_id).where(studies_table.c.state == StudyState.DELIVERING.value)
    ).all()
    return [(row.id, row.job_id) for row in rows if not deliveries.unended(connection, row.job_id)]


def settle_delivered(connection: Connection, study_id: str, job_id: str, now: datetime) -> None:
    """Move the study on when everything owed of its newest result has ended. Called after each delivery's word."""
    study = connection.execute(
        select(studies_table.c.state, studies_table.c.job_id).where(studies_table.c.id == study_id)
    ).one_or_none()
    if study is None or study.state != StudyState.DELIVERING.value or study.job_id != job_id:
        return
    if deliveries.unended(connection, job_id):
        return
    if names := deliveries.untaken(connection, job_id):
        reason = f"not delivered to {', '.join(names)}; see quartet show"
        studies.apply(connection, study_id, StudyEvent.DELIVERY_ENDED, now, reason=reason)
    else:
        studies.apply(connection, study_id, StudyEvent.DELIVERED, now)
