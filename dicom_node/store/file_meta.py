"""The preamble and file meta information that open each stored file (PS3.10 7.1).

Written before the data set's bytes, which follow as they came; read back by adopt.py. Where an object came from stands
in it too, so that the catalog can be rebuilt from the store.
"""

import struct
from dataclasses import dataclass

from pydicom.uid import UID as PydicomUID
from pydicom.uid import ImplicitVRLittleEndian

from dicom_node.store.elements import Buffer
from dicom_node.store.errors import ObjectUnreadable

IMPLEMENTATION_CLASS_UID = "1.2.826.0.1.3680043.8.498.74217031556391"
"""Ours, in stored files and in association negotiation (PS3.7 D.3.3.2)."""
IMPLEMENTATION_VERSION_NAME = "QUARTET_0_1"

_PREAMBLE = b"\0" * 128 + b"DICM"
_GROUP_LENGTH = 0x0000
_VERSION = 0x0001
_SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX = 0x0002, 0x0003, 0x0010
_IMPLEMENTATION, _IMPLEMENTATION_NAME, _SOURCE_AE, _SOURCE_ADDRESS = 0x0012, 0x0013, 0x0016, 0x0026
_LONG_FORM = (b"OB", b"UR")
_MAXIMUM_BYTES = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class FileMeta:
    """What the store must know of an object beside its bytes."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    peer_address: str

    @property
    def implicit(self) -> bool:
        """The data set is in implicit VR."""
        return self.transfer_syntax_uid == ImplicitVRLittleEndian

    @property
    def encapsulated(self) -> bool:
        """The pixels are compressed."""
        return bool(PydicomUID(self.transfer_syntax_uid).is_compressed)


def encode(meta: FileMeta) -> bytes:
    """Preamble, prefix and group 0002 in Explicit VR Little Endian."""
    body = b"".join(
        (
            _element(_VERSION, b"OB", b"\0\1"),
            _element(_SOP_CLASS, b"UI", meta.sop_class_uid.encode("ascii")),
            _element(_SOP_INSTANCE, b"UI", meta.sop_instance_uid.encode("ascii")),
            _element(_TRANSFER_SYNTAX, b"UI", meta.transfer_syntax_uid.encode("ascii")),
            _element(_IMPLEMENTATION, b"UI", IMPLEMENTATION_CLASS_UID.encode("ascii")),
            _element(_IMPLEMENTATION_NAME, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii")),
            _element(_SOURCE_AE, b"AE", meta.calling_ae_title.encode("ascii", "replace")),
            _element(_SOURCE_ADDRESS, b"UR", f"dicom://{meta.peer_address}".encode("ascii", "replace")),
        )
    )
    return _PREAMBLE + _element(_GROUP_LENGTH, b"UL", struct.pack("<L", len(body))) + body


def decode(buffer: Buffer) -> tuple[FileMeta, int]:
    """The meta of a stored file, and the offset of its data set. Raises `ObjectUnreadable` where it is damaged."""
    head = bytes(buffer[:_MAXIMUM_BYTES])
    if head[128:132] != b"DICM" or len(head) < 144:
        raise ObjectUnreadable("no DICOM file")
    end = 144 + struct.unpack_from("<L", head, 140)[0]
    if end > len(head):
        raise ObjectUnreadable("the file meta information is longer than the file")
    found: dict[int, bytes] = {}
    at = 144
    while at + 8 <= end:
        _, tag, vr, length = struct.unpack_from("<HH2sH", head, at)
        at += 8
        if vr in _LONG_FORM:
            length = struct.unpack_from("<L", head, at)[0]
            at += 4
        found[tag] = head[at : min(at + length, end)]
        at += length
    if at != end or not all(tag in found for tag in (_SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX)):
        raise ObjectUnreadable("the file meta information is damaged")
    meta = FileMeta(
        sop_class_uid=_text(found, _SOP_CLASS),
        sop_instance_uid=_text(found, _SOP_INSTANCE),
        transfer_syntax_uid=_text(found, _TRANSFER_SYNTAX),
        calling_ae_title=_text(found, _SOURCE_AE),
        peer_address=_text(found, _SOURCE_ADDRESS).removeprefix("dicom://"),
    )
    return meta, end


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    value += (b" " if vr in (b"AE", b"SH", b"UR") else b"\0") * (len(value) % 2)
    if vr in _LONG_FORM:
        return struct.pack("<HH2sHL", 2, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value


def _text(found: dict[int, bytes], tag: int) -> str:
    return found.get(tag, b"").rstrip(b"\0 ").decode("ascii", "replace")
