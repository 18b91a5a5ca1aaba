"""The coordinating half of a node in one process: intake, coordinator, a worker and a PACS that do as told, one clock.

    node = NodeRoom(database, tmp_path)
    node.send(received_series(SequenceSlot.FLAIR)); node.settle(); node.work(); node.step()

The catalog, the job folders and every decision are the real ones; only the network, the model and time are not there.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from support.received import NOON, classify

from dicom_node.catalog import queries, retention
from dicom_node.catalog.database import Database
from dicom_node.catalog.intake import CatalogIntake
from dicom_node.catalog.ledger import CatalogLedger
from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import Doorbell, JobOutcome, OutcomeStatus, Product, ProductFile
from dicom_node.jobs.dispatch import Dispatcher
from dicom_node.records import Receipt, ReceivedInstance
from dicom_node.settings import DestinationSettings, JobSettings, RetrySettings, StudySettings
from dicom_node.study.lifecycle import Classifier, Lifecycle

PACS = DestinationSettings(name="pacs")


@dataclass
class NodeRoom:
    """Everything between the intake and the destinations."""

    database: Database
    root: Path
    classify: Classifier = classify
    study: StudySettings = field(default_factory=StudySettings)
    jobs: JobSettings = field(default_factory=JobSettings)
    destinations: tuple[DestinationSettings, ...] = (PACS,)
    keep_days: float | None = 30.0
    now: datetime = NOON

    def __post_init__(self) -> None:
        self.broker: list[Doorbell] | None = []
        """Doorbells that no worker took yet; None: the broker is down."""
        self.pacs: dict[str, str] = {}
        """Outcome file -> SHA-256 of what arrived."""
        self.arrivals: list[str] = []
        self.refuses = ""
        self.restart()

    def restart(self) -> None:
        """What a killed process leaves: the catalog, the folders, and nothing in memory."""
        self.intake = CatalogIntake(self.database, clock=lambda: self.now)
        products = (Product.SEG, Product.SR)
        self.lifecycle = Lifecycle(
            database=self.database, classify=self.classify, settings=self.study, products=products
        )
        self.dispatcher = Dispatcher(
            database=self.database,
            storage_root=self.root,
            ring=self.ring,
            settings=self.jobs,
            destinations=self.destinations,
        )
        self.ledger = CatalogLedger(
            self.database, storage_root=self.root, retry=RetrySettings(), clock=lambda: self.now
        )

    def send(self, objects: Iterable[ReceivedInstance]) -> list[Receipt]:
        return [self.intake.receive(one) for one in objects]

    def step(self, seconds: float = 0.0) -> None:
        """One round of the coordinator, after the clock went on."""
        self.now += timedelta(seconds=seconds)
        self.lifecycle.complete_settled(self.now)
        self.dispatcher.dispatch(self.now)
        self.deliver()
        retention.remove_expired(self.database, self.root, self.now, self.keep_days)

    def settle(self) -> None:
        """Step once the settle time is over."""
        self.step(self.study.settle_s + 0.1)

    def ring(self, doorbell: Doorbell) -> bool:
        if self.broker is None:
            return False
        self.broker.append(doorbell)
        return True

    def work(
        self, status: OutcomeStatus = OutcomeStatus.COMPLETED, reason: str = "", *, retryable: bool = False
    ) -> int:
        """A worker takes all doorbells and ends each job so. Gives how many outcomes it published."""
        assert self.broker is not None
        rung, self.broker = self.broker, []
        return sum(self.run(doorbell, status, reason, retryable=retryable) for doorbell in rung)

    def run(
        self,
        doorbell: Doorbell,
        status: OutcomeStatus = OutcomeStatus.COMPLETED,
        reason: str = "",
        *,
        retryable: bool = False,
    ) -> bool:
        folder = JobFolder(self.root, doorbell.job_id)
        if folder.read_outcome() is not None:
            return False
        request = folder.read_request()
        bench = folder.begin(doorbell.attempt)
        products = []
        for product in request.products if status is OutcomeStatus.COMPLETED else ():
            content = f"{product} of {request.snapshot_digest}".encode()
            (bench / f"{product}.dcm").write_bytes(content)
            products.append(_product(product, request.job_id, content))
        outcome = JobOutcome(
            job_id=request.job_id,
            attempt=doorbell.attempt,
            status=status,
            reason=reason,
            retryable=retryable,
            products=tuple(products),
        )
        if status is OutcomeStatus.FAILED:
            folder.fail(outcome)
            return False
        return folder.publish(outcome)

    def deliver(self) -> None:
        """A courier whose network always works."""
        for delivery in self.ledger.due(self.now):
            if self.refuses:
                self.ledger.record_refused(delivery.delivery_id, reason=self.refuses)
                continue
            for file in delivery.files:
                self.pacs[str(file.relative_to(self.root))] = hashlib.sha256(file.read_bytes()).hexdigest()
                self.arrivals.append(file.name)
            self.ledger.record_sent(delivery.delivery_id, at=self.now)

    def show(self, study: str = "1") -> queries.StudyDetail:
        """What `quartet show` knows of a study of support.received."""
        with self.database.read() as connection:
            return queries.show_study(connection, queries.find_study(connection, f"1.2.{study}"))

    def list(self) -> "list[queries.StudyLine]":
        with self.database.read() as connection:
            return queries.list_studies(connection)


def _product(product: Product, job_id: str, content: bytes) -> ProductFile:
    return ProductFile(
        product=product,
        file_name=f"{product}.dcm",
        sha256=hashlib.sha256(content).hexdigest(),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
        sop_instance_uid=f"2.25.{int(hashlib.sha256(f'{job_id}/{product}'.encode()).hexdigest()[:24], 16)}",
        series_instance_uid="2.25.1",
    )
