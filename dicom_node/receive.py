"""`quartet receive`: the receiver process. Adopts what lies in the store without a row, then listens until SIGTERM.

After SIGTERM no association is accepted; open ones may finish for `association.drain_s`. Nothing acknowledged waits in
memory.
"""

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import PurePosixPath

from dicom_node import wiring
from dicom_node.association.server import Receiver
from dicom_node.catalog.intake import CatalogIntake
from dicom_node.delivery.commitment import CommitmentReport
from dicom_node.records import ReceivedInstance
from dicom_node.settings import Settings
from dicom_node.store import adopt
from dicom_node.store.instances import InstanceStore

log = logging.getLogger(__name__)

ADOPTED_AT_ONCE = 200
"""Objects in one transaction of a start-up adoption."""


def run(settings: Settings) -> None:
    """Receive until SIGTERM or SIGINT. Raises `NodeError` where this cannot be started as configured."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    store = wiring.open_store(settings)
    database = wiring.open_database(settings)
    intake = CatalogIntake(
        database, receiver=wiring.receiver_name(settings), storage_root=settings.storage.root, clock=wiring.now
    )
    courier = wiring.make_courier(settings, database)

    def on_commitment(
        transaction_uid: str, committed: Sequence[tuple[str, str]], failed: Sequence[tuple[str, str, int]]
    ) -> None:
        report = CommitmentReport(
            transaction_uid=transaction_uid,
            committed=tuple(instance for _, instance in committed),
            failed=tuple((instance, reason) for _, instance, reason in failed),
        )
        courier.on_commitment_report(report)

    asks = any(destination.storage_commitment for destination in settings.destinations)
    receiver = Receiver(settings.association, intake, store, on_commitment if asks else None)
    adopt_unrecorded(store, intake, settings)
    receiver.start()
    stop.wait()
    log.info("The receiver drains.", extra={"open": receiver.open_associations})
    receiver.drain(settings.association.drain_s)
    receiver.stop()
    database.close()


def adopt_unrecorded(store: InstanceStore, intake: CatalogIntake, settings: Settings) -> int:
    """Give a row to every stored object that has none: after a crash, or to rebuild a lost catalog. Gives how many."""
    adopt.sweep(store)
    known = {PurePosixPath(path).stem for path in intake.known_paths()}
    limit = settings.association.maximum_object_bytes
    found = adopt.unrecorded(store, known.__contains__, maximum_pixel_bytes=limit)
    adopted = sum(intake.adopt(batch) for batch in _batches(found))
    if adopted:
        log.warning("Adopted stored objects that had no row in the catalog.", extra={"objects": adopted})
    return adopted


def _batches(found: Iterator[ReceivedInstance]) -> Iterator[list[ReceivedInstance]]:
    while batch := list(islice(found, ADOPTED_AT_ONCE)):
        yield batch
