"""An association that we open, with the deadlines that stock pynetdicom lacks and the cause where it does not come.

c_store.py, commitment.py and echo.py call `connect`. It knows no product and no retry. Three gaps are closed here: a
peer that stops reading would block the sending thread for ever (no timeout on the socket), why a connection failed is
only logged (PS3.8 9.1.2), and an answer could be lost (answers.py).
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any, cast

from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from dicom_node.delivery.answers import Answers
from dicom_node.delivery.destinations import remedy
from dicom_node.delivery.report import Verdict
from dicom_node.delivery.responses import of_rejection
from dicom_node.delivery.transport import of_network_fault, open_socket
from dicom_node.errors import DeliveryError
from dicom_node.settings import DestinationSettings
from dicom_node.store.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

MAXIMUM_PDU_BYTES = 131_072
"""The longest PDU that a destination may send us, as the receiver's default. It says itself how long ours may be."""

_config.STORE_SEND_CHUNKED_DATASET = True
"""`send_c_store(path)` sends the bytes of the file, not a new encoding of what they mean."""
_config.LOG_HANDLER_LEVEL = "none"
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False


class NoAssociation(DeliveryError):
    """No association came about. `verdict` says whether another try can help; the text says what to do."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.reason = reason
        self.retryable = verdict is Verdict.RETRY


class Link:
    """An association that we opened, and the watch over its connection."""

    def __init__(self) -> None:
        self.association: Association
        self._connection: socket.socket | None = None
        self._timer: Timer | None = None

    def watch(self, connection: socket.socket, seconds: float) -> None:
        """Watch a connection, from its first byte on."""
        self._connection = connection
        self.allow(seconds)

    def allow(self, seconds: float) -> None:
        """From now on the connection may last `seconds`; then it is cut, whatever the peer still drips."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        """End the watch and close what is left of the connection. pynetdicom leaves it open after a rejection."""
        if self._timer is not None:
            self._timer.cancel()
        if self._connection is not None:
            self._connection.close()

    def _cut(self) -> None:
        """Both sides of the association see the end of the connection and finish by themselves."""
        with suppress(OSError):
            cast(socket.socket, self._connection).shutdown(socket.SHUT_RDWR)


@contextmanager
def connect(
    destination: DestinationSettings,
    contexts: Sequence[PresentationContext],
    *,
    own_ae_title: str,
    handlers: Sequence[tuple[Any, ...]] = (),
) -> Iterator[Link]:
    """Open an association for the contexts, release it at the end.

    Raises `NoAssociation` with the cause where none came about, also where every context was refused.
    """
    link = Link()
    entity = _Entity(destination, destination.calling_ae_title or own_ae_title, link)
    try:
        link.association = _negotiate(entity, contexts, handlers)
        link.allow(2 * destination.timeout_s)
        yield link
        link.allow(2 * destination.timeout_s)
        if link.association.is_established:
            link.association.release()
    except BaseException:
        if hasattr(link, "association"):
            link.association.abort()
        raise
    finally:
        link.close()


def _negotiate(
    entity: "_Entity", contexts: Sequence[PresentationContext], handlers: Sequence[tuple[Any, ...]]
) -> Association:
    destination = entity.destination
    try:
        association = entity.associate(
            destination.host,
            destination.port,
            contexts=list(contexts),
            ae_title=destination.ae_title,
            max_pdu=MAXIMUM_PDU_BYTES,
            evt_handlers=list(handlers),
        )
    except socket.gaierror as error:
        raise NoAssociation(*of_network_fault(error, destination)) from error
    if not association.is_established:
        raise NoAssociation(*_cause(association, entity.fault, destination)) from entity.fault
    return association


class _Entity(AE):
    """Our AE as a requestor: its associations use `_Socket` and `Answers`, and give our name (PS3.7 D.3.3.2)."""

    def __init__(self, destination: DestinationSettings, ae_title: str, link: Link) -> None:
        super().__init__(ae_title)
        self.destination = destination
        self.link = link
        self.fault: OSError | None = None
        self.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        self.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        self.acse_timeout = destination.timeout_s
        self.dimse_timeout = destination.timeout_s
        self.network_timeout = destination.timeout_s

    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: object,  # noqa: ARG002  (pynetdicom's signature; `_Socket` does TLS itself)
    ) -> AssociationSocket:
        assoc.dimse = Answers(assoc)  # here, since nothing has been received yet
        return _Socket(assoc, address=address)


class _Socket(AssociationSocket):
    """Connects with timeouts and keeps the cause of a failure for `_cause`."""

    def connect(self, primitive: T_CONNECT) -> None:
        entity = cast(_Entity, self.assoc.ae)
        cast(socket.socket, self.socket).close()
        try:
            self.socket = open_socket(entity.destination, primitive.address_info.as_tuple)
            entity.link.watch(self.socket, 2 * entity.destination.timeout_s)
            self.assoc.requestor.address_info = AddressInformation.from_tuple(self.socket.getsockname())
            self._is_connected = True
            evt.trigger(self.assoc, evt.EVT_CONN_OPEN, {"address": primitive.address_info.as_tuple})
            primitive.result = "Evt2"
        except OSError as error:
            entity.fault = error
            self.socket = None
            primitive.result = "Evt17"
        finally:
            self.provider_queue.put(primitive)
            self._ready.set()


def _cause(association: Association, fault: OSError | None, destination: DestinationSettings) -> tuple[Verdict, str]:
    if fault is not None:
        return of_network_fault(fault, destination)
    answer = association.acceptor.primitive or association.dul.peek_next_pdu()
    if isinstance(answer, A_ASSOCIATE) and answer.result in (
        1,
        2,
    ):  # queued where it came faster than pynetdicom looked
        return of_rejection(answer.result or 1, answer.result_source or 1, answer.diagnostic or 1)
    if association.rejected_contexts:
        return Verdict.REFUSED, refused_contexts(association.rejected_contexts)
    if answer is None and not association._sent_abort:  # else it was us, after the timeout
        guess = "expects TLS" if destination.tls is None else "does not accept our TLS certificate"
        return Verdict.RETRY, (
            f"{destination.host} port {destination.port} broke off while the association was negotiated: it perhaps "
            f"{guess}, or is no DICOM node"
        )
    return Verdict.RETRY, f"{destination.host} port {destination.port} is connected but does not answer in DICOM"


def refused_contexts(contexts: Sequence[PresentationContext]) -> str:
    """Plain text for contexts that the peer did not accept (PS3.8 9.3.3.2)."""
    classes = {str(context.abstract_syntax) for context in contexts}
    names = sorted(UID(one).name for one in classes)
    return f"the destination does not take {', '.join(names)}: {'; '.join(sorted({remedy(one) for one in classes}))}"
