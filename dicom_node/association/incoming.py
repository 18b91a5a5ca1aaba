"""One object as it comes in by C-STORE: its bytes go into a draft, are checked when they are whole, and made durable.

Made by conversation.py for each C-STORE request, finished by handlers.py. Remembers the first fault and then drops the
bytes, so that the sender is answered at the end of its message, as DIMSE wants it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from dicom_node.association.command_set import Command
from dicom_node.association.negotiation import AcceptedContext
from dicom_node.errors import NodeError
from dicom_node.records import ReceivedInstance
from dicom_node.store import headers
from dicom_node.store.draft import Draft
from dicom_node.store.errors import ObjectTooLarge, ObjectUnfit
from dicom_node.store.file_meta import FileMeta
from dicom_node.store.instances import InstanceStore
from dicom_node.store.uids import is_uid


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """Who is at the other end."""

    calling_ae_title: str
    address: str

    def __str__(self) -> str:
        return f"{self.calling_ae_title}@{self.address}"


class IncomingObject:
    """The data set of one C-STORE request."""

    def __init__(
        self, command: Command, context: AcceptedContext, peer: Peer, store: InstanceStore, maximum_bytes: int
    ) -> None:
        self.size_bytes = 0
        self._command = command
        self.peer = peer
        self._maximum_bytes = maximum_bytes
        self._fault: NodeError | None = None
        self._draft: Draft | None = None
        self._meta = FileMeta(
            sop_class_uid=command.sop_class_uid,
            sop_instance_uid=command.sop_instance_uid,
            transfer_syntax_uid=context.transfer_syntax,
            calling_ae_title=peer.calling_ae_title,
            peer_address=peer.address,
        )
        try:
            _check_command(command, context)
            self._draft = store.draft(self._meta)
        except NodeError as error:
            self._fault = error

    def append(self, chunk: memoryview) -> None:
        """Take the next bytes. Never raises: a fault is kept for `make_durable`."""
        self.size_bytes += len(chunk)
        if self._draft is None:
            return
        try:
            if self.size_bytes > self._maximum_bytes:
                raise ObjectTooLarge(f"the object has more than {self._maximum_bytes} bytes")
            self._draft.append(chunk)
        except NodeError as error:
            self._fault = error
            self.discard()

    def make_durable(self) -> ReceivedInstance:
        """Check the whole object and store it. Raises `StoreError` of the kind that says what was wrong."""
        if self._fault is not None or self._draft is None:
            raise self._fault or ObjectUnfit("no object")
        with self._draft.content() as content:
            facts = headers.read(
                content,
                implicit=self._meta.implicit,
                encapsulated=self._meta.encapsulated,
                maximum_pixel_bytes=self._maximum_bytes,
            )
        announced = (self._command.sop_class_uid, self._command.sop_instance_uid)
        if (facts.sop_class_uid, facts.sop_instance_uid) != announced:
            raise ObjectUnfit("command and data set name different SOP classes or instances")
        return ReceivedInstance(
            file=self._draft.commit(),
            sop_class_uid=facts.sop_class_uid,
            sop_instance_uid=facts.sop_instance_uid,
            series_instance_uid=facts.series_instance_uid,
            study_instance_uid=facts.study_instance_uid,
            transfer_syntax_uid=self._meta.transfer_syntax_uid,
            patient_digest=facts.patient_digest,
            headers=facts.headers,
            calling_ae_title=self.peer.calling_ae_title,
            peer_address=self.peer.address,
            received_at=datetime.now(UTC),
        )

    def discard(self) -> None:
        """Leave nothing of an object that was not made durable. Harmless afterwards."""
        if self._draft is not None:
            self._draft.discard()
            self._draft = None


def _check_command(command: Command, context: AcceptedContext) -> None:
    if command.sop_class_uid != context.abstract_syntax:
        raise ObjectUnfit("the command names another SOP class than its presentation context")
    if not is_uid(command.sop_instance_uid):
        raise ObjectUnfit("the SOP instance UID of the command is no UID")
    if not command.has_data_set:
        raise ObjectUnfit("the request has no data set")
