"""A node room whose courier is the real one: real catalog, real files, real associations; the clock is the room's."""

import hashlib
from dataclasses import dataclass, field

from support.node_room import NodeRoom
from support.received import received_series
from support.results_dicom import write_object

from dicom_node.catalog import queries, studies
from dicom_node.catalog.deliveries import DeliveryState
from dicom_node.catalog.queries import DeliveryLine
from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import Doorbell, JobOutcome, OutcomeStatus, Product, ProductFile
from dicom_node.contract.slots import SequenceSlot
from dicom_node.delivery.deliver import Courier
from dicom_node.delivery.destinations import PRODUCT_CLASSES
from dicom_node.settings import RetrySettings

NUMBERS = {Product.SEG: 1, Product.SR: 2}


@dataclass
class CourierRoom(NodeRoom):
    """Jobs make SEG and SR files; `step` sends them where the destinations say."""

    retry: RetrySettings = field(default_factory=RetrySettings)

    @property
    def courier(self) -> Courier:
        return Courier(
            ledger=self.ledger,
            destinations={destination.name: destination for destination in self.destinations},
            own_ae_title="QUARTET",
            retry=self.retry,
            clock=lambda: self.now,
        )

    def deliver(self) -> None:
        self.courier.deliver_due()

    def make_result(self) -> None:
        """A study came and was worked on; its result is owed and was not sent yet."""
        self.send(received_series(SequenceSlot.BRAVO))
        self.settle()
        self.work()
        self.dispatcher.dispatch(self.now)

    def run(
        self,
        doorbell: Doorbell,
        status: OutcomeStatus = OutcomeStatus.COMPLETED,
        reason: str = "",
        *,
        retryable: bool = False,
    ) -> bool:
        folder = JobFolder(self.root, doorbell.job_id)
        bench = folder.begin(doorbell.attempt)
        products = []
        for product, number in NUMBERS.items():
            path = write_object(bench / f"{product}.dcm", PRODUCT_CLASSES[product], number)
            products.append(
                ProductFile(
                    product=product,
                    file_name=path.name,
                    sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                    sop_class_uid=PRODUCT_CLASSES[product],
                    sop_instance_uid=f"1.2.826.0.1.3680043.10.9999.1.{number}",
                    series_instance_uid=f"1.2.826.0.1.3680043.10.9999.3.{number}",
                )
            )
        outcome = JobOutcome(job_id=doorbell.job_id, attempt=doorbell.attempt, status=status, products=tuple(products))
        return folder.publish(outcome)

    def try_again(self) -> None:
        """As `quartet retry`: a person wants what was refused to be tried again."""
        with self.database.write() as connection:
            studies.retry(connection, queries.find_study(connection, "1.2.1"), self.now)

    @property
    def lines(self) -> tuple[DeliveryLine, ...]:
        """What `quartet show` says of the deliveries."""
        return self.show().jobs[0].deliveries

    @property
    def states(self) -> list[DeliveryState]:
        return [line.state for line in self.lines]
