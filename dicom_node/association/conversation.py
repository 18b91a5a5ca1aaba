"""One association from its acceptance to its end, in a thread of its own (PS3.8 9.2 states 6 to 13).

Started by the server. Reads a message, has it handled, answers, and only then reads the next: what is not acknowledged
is not done. Whatever happens, the end leaves no half-written object and tells the intake.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from pydicom.uid import ImplicitVRLittleEndian

from dicom_node.association import command_set, handlers, pdu
from dicom_node.association.command_set import CommandField
from dicom_node.association.errors import PeerGone, PeerStalled, ProtocolViolation
from dicom_node.association.handlers import Answer, CommitmentReport, IntakeOfAssociation
from dicom_node.association.incoming import IncomingObject, Peer
from dicom_node.association.messages import Head, MessageReader
from dicom_node.association.negotiation import AcceptedContext
from dicom_node.association.pdu import AbortReason
from dicom_node.association.statuses import Status
from dicom_node.association.wire import Limits, Wire
from dicom_node.errors import NodeError
from dicom_node.records import Intake
from dicom_node.store.instances import InstanceStore

log = logging.getLogger(__name__)

_SMALL_DATA_SET_BYTES = 16 * 1024 * 1024
"""Enough for a storage commitment report of 100,000 instances."""
_PATIENCE = 2
"""An object of more than so many times the limit is not read to its end: the association is aborted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class House:
    """What every conversation of a receiver shares."""

    store: InstanceStore
    intake: Intake
    commitment_report: CommitmentReport | None
    limits: Limits
    maximum_object_bytes: int


class Conversation(threading.Thread):
    """An accepted association. `started_at` and `objects` are for people."""

    def __init__(
        self,
        wire: Wire,
        answer: bytes,
        contexts: Mapping[int, AcceptedContext],
        *,
        peer: Peer,
        peer_maximum_length: int,
        house: House,
        on_end: Callable[["Conversation"], None],
    ) -> None:
        """answer: the A-ASSOCIATE-AC to send first. on_end: called once, before the farewell to the peer."""
        self.association_id = uuid4().hex
        super().__init__(name=f"association-{self.association_id[:8]}", daemon=True)
        self.peer = peer
        self.wire = wire
        self.objects = 0
        self._answer = answer
        self._peer_maximum_length = peer_maximum_length
        self._house = house
        self._on_end = on_end
        self._intake = IntakeOfAssociation(house.intake, self.association_id)
        self._messages = MessageReader(wire, contexts, house.limits, _PATIENCE * house.maximum_object_bytes)
        self._ended_by_us = False

    def end(self) -> None:
        """End it from another thread; an object that is not acknowledged is the sender's to send again."""
        self._ended_by_us = True
        self.wire.cut()

    def run(self) -> None:
        """The thread: never raises."""
        began = time.monotonic()
        self._tell_intake(self._house.intake.association_opened, self.association_id, str(self.peer))
        farewell, how = self.wire.hang_up, "failed"
        try:
            self.wire.send(self._answer)
            while (head := self._messages.head()) is not None:
                self._serve(head)
            self.wire.send(pdu.RELEASE_RP)
            how = "released"
        except PeerGone as error:
            how = "ended by us" if self._ended_by_us else str(error)
        except PeerStalled as error:
            how, farewell = str(error), lambda: self.wire.abort(AbortReason.NOT_SPECIFIED)
        except ProtocolViolation as error:
            how, reason = str(error), error.reason
            farewell = lambda: self.wire.abort(reason)  # noqa: E731
        except Exception:
            log.exception("An association failed", extra={"action": "association"})
            farewell = lambda: self.wire.abort(AbortReason.NOT_SPECIFIED)  # noqa: E731
        finally:
            self._tell_intake(self._house.intake.association_closed, self.association_id)
            self._on_end(self)
            self._log_end(how, time.monotonic() - began)
            with contextlib.suppress(OSError):
                farewell()

    def _serve(self, head: Head) -> None:
        field = head.command.field
        if field == CommandField.C_STORE_RQ:
            status, why = self._store(head)
        else:
            data = _Collected()
            if head.command.has_data_set:
                self._messages.data_set(head, data)
            if field == CommandField.C_CANCEL_RQ:
                return
            status, why = self._small_request(head, bytes(data.content))
        response = command_set.response(head.command, status, why)
        self.wire.send(pdu.command(head.context_id, response, self._peer_maximum_length))

    def _store(self, head: Head) -> Answer:
        incoming = IncomingObject(
            head.command, head.context, self.peer, self._house.store, self._house.maximum_object_bytes
        )
        try:
            if head.command.has_data_set:
                self._messages.data_set(head, incoming)
            answer = handlers.c_store(incoming, self._intake.receive)
        finally:
            incoming.discard()
        self.objects += answer[0] is Status.SUCCESS
        return answer

    def _small_request(self, head: Head, data: bytes) -> Answer:
        if head.command.field == CommandField.C_ECHO_RQ:
            return handlers.c_echo()
        if head.command.field == CommandField.N_EVENT_REPORT_RQ:
            implicit = head.context.transfer_syntax == ImplicitVRLittleEndian
            return handlers.n_event_report(data, implicit=implicit, tell=self._house.commitment_report)
        return Status.UNRECOGNISED_OPERATION, "this node stores MR images and answers echoes"

    def _tell_intake(self, tell: Callable[..., None], *arguments: str) -> None:
        """Opening and closing are hints to the completion of studies: an object does not fail on them."""
        try:
            tell(*arguments)
        except NodeError as error:
            log.warning("The catalog was not told of an association: %s", error, extra={"action": "association"})
        except Exception:
            log.exception("The catalog was not told of an association", extra={"action": "association"})

    def _log_end(self, how: str, seconds: float) -> None:
        log.info(
            "An association ended: %s",
            how,
            extra={
                "action": "association",
                "association": self.association_id,
                "peer": str(self.peer),
                "objects": self.objects,
                "seconds": round(seconds, 3),
            },
        )


class _Collected:
    """A small data set in memory."""

    def __init__(self) -> None:
        self.content = bytearray()

    def append(self, chunk: memoryview) -> None:
        self.content += chunk
        if len(self.content) > _SMALL_DATA_SET_BYTES:
            raise ProtocolViolation("a data set that is too large for its request")
