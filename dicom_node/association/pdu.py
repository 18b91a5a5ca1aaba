"""The protocol data units of an established association as bytes (PS3.8 9.3). No I/O.

Association requests and their answers are negotiation.py's.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from dicom_node.association.errors import ProtocolViolation

HEADER_BYTES = 6
_HEADER = struct.Struct(">BxL")
_PDV = struct.Struct(">LBB")


class PduType(IntEnum):
    """PS3.8 9.3.1."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    DATA = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


class AbortReason(IntEnum):
    """PS3.8 table 9-26, as the service provider gives it."""

    NOT_SPECIFIED = 0
    UNRECOGNISED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


class Fragment(NamedTuple):
    """One presentation data value (PS3.8 9.3.5.1, PS3.8 E)."""

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview


RELEASE_RP = _HEADER.pack(PduType.RELEASE_RP, 4) + bytes(4)


def abort(reason: int) -> bytes:
    """An A-ABORT of the service provider."""
    return _HEADER.pack(PduType.ABORT, 4) + bytes((0, 0, 2, reason))


def header(data: memoryview) -> tuple[PduType, int]:
    """Type and length of the PDU that begins here. Raises `ProtocolViolation` where no PDU does."""
    kind, length = _HEADER.unpack_from(data)
    try:
        return PduType(kind), length
    except ValueError as error:
        raise ProtocolViolation("no DICOM protocol data unit", AbortReason.UNRECOGNISED_PDU) from error


def fragments(body: memoryview) -> Iterator[Fragment]:
    """The fragments of a P-DATA-TF. Raises `ProtocolViolation` where lengths do not add up."""
    at = 0
    while at < len(body):
        if len(body) - at < _PDV.size:
            raise ProtocolViolation("a presentation data value is cut off")
        length, context_id, control = _PDV.unpack_from(body, at)
        end = at + 4 + length
        if length < 2 or end > len(body):
            raise ProtocolViolation("a presentation data value is longer than its PDU")
        yield Fragment(context_id, bool(control & 1), bool(control & 2), body[at + _PDV.size : end])
        at = end


def command(context_id: int, command_set: bytes, maximum_length: int) -> bytes:
    """A command set as P-DATA-TFs that the peer takes (maximum_length 0: of any size)."""
    size = max(maximum_length - _PDV.size, 1) if maximum_length else len(command_set)
    made = bytearray()
    for at in range(0, len(command_set), size):
        part = command_set[at : at + size]
        control = 1 | 2 * (at + size >= len(command_set))
        made += _HEADER.pack(PduType.DATA, len(part) + _PDV.size) + _PDV.pack(len(part) + 2, context_id, control) + part
    return bytes(made)
