"""The receiver as a whole: listens, lets peers in or refuses them, and drains at the end.

    receiver = Receiver(settings.association, intake, store)
    receiver.start()      # receiver.port is bound now
    ...
    receiver.drain(50)    # no new associations; open ones may finish for so long
    receiver.stop()

Made by wiring.py; the store is prepared and orphans adopted before `start`.
"""

import contextlib
import errno
import logging
import resource
import socket
import threading
import time
from collections import Counter

from dicom_node.association import contexts, negotiation, tls
from dicom_node.association.access import LIMIT_REACHED, Gate
from dicom_node.association.conversation import Conversation, House
from dicom_node.association.errors import ReceiverUnusable
from dicom_node.association.guest import Guest
from dicom_node.association.handlers import CommitmentReport
from dicom_node.association.incoming import Peer
from dicom_node.association.lobby import Lobby
from dicom_node.association.negotiation import AssociationRequest, Rejection
from dicom_node.association.wire import Limits, Wire, guard
from dicom_node.records import Intake
from dicom_node.settings import AssociationSettings
from dicom_node.store.instances import InstanceStore

log = logging.getLogger(__name__)

LOBBY_CAPACITY = 1024
_BACKLOG = 512
_IDLE_GRACE_S = 0.5
_LAST_WORDS_S = 5.0


class Receiver:
    """A C-STORE SCP. Its methods may be called from any one thread."""

    def __init__(
        self,
        settings: AssociationSettings,
        intake: Intake,
        store: InstanceStore,
        commitment_report: CommitmentReport | None = None,
    ) -> None:
        """commitment_report: with it storage commitment reports are taken. Raises `SettingsError`."""
        self._settings = settings
        self._store = store
        self._gate = Gate(settings)
        self._tls = tls.server_context(settings.tls) if settings.tls is not None else None
        self._contexts = contexts.supported(commitment_report is not None)
        self._limits = Limits.of(settings)
        self._house = House(
            store=store,
            intake=intake,
            commitment_report=commitment_report,
            limits=self._limits,
            maximum_object_bytes=settings.maximum_object_bytes,
        )
        self._lobby: Lobby | None = None
        self._port: int | None = None
        self._lock = threading.Lock()
        self._open: set[Conversation] = set()

    @property
    def port(self) -> int:
        """The bound port. Raises `ReceiverUnusable` before `start`."""
        if self._port is None:
            raise ReceiverUnusable("the receiver is not started")
        return self._port

    @property
    def open_associations(self) -> int:
        """How many associations are open now."""
        with self._lock:
            return len(self._open)

    def start(self) -> None:
        """Listen. Raises `ReceiverUnusable` with what to do where the port is taken or not ours to take."""
        listener = _listen(self._settings.host, self._settings.port)
        self._port = int(listener.getsockname()[1])
        self._lobby = Lobby(listener, self._tls, self._settings.acse_timeout_s, _lobby_capacity(), self._receive)
        self._lobby.start()
        log.info(
            "The receiver listens",
            extra={"action": "listen", "ae_title": self._settings.ae_title, "port": self._port},
        )

    def drain(self, seconds: float) -> bool:
        """Take no new associations and let open ones finish; idle ones are ended. True where none is left."""
        self._close_lobby()
        until = time.monotonic() + seconds
        idle_since: dict[Conversation, float] = {}
        while (remaining := self._conversations()) and time.monotonic() < until:
            now = time.monotonic()
            for conversation in remaining:
                if not conversation.wire.is_idle:
                    idle_since.pop(conversation, None)
                elif now - idle_since.setdefault(conversation, now) > _IDLE_GRACE_S:
                    conversation.end()
            time.sleep(0.02)
        return not self._conversations()

    def stop(self) -> None:
        """End at once: open associations are cut. What was not acknowledged is the sender's to send again."""
        self._close_lobby()
        conversations = self._conversations()
        for conversation in conversations:
            conversation.end()
        until = time.monotonic() + _LAST_WORDS_S
        for conversation in conversations:
            conversation.join(max(0.0, until - time.monotonic()))

    def _close_lobby(self) -> None:
        if self._lobby is not None:
            self._lobby.close()
            self._lobby = None

    def _conversations(self) -> list[Conversation]:
        with self._lock:
            return list(self._open)

    def _receive(self, guest: Guest, pdu: bytes) -> bytes | None:
        """Reception of the lobby: begins a conversation (None), or gives the refusal."""
        request = negotiation.decode(pdu)
        rejection = self._decide(request, guest.address)
        if rejection is None:
            rejection = self._begin(guest, request)
        if rejection is None:
            return None
        log.warning(
            "An association was rejected: %s",
            rejection.text,
            extra={
                "action": "reject",
                "peer": f"{request.calling_ae_title}@{guest.address}",
                "called": request.called_ae_title,
            },
        )
        return negotiation.reject(rejection)

    def _decide(self, request: AssociationRequest, address: str) -> Rejection | None:
        with self._lock:
            here = Counter(conversation.peer.address for conversation in self._open)[address]
            in_all = len(self._open)
        return self._gate.decide(request, address, open_here=here, open_in_all=in_all, has_room=self._store.has_room())

    def _begin(self, guest: Guest, request: AssociationRequest) -> Rejection | None:
        answer, accepted = negotiation.accept(request, self._contexts, self._settings.maximum_pdu_bytes)
        guard(guest.connection, self._limits)
        conversation = Conversation(
            Wire(guest.connection, self._limits, bytes(guest.received)),
            answer,
            accepted,
            peer=Peer(calling_ae_title=request.calling_ae_title, address=guest.address),
            peer_maximum_length=request.maximum_length,
            house=self._house,
            on_end=self._forget,
        )
        with self._lock:
            self._open.add(conversation)
        try:
            conversation.start()
        except RuntimeError:  # no more threads
            self._forget(conversation)
            return LIMIT_REACHED
        return None

    def _forget(self, conversation: Conversation) -> None:
        with self._lock:
            self._open.discard(conversation)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ReceiverUnusable(f"association.host: {host} is no address of this machine") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ReceiverUnusable(_why_not(host, port, error)) from error
    return listener


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken by another program: stop it, or set association.port to a free one"
    if error.errno == errno.EACCES:
        return f"port {port} needs a privilege: set association.port above 1023, or grant CAP_NET_BIND_SERVICE"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"association.host: {host} is no address of this machine"
    return f"{host} port {port} cannot be listened on: {error.strerror}"


def _lobby_capacity() -> int:
    """As many guests as leave half of the descriptors to everything else; the soft limit is raised where it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * LOBBY_CAPACITY
    ceiling = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < ceiling:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
            soft = ceiling
    return LOBBY_CAPACITY if soft == resource.RLIM_INFINITY else max(16, min(LOBBY_CAPACITY, soft // 2))
