"""Applies what happens to studies: completes those that have settled, and makes snapshot and job in one transaction.

Called by the coordinator. Decisions are pure (completion.py, snapshot.py, states.py); this file reads the catalog, asks
the classifier, and writes down what was decided.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, update

from dicom_node.catalog import deliveries, jobs, studies
from dicom_node.catalog.database import Database
from dicom_node.catalog.jobs import JobState
from dicom_node.catalog.tables import studies as studies_table
from dicom_node.contract.messages import Product
from dicom_node.records import StudyVerdict
from dicom_node.settings import StudySettings
from dicom_node.study.completion import Complete, StudyFacts, decide
from dicom_node.study.snapshot import KnownSeries, make_request, missing_required, snapshot_series
from dicom_node.study.states import StudyEvent
from dicom_node.study.wholeness import is_whole

log = logging.getLogger(__name__)

Classifier = Callable[[Sequence[Mapping[str, object]]], StudyVerdict]


@dataclass(slots=True)
class Lifecycle:
    """Completes studies."""

    database: Database
    classify: Classifier
    settings: StudySettings
    products: tuple[Product, ...]
    """What a job makes: the union over the destinations."""
    _whole: dict[str, tuple[datetime, bool]] = field(default_factory=dict)
    """Study -> (last object, are the expected slots whole): asked often, changed by new objects only."""

    def complete_settled(self, now: datetime) -> int:
        """Look at every study that receives, and complete those that are due. Gives how many were.

        A fault with one study is logged and does not stop the others.
        """
        with self.database.read() as connection:
            waiting = studies.receiving(connection)
        self._whole = {one.id: self._whole[one.id] for one in waiting if one.id in self._whole}
        completed = 0
        for study in waiting:
            try:
                completed += self._look_at(study, now)
            except Exception:
                log.exception("A study could not be looked at; the others go on.", extra={"study": study.id})
        return completed

    def _look_at(self, study: studies.ReceivingStudy, now: datetime) -> bool:
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
            current = next((one for one in studies.receiving(connection) if one.id == study.id), None)
            if current != study:
                return False  # an object came between, or a colleague was first
            self._complete(connection, study, now, decision.reason)
        return True

    def _expected_are_whole(self, study: studies.ReceivingStudy, now: datetime) -> bool:
        if now - study.last_received_at < timedelta(seconds=self.settings.early_settle_s):
            return False
        cached = self._whole.get(study.id)
        if cached is None or cached[0] != study.last_received_at:
            with self.database.read() as connection:
                known = studies.known_series(connection, study.id)
            verdict = self.classify([series.headers for series in known])
            cached = (study.last_received_at, self._whole_slots(known, verdict))
            self._whole[study.id] = cached
        return cached[1]

    def _whole_slots(self, known: Sequence[KnownSeries], verdict: StudyVerdict) -> bool:
        chosen = [verdict.chosen.get(slot) for slot in self.settings.expected_slots]
        return bool(chosen) and all(
            index is not None and is_whole(known[index].positions_mm, known[index].frames) for index in chosen
        )

    def _complete(self, connection: Connection, study: studies.ReceivingStudy, now: datetime, why: str) -> None:
        known = studies.known_series(connection, study.id)
        verdict = self.classify([series.headers for series in known])
        chosen = snapshot_series(known, verdict)
        connection.execute(
            update(studies_table)
            .where(studies_table.c.id == study.id)
            .values(verdict=[asdict(series) | {"instances": len(series.instances)} for series in chosen])
        )
        unusable = missing_required(verdict, self.settings.required_slots)
        if unusable:
            studies.apply(connection, study.id, StudyEvent.NOTHING_USABLE, now, reason=unusable)
            log.info("A study is complete, but not processed.", extra={"study": study.id, "reason": unusable})
            return
        request = make_request(
            study_instance_uid=study.study_instance_uid,
            series=chosen,
            products=self.products,
            created_at=now,
            predecessor_job_id=jobs.last_completed(connection, study.id),
        )
        before = {job.request.snapshot_digest: job for job in jobs.of_study(connection, study.id)}
        if request.snapshot_digest in before:
            self._known_snapshot(connection, before[request.snapshot_digest], now)
            return
        jobs.add(connection, study.id, request, now)
        studies.apply(connection, study.id, StudyEvent.SNAPSHOT_TAKEN, now)
        log.info("A study is complete.", extra={"study": study.id, "job": request.job_id, "reason": why})

    def _known_snapshot(self, connection: Connection, job: jobs.Job, now: datetime) -> None:
        """The same input as before: nothing new is made; the study takes the state that its job is in."""
        jobs.supersede(connection, job.study_id, job.id)
        jobs.reopen(connection, job.id)
        studies.apply(connection, job.study_id, StudyEvent.SNAPSHOT_TAKEN, now)
        if job.state is JobState.COMPLETED:
            studies.apply(connection, job.study_id, StudyEvent.JOB_COMPLETED, now)
            settle_delivered(connection, job.study_id, job.id, now)
        elif job.state is JobState.REFUSED:
            studies.apply(connection, job.study_id, StudyEvent.JOB_REFUSED, now, reason=job.reason)
        elif job.state is JobState.FAILED:
            studies.apply(connection, job.study_id, StudyEvent.JOB_FAILED, now, reason=job.reason)


def settle_delivered(connection: Connection, study_id: str, job_id: str, now: datetime) -> None:
    """Move the study on when everything owed of its newest result has ended. Called after each delivery's word."""
    newest = jobs.last_completed(connection, study_id)
    if newest != job_id:
        return
    states = deliveries.of_job(connection, job_id)
    ended = {deliveries.DeliveryState.REFUSED, deliveries.DeliveryState.GIVEN_UP}
    bad = [one for one in states if one.state in ended]
    if any(one.state in (deliveries.DeliveryState.PENDING, deliveries.DeliveryState.COMMITTING) for one in states):
        return
    if bad:
        names = ", ".join(one.destination for one in bad)
        studies.apply(
            connection, study_id, StudyEvent.DELIVERY_ENDED, now, reason=f"not delivered to {names}; see quartet show"
        )
    else:
        studies.apply(connection, study_id, StudyEvent.DELIVERED, now)
