"""What each DIMSE request does (PS3.7 9.1, 10.1). A handler translates, calls one domain function, and gives a status.

Called by conversation.py. No handler raises, whatever comes: this is the boundary where every error becomes an answer.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from dicom_node.association import commitment_report
from dicom_node.association.incoming import IncomingObject
from dicom_node.association.statuses import Status, status_of
from dicom_node.errors import NodeError
from dicom_node.records import Intake, Receipt, ReceivedInstance

log = logging.getLogger(__name__)

Answer = tuple[Status, str]
"""The status and, for the sender's log, why."""

_UNEXPECTED: Answer = (Status.PROCESSING_FAILURE, "unexpected error, see the log of the receiver")


class CommitmentReport(Protocol):
    """What a PACS says it committed to. Must be harmless when repeated; may raise a `NodeError`: then it asks again."""

    def __call__(
        self,
        transaction_uid: str,
        committed: Sequence[tuple[str, str]],
        failed: Sequence[tuple[str, str, int]],
        /,
    ) -> None:
        """committed: (SOP class, SOP instance); failed: the same with the FailureReason of PS3.3 C.14.1.1."""


class IntakeOfAssociation:
    """The node's one door, as one association uses it: says once for each study that it is open."""

    def __init__(self, intake: Intake, association_id: str) -> None:
        self._intake = intake
        self._association_id = association_id
        self._studies: set[str] = set()

    def receive(self, received: ReceivedInstance) -> Receipt:
        if received.study_instance_uid not in self._studies:
            self._intake.study_open(self._association_id, received.study_instance_uid)
            self._studies.add(received.study_instance_uid)
        return self._intake.receive(received)


def c_echo() -> Answer:
    """PS3.4 A.4."""
    return Status.SUCCESS, ""


def c_store(incoming: IncomingObject, receive: Callable[[ReceivedInstance], Receipt]) -> Answer:
    """PS3.4 B.2.3: 0x0000 only when the object is durable and the catalog knows it."""
    try:
        receipt = receive(incoming.make_durable())
    except NodeError as error:
        log.warning("An object was refused: %s", error, extra={"action": "c-store", "peer": str(incoming.peer)})
        return status_of(error), str(error)
    except Exception:
        log.exception("An object could not be received", extra={"action": "c-store", "peer": str(incoming.peer)})
        return _UNEXPECTED
    log.debug("An object is stored", extra={"action": "c-store", "receipt": receipt.value})
    return Status.SUCCESS, ""


def n_event_report(data: bytes, *, implicit: bool, tell: CommitmentReport | None) -> Answer:
    """Storage commitment, PS3.4 J.3.3."""
    if tell is None:
        return Status.UNRECOGNISED_OPERATION, "storage commitment is not in use here"
    try:
        report = commitment_report.read(data, implicit=implicit)
        tell(report.transaction_uid, report.committed, report.failed)
    except NodeError as error:
        log.warning("A storage commitment report was refused: %s", error, extra={"action": "n-event-report"})
        return Status.PROCESSING_FAILURE, str(error)
    except Exception:
        log.exception("A storage commitment report could not be taken", extra={"action": "n-event-report"})
        return _UNEXPECTED
    return Status.SUCCESS, ""
