"""Puts DIMSE messages together from the fragments of an association (PS3.7 6.3, PS3.8 Annex E).

Called by conversation.py, which says where a data set goes once its command is known. A data set is never held here.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from dicom_node.association import command_set, pdu
from dicom_node.association.command_set import Command
from dicom_node.association.errors import PeerGone, PeerStalled, ProtocolViolation
from dicom_node.association.negotiation import AcceptedContext
from dicom_node.association.pdu import AbortReason, Fragment, PduType
from dicom_node.association.wire import Limits, Wire

PACE_BYTES = 65_536
"""A message must advance by so much in each `pdu_s`: a trickle of whole, tiny PDUs is a stalled peer too."""


class Sink(Protocol):
    """Where a data set goes."""

    def append(self, chunk: memoryview) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """A command, and the presentation context that it came by."""

    command: Command
    context_id: int
    context: AcceptedContext


class MessageReader:
    """The messages of one association, in order."""

    def __init__(
        self, wire: Wire, contexts: Mapping[int, AcceptedContext], limits: Limits, maximum_data_set_bytes: int
    ) -> None:
        """maximum_data_set_bytes: an endless data set ends the association there."""
        self._wire = wire
        self._contexts = contexts
        self._limits = limits
        self._maximum = maximum_data_set_bytes
        self._fragments: Iterator[Fragment] = iter(())

    def head(self) -> Head | None:
        """The next command; None where the peer asks for release. Raises `AssociationError` at any other end."""
        self._wire.is_idle = True
        first = self._next(between_messages=True)
        self._wire.is_idle = False
        if first is None:
            return None
        raw = bytearray()
        for fragment in self._message(first, is_command=True):
            raw += fragment.data
            if len(raw) > command_set.MAXIMUM_BYTES:
                raise ProtocolViolation("an endless command set")
        context = self._contexts.get(first.context_id)
        if context is None:
            raise ProtocolViolation("a message by a presentation context that was not accepted")
        return Head(command=command_set.decode(bytes(raw)), context_id=first.context_id, context=context)

    def data_set(self, head: Head, sink: Sink) -> None:
        """Lead the data set that follows `head` into the sink."""
        size = 0
        first = self._inside()
        if first.context_id != head.context_id:
            raise ProtocolViolation("a data set by another presentation context than its command")
        for fragment in self._message(first, is_command=False):
            sink.append(fragment.data)
            size += len(fragment.data)
            if size > self._maximum:
                raise ProtocolViolation("an endless data set")

    def _message(self, first: Fragment, *, is_command: bool) -> Iterator[Fragment]:
        """Fragments up to the last one of a command or data set, at a pace that no trickle keeps."""
        fragment, since, advanced = first, time.monotonic(), 0
        while True:
            if fragment.is_command != is_command or fragment.context_id != first.context_id:
                raise ProtocolViolation("fragments of two messages are mixed")
            yield fragment
            if fragment.is_last:
                return
            advanced += len(fragment.data)
            if advanced >= PACE_BYTES:
                since, advanced = time.monotonic(), 0
            elif time.monotonic() - since > self._limits.pdu_s:
                raise PeerStalled(f"a message advanced by less than {PACE_BYTES} bytes in {self._limits.pdu_s:g} s")
            fragment = self._inside()

    def _inside(self) -> Fragment:
        fragment = self._next(between_messages=False)
        if fragment is None:
            raise ProtocolViolation("a release within a message", AbortReason.UNEXPECTED_PDU)
        return fragment

    def _next(self, *, between_messages: bool) -> Fragment | None:
        """The next fragment; None for a release request."""
        while True:
            fragment = next(self._fragments, None)
            if fragment is not None:
                return fragment
            kind, body = self._wire.read(self._limits.idle_s if between_messages else self._limits.message_s)
            if kind is PduType.DATA:
                self._fragments = pdu.fragments(body)
            elif kind is PduType.RELEASE_RQ:
                return None
            elif kind is PduType.ABORT:
                raise PeerGone("the peer aborted")
            else:
                raise ProtocolViolation("a PDU that has no place in an association", AbortReason.UNEXPECTED_PDU)
