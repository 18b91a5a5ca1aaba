"""A receiver on a free loopback port with an intake that remembers, for tests of association and store."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicom_node.association.server import Receiver
from dicom_node.records import Receipt, ReceivedInstance
from dicom_node.settings import AssociationSettings
from dicom_node.store.instances import InstanceStore


@dataclass
class RememberingIntake:
    """An `Intake` in memory. `fault`, when set, is raised for each object."""

    received: list[ReceivedInstance] = field(default_factory=list)
    events: list[tuple[str, ...]] = field(default_factory=list)
    fault: Exception | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def association_opened(self, association_id: str, peer: str) -> None:
        self._say("opened", association_id, peer)

    def study_open(self, association_id: str, study_instance_uid: str) -> None:
        self._say("study", association_id, study_instance_uid)

    def receive(self, received: ReceivedInstance) -> Receipt:
        if self.fault is not None:
            raise self.fault
        with self.lock:
            known = any(one.file.sha256 == received.file.sha256 for one in self.received)
            self.received.append(received)
        return Receipt.DUPLICATE if known else Receipt.STORED

    def association_closed(self, association_id: str) -> None:
        self._say("closed", association_id)

    def _say(self, *event: str) -> None:
        with self.lock:
            self.events.append(event)


@dataclass
class Running:
    """A running receiver and what it is made of."""

    receiver: Receiver
    intake: RememberingIntake
    store: InstanceStore

    @property
    def port(self) -> int:
        return self.receiver.port

    def stored(self) -> list[Path]:
        return sorted(self.store.root.glob("instances/*/*.dcm"))

    def half_written(self) -> list[Path]:
        return sorted(self.store.root.glob("incoming/*"))


@contextmanager
def running(root: Path, *, reserve_bytes: int = 0, commitment_report: Any = None, **settings: Any) -> Iterator[Running]:
    """A receiver with AE title QUARTET that any peer may call, unless `settings` say otherwise."""
    chosen: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "any_peer": "peers" not in settings} | settings
    store = InstanceStore(root, reserve_bytes)
    store.prepare()
    intake = RememberingIntake()
    receiver = Receiver(AssociationSettings(**chosen), intake, store, commitment_report)
    receiver.start()
    try:
        yield Running(receiver, intake, store)
    finally:
        receiver.stop()
