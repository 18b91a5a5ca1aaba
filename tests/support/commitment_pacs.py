"""A PACS that commits to what it stored: on the same association, later on one of its own, or not at all."""

import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, build_role, evt

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
_INSTANCE = "1.2.840.10008.1.20.1.1"


class Answer(StrEnum):
    """How it answers a request."""

    AT_ONCE = "on the same association"
    LATER = "by `report`, on an association of its own"
    NEVER = "never"
    LOST_OBJECT = "at once, that it does not have the objects"
    REFUSE = "the N-ACTION with a failure"


@dataclass
class Archive:
    """Bind `handlers` to a running PACS."""

    answer: Answer = Answer.AT_ONCE
    asked: list[Dataset] = field(default_factory=list)
    """Action Information of each request."""
    statuses: list[int] = field(default_factory=list)
    """What was answered to its reports."""
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def handlers(self) -> list[tuple[Any, ...]]:
        return [(evt.EVT_N_ACTION, self._on_action)]

    @property
    def transactions(self) -> list[str]:
        return [str(request.TransactionUID) for request in self.asked]

    def _on_action(self, event: Any) -> tuple[int, None]:
        self.asked.append(event.action_information)
        if self.answer is Answer.REFUSE:
            return 0x0122, None
        if self.answer in (Answer.AT_ONCE, Answer.LOST_OBJECT):
            thread = threading.Thread(target=self._report_here, args=(event.assoc, self.asked[-1]))
            thread.start()
            self._threads.append(thread)
        return 0x0000, None

    def _report_here(self, association: Any, request: Dataset) -> None:
        lost = self.answer is Answer.LOST_OBJECT
        self._send(association, request, lost=lost)

    def report(self, port: int, ae_title: str, *, request: int = -1, lost: bool = False) -> None:
        """Open an association to a node's receiver and report, as the SCP of the service."""
        entity = AE("PACS")
        entity.add_requested_context(STORAGE_COMMITMENT)
        role = build_role(STORAGE_COMMITMENT, scp_role=True)
        association = entity.associate("127.0.0.1", port, ae_title=ae_title, ext_neg=[role])
        assert association.is_established
        self._send(association, self.asked[request], lost=lost)
        association.release()

    def _send(self, association: Any, request: Dataset, *, lost: bool) -> None:
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        if lost:
            for item in request.ReferencedSOPSequence:
                item.FailureReason = 0x0112
            report.FailedSOPSequence = request.ReferencedSOPSequence
        else:
            report.ReferencedSOPSequence = request.ReferencedSOPSequence
        status, _ = association.send_n_event_report(report, 2 if lost else 1, STORAGE_COMMITMENT, _INSTANCE)
        self.statuses.append(int(status.Status) if "Status" in status else -1)

    def join(self) -> None:
        """Wait until it has said all."""
        for thread in self._threads:
            thread.join(20)
