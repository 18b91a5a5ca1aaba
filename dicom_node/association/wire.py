"""One connection with its guards: whole PDUs in, bytes out, and a limit on every wait and every size (PS3.8 9.3).

Called by conversation.py in the association's own thread, which waits on the socket itself: no polling, and nothing is
read ahead of what was handled, so that TCP slows a sender down that pipelines.
"""

import contextlib
import socket
import ssl
import struct
import time
from dataclasses import dataclass

from dicom_node.association import pdu
from dicom_node.association.errors import PeerGone, PeerStalled, ProtocolViolation
from dicom_node.association.pdu import HEADER_BYTES, PduType
from dicom_node.settings import AssociationSettings

MAXIMUM_PDU_BYTES = 1_048_576
"""Hard cap on an inbound PDU, whatever we advertised: some senders round up."""
_BUFFER_BYTES = 262_144
_FAREWELL_S = 2.0
_FAREWELL_BYTES = 8_388_608
"""What a peer still had on its way is read for so long and so far, or a reset would eat our last words."""
_LINGER_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How long and how much, in seconds and bytes."""

    idle_s: float
    """Between two messages."""
    message_s: float
    """Within a message, for the next PDU."""
    silence_s: float
    """Within a PDU, without one byte, either way."""
    pdu_s: float
    """From the first byte of a PDU to its last."""

    @classmethod
    def of(cls, settings: AssociationSettings) -> "Limits":
        return cls(
            idle_s=settings.network_timeout_s,
            message_s=settings.dimse_timeout_s,
            silence_s=settings.socket_timeout_s,
            pdu_s=settings.pdu_deadline_s,
        )


class Wire:
    """A connected socket that belongs to one thread; only `cut` may be called from another."""

    def __init__(self, connection: socket.socket, limits: Limits, received: bytes = b"") -> None:
        """received: bytes that were read after the association request already."""
        self._socket = connection
        self._limits = limits
        self._buffer = bytearray(max(_BUFFER_BYTES, len(received)))
        self._buffer[: len(received)] = received
        self._view = memoryview(self._buffer)
        self._start, self._end = 0, len(received)
        self._timeout: float | None = None
        self._quick = connection.family in (socket.AF_INET, socket.AF_INET6)
        self.is_idle = False
        """Waiting for the first byte of a PDU between two messages."""

    def read(self, first_byte_s: float) -> tuple[PduType, memoryview]:
        """The next PDU: its type and body, which is valid until the next `read`.

        first_byte_s: how long to wait for its first byte. Raises `PeerGone`, `PeerStalled`, `ProtocolViolation`.
        """
        if self._end == self._start:
            self._start = self._end = 0
            self._receive(first_byte_s)
        deadline = time.monotonic() + self._limits.pdu_s
        self._fill(HEADER_BYTES, deadline)
        kind, length = pdu.header(self._view[self._start : self._start + HEADER_BYTES])
        if length > MAXIMUM_PDU_BYTES:
            raise ProtocolViolation(f"a PDU of {length} bytes", pdu.AbortReason.INVALID_PARAMETER)
        self._fill(HEADER_BYTES + length, deadline)
        body = self._view[self._start + HEADER_BYTES : self._start + HEADER_BYTES + length]
        self._start += HEADER_BYTES + length
        return kind, body

    def send(self, data: bytes) -> None:
        """Send all of it. Raises `PeerGone` or `PeerStalled`."""
        self._wait_at_most(self._limits.silence_s)
        try:
            self._socket.sendall(data)
        except TimeoutError as error:
            raise PeerStalled("the peer takes no bytes") from error
        except (OSError, ssl.SSLError) as error:
            raise PeerGone("the connection broke") from error

    def abort(self, reason: int) -> None:
        """Say A-ABORT, as far as it can be said, and hang up."""
        with contextlib.suppress(PeerGone, PeerStalled):
            self.send(pdu.abort(reason))
        self.hang_up()

    def hang_up(self) -> None:
        """Close in order: what we said last arrives before the connection ends (PS3.8 9.2, state 13)."""
        with contextlib.suppress(OSError, ValueError):
            self._socket.shutdown(socket.SHUT_WR)
            self._wait_at_most(_FAREWELL_S)
            until, left = time.monotonic() + _FAREWELL_S, _FAREWELL_BYTES
            while left > 0 and time.monotonic() < until and (count := self._socket.recv_into(self._buffer)):
                left -= count
        self._socket.close()

    def cut(self) -> None:
        """End the connection from another thread: its reader wakes with `PeerGone`."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _fill(self, count: int, deadline: float) -> None:
        """Have so many bytes from `_start` on in the buffer."""
        if self._start + count > len(self._buffer):
            self._make_room(count)
        while self._end - self._start < count:
            self._receive(self._limits.silence_s)
            if time.monotonic() > deadline:
                raise PeerStalled(f"a PDU was not whole after {self._limits.pdu_s:g} s")

    def _make_room(self, count: int) -> None:
        held = bytes(self._view[self._start : self._end])
        if count > len(self._buffer):
            self._buffer = bytearray(count)
            self._view = memoryview(self._buffer)
        self._view[: len(held)] = held
        self._start, self._end = 0, len(held)

    def _receive(self, timeout_s: float) -> None:
        self._wait_at_most(timeout_s)
        try:
            count = self._socket.recv_into(self._view[self._end :])
            if self._quick:
                # Senders leave Nagle on; an immediate ACK spares them 40 ms per object. Linux forgets it at each read.
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except TimeoutError as error:
            raise PeerStalled(f"no byte for {timeout_s:g} s") from error
        except (OSError, ssl.SSLError) as error:
            raise PeerGone("the connection broke") from error
        if count == 0:
            raise PeerGone("the peer closed the connection")
        self._end += count

    def _wait_at_most(self, timeout_s: float) -> None:
        if timeout_s != self._timeout:
            self._timeout = timeout_s
            self._socket.settimeout(timeout_s)


def guard(connection: socket.socket, limits: Limits) -> None:
    """Options that find dead peers: keepalive, and an end to unacknowledged bytes. Called once for each connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_NODELAY, 1),
        (socket.TCP_KEEPIDLE, 30),
        (socket.TCP_KEEPINTVL, 10),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, int(limits.silence_s * 1000)),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


def reset(connection: socket.socket) -> None:
    """Drop a connection at once, without lingering state."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
    connection.close()
