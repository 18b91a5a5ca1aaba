"""A connection before it is an association: TLS handshake and request, without blocking (PS3.8 9.2 state 2).

Driven by lobby.py. Costs a descriptor and what was read so far, never a thread.
"""

import contextlib
import selectors
import socket
import ssl

from dicom_node.association import pdu
from dicom_node.association.errors import PeerGone, ProtocolViolation
from dicom_node.association.pdu import HEADER_BYTES, AbortReason, PduType

MAXIMUM_REQUEST_BYTES = 131_072
"""128 contexts with all transfer syntaxes and long extended negotiation take less."""
_READ_BYTES = 16_384
_READS = MAXIMUM_REQUEST_BYTES // _READ_BYTES + 1
"""At one go, so that nobody who sends fast keeps the lobby for himself."""


class Guest:
    """One connection in the lobby."""

    def __init__(self, connection: socket.socket, address: str, tls: ssl.SSLContext | None, deadline: float) -> None:
        """deadline: monotonic time at which it is sent away, however busy it is (the ARTIM timer of PS3.8 9.1.5)."""
        self.address = address
        self.deadline = deadline
        self.is_leaving = False
        """It was refused; we only wait for it to close."""
        self.wants = selectors.EVENT_READ
        self.received = bytearray()
        connection.setblocking(False)
        self.connection = connection
        self._shaking_hands = tls is not None
        if tls is not None:
            self.connection = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def advance(self) -> bytes | None:
        """Do what can be done now; the whole association request once it is there. What follows it stays in `received`.

        Raises `PeerGone`, and `ProtocolViolation` where it is no association request.
        """
        try:
            if self._shaking_hands:
                self._shake_hands()
            if not self._shaking_hands:
                self._read()
        except (ssl.SSLError, OSError) as error:
            raise PeerGone("the connection or its TLS handshake broke") from error
        return None if self.is_leaving else self._request()

    def refuse(self, answer: bytes, deadline: float) -> None:
        """Say no, and leave time for it to arrive."""
        self.is_leaving, self.deadline = True, deadline
        self.wants = selectors.EVENT_READ
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            self.connection.send(answer)
            self.connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.close()

    def _shake_hands(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)
        try:
            self.connection.do_handshake()
            self._shaking_hands = False
            self.wants = selectors.EVENT_READ
        except ssl.SSLWantReadError:
            self.wants = selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            self.wants = selectors.EVENT_WRITE

    def _read(self) -> None:
        """All that is there, up to the size of a request. TLS may hold bytes that no selector sees."""
        for _ in range(_READS):
            try:
                chunk = self.connection.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            if not chunk:
                raise PeerGone("the peer closed the connection")
            if not self.is_leaving:
                self.received += chunk
            if self._is_whole():
                return

    def _is_whole(self) -> bool:
        held = self.received
        return len(held) >= HEADER_BYTES and len(held) >= HEADER_BYTES + int.from_bytes(held[2:6], "big")

    def _request(self) -> bytes | None:
        if len(self.received) < HEADER_BYTES:
            if self.received and self.received[0] != PduType.ASSOCIATE_RQ:
                raise ProtocolViolation("no association request", AbortReason.UNRECOGNISED_PDU)
            return None
        kind, length = pdu.header(memoryview(self.received))
        if kind is not PduType.ASSOCIATE_RQ:
            raise ProtocolViolation("no association request", AbortReason.UNEXPECTED_PDU)
        if length > MAXIMUM_REQUEST_BYTES - HEADER_BYTES:
            raise ProtocolViolation(f"an association request of {length} bytes", AbortReason.INVALID_PARAMETER)
        if not self._is_whole():
            return None
        request = bytes(self.received[: HEADER_BYTES + length])
        del self.received[: HEADER_BYTES + length]
        return request
