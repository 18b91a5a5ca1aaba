"""Storage commitment: a PACS's word that it keeps what we sent (PS3.4 Annex J).

deliver.py asks by `request_commitment`. The answer (N-EVENT-REPORT) comes on the same association or on one that the
PACS opens to our receiver; both hand the report's data set to `read_report`.
"""

import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Thread, current_thread
from typing import Any

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.presentation import build_context

from dicom_node.delivery.connection import NoAssociation, connect, refused_contexts
from dicom_node.delivery.destinations import STORAGE_COMMITMENT
from dicom_node.delivery.outgoing import OutgoingFile
from dicom_node.delivery.report import Verdict
from dicom_node.errors import DeliveryError
from dicom_node.settings import DestinationSettings

_WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
LINGER_S = 1.0
"""How long the association stays open for an answer on it. Most PACS answer on a new one, later."""
_REQUEST_STORAGE_COMMITMENT = 1
"""Action Type ID (PS3.4 J.3.2.1)."""
_DUPLICATE_INVOCATION = 0x0210
_NAMESPACE = uuid.UUID("5d1b1f1e-52a3-5b63-9d5c-0b9a2b1f3c55")


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitmentReport:
    """An N-EVENT-REPORT of storage commitment (PS3.4 J.3.3)."""

    transaction_uid: str
    committed: tuple[str, ...]
    """SOP Instance UIDs that the PACS keeps."""
    failed: tuple[tuple[str, int], ...]
    """SOP Instance UID and Failure Reason (0008,1197) of those that it does not."""

    @property
    def is_whole(self) -> bool:
        """The PACS keeps something, and says of nothing that it does not."""
        return bool(self.committed) and not self.failed

    @property
    def reason(self) -> str:
        """Why not everything is committed, in plain words; empty where it is."""
        if not self.committed and not self.failed:
            return "the destination's report of commitment names no object"
        causes = sorted({_FAILURES.get(code, f"failure {code:04X}") for _, code in self.failed})
        return f"the destination does not commit to {len(self.failed)} object(s): {', '.join(causes)}" if causes else ""


_FAILURES = {
    0x0110: "it failed while it checked",
    0x0112: "it does not have the object",
    0x0213: "it lacks resources",
    0x0122: "it does not support the class",
    0x0119: "the class it has is another",
    0x0131: "it knows the transaction already",
}


def transaction_uid(delivery_id: str, number: int) -> str:
    """The transaction UID of request `number` (from 1) for a delivery: a new one each time, the same in every run."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{delivery_id}/{number}').int}"


def request_commitment(
    destination: DestinationSettings,
    files: Sequence[OutgoingFile],
    transaction: str,
    *,
    own_ae_title: str,
    on_report: Callable[[CommitmentReport], None],
    linger_s: float = LINGER_S,
) -> tuple[Verdict, str]:
    """Ask a PACS to commit to files that it stored. SENT means: asked, the answer may come any time.

    A report that comes on this association within `linger_s` goes to `on_report`. Never raises for what a peer does.
    """
    reporters: Queue[Thread] = Queue()  # of pynetdicom: each serves one report and ends

    def on_event(event: Any) -> tuple[int, None]:
        reporters.put(current_thread())
        return answer_report(event, on_report), None

    context = build_context(STORAGE_COMMITMENT)
    handlers = [(evt.EVT_N_EVENT_REPORT, on_event)]
    try:
        with connect(destination, [context], own_ae_title=own_ae_title, handlers=handlers) as link:
            if link.association.rejected_contexts:
                return Verdict.REFUSED, refused_contexts(link.association.rejected_contexts)
            answer, _ = link.association.send_n_action(
                _action_information(files, transaction),
                _REQUEST_STORAGE_COMMITMENT,
                STORAGE_COMMITMENT,
                _WELL_KNOWN_INSTANCE,
            )
            verdict = _judge(answer)
            if verdict[0] is Verdict.SENT:
                with suppress(Empty):  # no report in that time; else our answer goes out before the release
                    reporters.get(timeout=linger_s).join(destination.timeout_s)
            return verdict
    except NoAssociation as error:
        return error.verdict, error.reason
    except RuntimeError:
        return Verdict.RETRY, "the destination ended the association before it was asked to commit"


def answer_report(event: Any, on_report: Callable[[CommitmentReport], None]) -> int:
    """The DIMSE status for an N-EVENT-REPORT event of pynetdicom, after its report went to `on_report`."""
    try:
        report = read_report(event.event_information)
    except DeliveryError:
        return 0x0115
    on_report(report)
    return 0x0000


def read_report(information: Dataset) -> CommitmentReport:
    """Read the Event Information of a report. Raises `DeliveryError` where it names no transaction."""
    transaction = str(information.get("TransactionUID", ""))
    if not UID(transaction).is_valid:
        raise DeliveryError("a storage commitment report names no valid transaction")
    return CommitmentReport(
        transaction_uid=transaction,
        committed=tuple(_uid(item) for item in information.get("ReferencedSOPSequence") or ()),
        failed=tuple(
            (_uid(item), int(item.get("FailureReason") or 0x0110))
            for item in information.get("FailedSOPSequence") or ()
        ),
    )


def _uid(item: Dataset) -> str:
    return str(item.get("ReferencedSOPInstanceUID", ""))


def _action_information(files: Sequence[OutgoingFile], transaction: str) -> Dataset:
    information = Dataset()
    information.TransactionUID = UID(transaction)
    information.ReferencedSOPSequence = []
    for file in files:
        item = Dataset()
        item.ReferencedSOPClassUID = UID(file.sop_class_uid)
        item.ReferencedSOPInstanceUID = UID(file.sop_instance_uid)
        information.ReferencedSOPSequence.append(item)
    return information


def _judge(answer: Dataset) -> tuple[Verdict, str]:
    if "Status" not in answer:
        return Verdict.RETRY, "the destination gave no answer to the request for storage commitment"
    status = int(answer.Status)
    if status in (0x0000, _DUPLICATE_INVOCATION):
        return Verdict.SENT, ""
    if status in (0x0110, 0x0213):
        return Verdict.RETRY, f"the destination cannot take a request for storage commitment now ({status:04X})"
    return Verdict.REFUSED, (
        f"the destination does not take our request for storage commitment ({status:04X}): enable it there, or set "
        "`storage_commitment = false`"
    )
