"""A PACS of our own for tests: a real pynetdicom SCP that keeps the bytes it got and answers as it is told."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.sop_class import Comprehensive3DSRStorage, SegmentationStorage, StorageCommitmentPushModel, Verification


@dataclass
class Pacs:
    """What it got, and what it answers next."""

    port: int = 0
    got: list[tuple[str, bytes]] = field(default_factory=list)
    """(SOP Instance UID, encoded data set) of each object taken, in order."""
    statuses: list[int] = field(default_factory=list)
    """Answers to the next C-STOREs; 0x0000 once they are used up. What is not stored is not in `got`."""
    on_store: Callable[[Any], None] = lambda event: None
    associations: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def uids(self) -> list[str]:
        """SOP Instance UIDs in the order stored."""
        return [uid for uid, _ in self.got]

    def store(self, event: Any) -> int:
        self.on_store(event)
        with self.lock:
            status = self.statuses.pop(0) if self.statuses else 0x0000
            if status == 0 or status >> 12 == 0xB:
                self.got.append((event.request.AffectedSOPInstanceUID, event.request.DataSet.getvalue()))
        return status

    def accepted(self, event: Any) -> None:
        with self.lock:
            self.associations += 1


@contextmanager
def running_pacs(
    *,
    classes: Sequence[str] = (SegmentationStorage, Comprehensive3DSRStorage, Verification, StorageCommitmentPushModel),
    syntaxes: Sequence[str] | None = None,
    ae_title: str = "PACS",
    require_called: bool = False,
    calling: Sequence[str] = (),
    handlers: Sequence[tuple[Any, ...]] = (),
    tls: Any = None,
    port: int = 0,
) -> Iterator[Pacs]:
    """Start one on a free loopback port and stop it at the end."""
    pacs = Pacs()
    entity = AE(ae_title)
    for sop_class in classes:
        entity.add_supported_context(sop_class, *([list(syntaxes)] if syntaxes else []))
    entity.require_called_aet = require_called
    entity.require_calling_aet = list(calling)
    bound = [(evt.EVT_C_STORE, pacs.store), (evt.EVT_ACCEPTED, pacs.accepted), *handlers]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=bound, ssl_context=tls)
    pacs.port = server.server_address[1]
    try:
        yield pacs
    finally:
        server.shutdown()
