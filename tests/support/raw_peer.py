"""A DICOM peer on a bare socket that can misbehave at any byte: for tests of the receiver's guards."""

import socket
import struct
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import build_context

VERIFICATION = "1.2.840.10008.1.1"


@dataclass(frozen=True)
class Response:
    """A response's command elements: element number -> bytes."""

    elements: dict[int, bytes]

    @property
    def status(self) -> int:
        return int.from_bytes(self.elements[0x0900], "little")


def association_request(
    *,
    called: str = "QUARTET",
    calling: str = "RAW",
    abstract_syntaxes: tuple[str, ...] = (MRImageStorage, VERIFICATION),
    transfer_syntax: str = ExplicitVRLittleEndian,
    scp_role_of: str | None = None,
) -> bytes:
    """An A-ASSOCIATE-RQ; context IDs are 1, 3, 5, ... in the order of the abstract syntaxes."""
    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title, asked.called_ae_title = calling, called
    contexts = []
    for number, uid in enumerate(abstract_syntaxes):
        context = build_context(uid, transfer_syntax)
        context.context_id = 2 * number + 1
        contexts.append(context)
    asked.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16384
    implementation.implementation_class_uid = UID("1.2.3.4")
    items: list[Any] = [length, implementation]
    if scp_role_of:
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid, role.scu_role, role.scp_role = UID(scp_role_of), False, True
        items.append(role)
    asked.user_information = items
    return A_ASSOCIATE_RQ(asked).encode()


def command(**elements: Any) -> bytes:
    """A command set: e0100=1 sets (0000,0100); str is a UID, int a US, bytes stand as they are."""
    body = b""
    for name, value in sorted(elements.items()):
        raw = (
            value
            if isinstance(value, bytes)
            else struct.pack("<H", value)
            if isinstance(value, int)
            else value.encode()
        )
        raw += b"\0" * (len(raw) % 2)
        body += struct.pack("<HHL", 0, int(name[1:], 16), len(raw)) + raw
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def store_command(sop_class_uid: str, sop_instance_uid: str, message_id: int = 1) -> bytes:
    return command(
        e0002=sop_class_uid, e0100=0x0001, e0110=message_id, e0700=0, e0800=0, e1000=sop_instance_uid
    )  # fmt: skip


def p_data(data: bytes, *, is_command: bool, is_last: bool = True, context_id: int = 1) -> bytes:
    """One P-DATA-TF with one fragment."""
    control = is_command | 2 * is_last
    return struct.pack(">BxLLBB", 4, len(data) + 6, len(data) + 2, context_id, control) + data


class RawPeer:
    """A connection to the receiver. Use as a context manager."""

    def __init__(self, port: int, timeout_s: float = 10.0, **request: Any) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self._request = request

    def __enter__(self) -> "RawPeer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_pdu(self) -> tuple[int, bytes]:
        """Type and body of the next PDU; type 0 at the end of the connection."""
        head = self._read(6)
        if len(head) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxL", head)
        return kind, self._read(length)

    def associate(self) -> int:
        """Ask for an association; the type of the answer (2: accepted, 3: rejected)."""
        self.send(association_request(**self._request))
        return self.read_pdu()[0]

    def store(self, data: bytes, sop_class_uid: str, sop_instance_uid: str, fragment: int = 16_000) -> Response:
        """A C-STORE with context 1, its data in fragments."""
        self.send(p_data(store_command(sop_class_uid, sop_instance_uid), is_command=True))
        for at in range(0, max(len(data), 1), fragment):
            part = data[at : at + fragment]
            self.send(p_data(part, is_command=False, is_last=at + fragment >= len(data)))
        return self.response()

    def response(self) -> Response:
        """The next DIMSE response. Raises AssertionError where something else comes."""
        kind, body = self.read_pdu()
        assert kind == 4, f"PDU type {kind} instead of a response"
        elements: dict[int, bytes] = {}
        at = 6
        while at < len(body):
            _, element, length = struct.unpack_from("<HHL", body, at)
            elements[element] = body[at + 8 : at + 8 + length]
            at += 8 + length
        return Response(elements)

    def release(self) -> int:
        """Ask for release; the type of the answer (6)."""
        self.send(struct.pack(">BxLL", 5, 4, 0))
        return self.read_pdu()[0]

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return data
            if not part:
                return data
            data += part
        return data
