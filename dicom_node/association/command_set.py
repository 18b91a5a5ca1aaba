"""Command sets: the few elements that head each DIMSE message, in Implicit VR Little Endian (PS3.7 6.3, E). No I/O.

Each is walked once and only what the node answers to is read; this is most of the speed against pynetdicom.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from dicom_node.association.errors import ProtocolViolation
from dicom_node.association.statuses import Status

MAXIMUM_BYTES = 65_536
_ELEMENT = struct.Struct("<HHL")
_NO_DATA_SET = 0x0101
_RESPONSE = 0x8000

_GROUP_LENGTH, _SOP_CLASS, _REQUESTED_SOP_CLASS, _COMMAND_FIELD = 0x0000, 0x0002, 0x0003, 0x0100
_MESSAGE_ID, _RESPONDED_TO, _DATA_SET_TYPE = 0x0110, 0x0120, 0x0800
_STATUS, _ERROR_COMMENT, _SOP_INSTANCE, _EVENT_TYPE = 0x0900, 0x0902, 0x1000, 0x1002


class CommandField(IntEnum):
    """PS3.7 E.1: the requests that the node knows."""

    C_STORE_RQ = 0x0001
    C_ECHO_RQ = 0x0030
    C_CANCEL_RQ = 0x0FFF
    N_EVENT_REPORT_RQ = 0x0100


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A request as its command set says it."""

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str
    sop_instance_uid: str
    event_type_id: int | None


def decode(data: bytes) -> Command:
    """Read a command set. Raises `ProtocolViolation` where it is none."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if len(data) - at < _ELEMENT.size:
            raise ProtocolViolation("a command set is cut off")
        group, element, length = _ELEMENT.unpack_from(data, at)
        at += _ELEMENT.size
        if group != 0 or length > len(data) - at:
            raise ProtocolViolation("a command set is damaged")
        found[element] = data[at : at + length]
        at += length
    field, message_id, data_set_type = (_short(found, tag) for tag in (_COMMAND_FIELD, _MESSAGE_ID, _DATA_SET_TYPE))
    if field is None or data_set_type is None or (message_id is None and field != CommandField.C_CANCEL_RQ):
        raise ProtocolViolation("a command set lacks what every request has")
    return Command(
        field=field,
        message_id=message_id or 0,
        has_data_set=data_set_type != _NO_DATA_SET,
        sop_class_uid=_text(found, _SOP_CLASS) or _text(found, _REQUESTED_SOP_CLASS),
        sop_instance_uid=_text(found, _SOP_INSTANCE),
        event_type_id=_short(found, _EVENT_TYPE),
    )


def response(request: Command, status: Status, comment: str = "") -> bytes:
    """The command set that answers a request. comment: why, for the sender's log; no patient data."""
    body = _pack(_SOP_CLASS, _uid(request.sop_class_uid)) if request.sop_class_uid else b""
    body += _pack(_COMMAND_FIELD, struct.pack("<H", request.field | _RESPONSE))
    body += _pack(_RESPONDED_TO, struct.pack("<H", request.message_id))
    body += _pack(_DATA_SET_TYPE, struct.pack("<H", _NO_DATA_SET))
    body += _pack(_STATUS, struct.pack("<H", status))
    if comment and status != Status.SUCCESS:
        body += _pack(_ERROR_COMMENT, _even(comment.encode("ascii", "replace")[:64].replace(b"\\", b"/"), b" "))
    if request.sop_instance_uid:
        body += _pack(_SOP_INSTANCE, _uid(request.sop_instance_uid))
    if request.event_type_id is not None:
        body += _pack(_EVENT_TYPE, struct.pack("<H", request.event_type_id))
    return _pack(_GROUP_LENGTH, struct.pack("<L", len(body))) + body


def _pack(element: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0, element, len(value)) + value


def _uid(text: str) -> bytes:
    return _even(text.encode("ascii", "replace")[:64], b"\0")


def _even(value: bytes, pad: bytes) -> bytes:
    return value + pad * (len(value) % 2)


def _short(found: dict[int, bytes], element: int) -> int | None:
    value = found.get(element, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else None


def _text(found: dict[int, bytes], element: int) -> str:
    return found.get(element, b"").rstrip(b"\0 ").decode("ascii", "replace")
