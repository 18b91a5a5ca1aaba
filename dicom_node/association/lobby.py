"""Takes connections and keeps them until their association request is whole, all in one thread that never blocks.

Made by server.py. Silent connections, halves of TLS handshakes and trickled requests wait here at the cost of a
descriptor each, so that hundreds of them delay nobody. When the lobby is full the longest waiting leaves.
"""

import contextlib
import errno
import logging
import selectors
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from dicom_node.association import pdu
from dicom_node.association.errors import PeerGone, ProtocolViolation
from dicom_node.association.guest import Guest

log = logging.getLogger(__name__)

_FAREWELL_S = 5.0
_SWEEP_S = 0.5
_COMPLAINT_S = 60.0
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Reception = Callable[[Guest, bytes], bytes | None]
"""Given a guest and its whole request: None where it was let in (its connection is ours no longer), or the refusal."""


class Lobby(threading.Thread):
    """The accepting thread. `reception` is called in it and must be quick."""

    def __init__(
        self,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        patience_s: float,
        capacity: int,
        reception: Reception,
    ) -> None:
        """patience_s: from connection to whole request."""
        super().__init__(name="lobby", daemon=True)
        self._listener = listener
        self._tls = tls
        self._patience_s = patience_s
        self._capacity = capacity
        self._reception = reception
        self._selector = selectors.DefaultSelector()
        self._guests: OrderedDict[int, Guest] = OrderedDict()
        self._waker, self._woken = socket.socketpair()
        self._closing = threading.Event()
        self._swept = time.monotonic()
        self._complained = -_COMPLAINT_S

    def run(self) -> None:
        """The thread: never raises."""
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while not self._closing.is_set():
            try:
                self._round()
            except Exception:  # without this thread the node would be deaf, and look alive
                log.exception("A round of the lobby failed; it goes on.", extra={"action": "accept"})
                self._closing.wait(_SWEEP_S)
        self._shut()

    def _round(self) -> None:
        for key, _ in self._selector.select(_SWEEP_S):
            if key.fileobj is self._listener:
                self._admit()
            elif key.fd in self._guests:
                self._attend(self._guests[key.fd])
        now = time.monotonic()
        if now - self._swept >= _SWEEP_S:
            self._swept = now
            self._sweep(now)

    def close(self) -> None:
        """Take no more connections and send the waiting ones away. Returns when it is done."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")
        self.join()

    def _admit(self) -> None:
        """Accept what waits at the door, a bounded number at a time."""
        for _ in range(32):
            try:
                connection, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # the peer left before we took it, or there is no room for it
                if error.errno in _NO_DESCRIPTORS:
                    self._complain(error)
                    if not self._send_oldest_away():
                        time.sleep(_SWEEP_S / 10)
                return
            if len(self._guests) >= self._capacity:
                self._send_oldest_away()
            try:
                guest = Guest(connection, str(address[0]), self._tls, time.monotonic() + self._patience_s)
            except (OSError, ValueError):  # the peer left before TLS could begin
                connection.close()
                continue
            self._guests[guest.connection.fileno()] = guest
            self._selector.register(guest.connection, guest.wants)

    def _complain(self, error: OSError) -> None:
        """Say that connections cannot be taken; once a minute, as more and more of them come."""
        if time.monotonic() - self._complained >= _COMPLAINT_S:
            self._complained = time.monotonic()
            reason = error.strerror or type(error).__name__
            log.error(
                "Connections cannot be taken: %s", reason, extra={"action": "accept", "waiting": len(self._guests)}
            )

    def _attend(self, guest: Guest) -> None:
        wanted = guest.wants
        try:
            request = guest.advance()
            if request is not None:
                self._receive(guest, request)
            elif guest.wants != wanted:
                self._selector.modify(guest.connection, guest.wants)
        except PeerGone:
            self._forget(guest)
        except ProtocolViolation as error:
            log.info("A connection was refused: %s", error, extra={"action": "refuse", "peer": guest.address})
            guest.refuse(pdu.abort(error.reason), time.monotonic() + _FAREWELL_S)
        except Exception:
            log.exception("A connection failed", extra={"action": "refuse", "peer": guest.address})
            self._forget(guest)

    def _receive(self, guest: Guest, request: bytes) -> None:
        key = guest.connection.fileno()
        self._selector.unregister(guest.connection)
        try:
            refusal = self._reception(guest, request)
        except ProtocolViolation as error:
            refusal = pdu.abort(error.reason)
        if refusal is None:
            del self._guests[key]
        else:
            self._selector.register(guest.connection, selectors.EVENT_READ)
            guest.refuse(refusal, time.monotonic() + _FAREWELL_S)

    def _forget(self, guest: Guest) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(guest.connection)
        self._guests.pop(guest.connection.fileno(), None)
        guest.close()

    def _send_oldest_away(self) -> bool:
        oldest = next(iter(self._guests.values()), None)
        if oldest is not None:
            self._forget(oldest)
        return oldest is not None

    def _sweep(self, now: float) -> None:
        for guest in [guest for guest in self._guests.values() if guest.deadline <= now]:
            self._forget(guest)

    def _shut(self) -> None:
        self._listener.close()
        for guest in list(self._guests.values()):
            self._forget(guest)
        self._selector.close()
        self._waker.close()
        self._woken.close()
