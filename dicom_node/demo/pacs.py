"""The PACS of the demo: sends the study to the node and receives the results, over real associations on loopback."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at import time

from dicom_node.broker import LOOPBACK, free_port
from dicom_node.delivery.answers import Answers
from dicom_node.errors import NodeError

ASSOCIATIONS = 20
ANSWER_S = 10.0
"""The longest wait for an answer before the object is sent again."""


class DemoPacsError(NodeError):
    """The node did not take what the demo sent."""


class DemoPacs:
    """A small storage SCP and SCU; `with` starts and stops it. `received` holds the files in the order of arrival."""

    def __init__(self, ae_title: str, folder: Path) -> None:
        self.ae_title = ae_title
        self.port = free_port()
        self.received: list[Path] = []
        self._folder = folder
        self._lock = threading.Lock()
        self._ae = AE(ae_title=ae_title)
        for storage in (SegmentationStorage, Comprehensive3DSRStorage, ComprehensiveSRStorage, Verification):
            self._ae.add_supported_context(storage, ExplicitVRLittleEndian)

    def __enter__(self) -> "DemoPacs":
        self._folder.mkdir(parents=True, exist_ok=True)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store)]
        self._ae.start_server((LOOPBACK, self.port), block=False, evt_handlers=handlers)
        return self

    def __exit__(self, *_: object) -> None:
        self._ae.shutdown()

    def _store(self, event: evt.Event) -> int:
        with self._lock:
            target = self._folder / f"{len(self.received):03d}.dcm"
            target.write_bytes(event.encoded_dataset())
            self.received.append(target)
        return 0x0000

    def send(self, files: Sequence[Path], port: int, called: str, progress: Callable[[], None]) -> None:
        """Send MR files in the order given; sends on over a new association where one breaks. Raises `DemoPacsError`.

        On a machine that is very busy an answer may come too late; sending an object again is harmless.
        """
        left = list(files)
        for _ in range(ASSOCIATIONS):
            left = self._send_over_one(left, port, called, progress)
            if not left:
                return
        raise DemoPacsError(f"the node did not answer {len(left)} objects over {ASSOCIATIONS} associations")

    def _send_over_one(self, files: Sequence[Path], port: int, called: str, progress: Callable[[], None]) -> list[Path]:
        """Gives what is left where an answer does not come."""
        ae = AE(ae_title=self.ae_title)
        ae.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
        ae.dimse_timeout = ANSWER_S
        association = ae.associate(LOOPBACK, port, ae_title=called)
        if not association.is_established:
            raise DemoPacsError("the node refused the association of the demo")
        association.dimse = Answers(association)
        try:
            for number, file in enumerate(files):
                status = getattr(association.send_c_store(dcmread(file)), "Status", None)
                if status is None:
                    return list(files[number:])
                if status != 0x0000:
                    raise DemoPacsError(f"the node answered an object with status {status:04X}")
                progress()
        finally:
            if association.is_established:
                association.release()
        return []


def wait_for_echo(port: int, calling: str, called: str, seconds: float, check: Callable[[], None]) -> None:
    """Return as soon as the node answers a C-ECHO. Raises `DemoPacsError` after `seconds`, and what `check` raises."""
    deadline = time.monotonic() + seconds
    ae = AE(ae_title=calling)
    ae.add_requested_context(Verification)
    ae.connection_timeout = 2
    while time.monotonic() < deadline:
        check()
        association = ae.associate(LOOPBACK, port, ae_title=called)
        if association.is_established:
            status = association.send_c_echo()
            association.release()
            if getattr(status, "Status", None) == 0x0000:
                return
        time.sleep(0.3)
    raise DemoPacsError(f"the node did not answer a C-ECHO within {seconds:.0f} s; see node.log in the output folder")
