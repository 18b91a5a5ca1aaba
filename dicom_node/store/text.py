"""Values of elements as JSON values: text in any character set, numbers, dates (PS3.5 6.1, 6.2).

Called by headers.py and identity.py. A malformed value gives None: a wrong header must not cost the object.
"""

import math
import struct
from collections.abc import Mapping, Sequence

from pydicom.charset import decode_bytes, python_encoding

from dicom_node.store.elements import Buffer, Element

MAXIMUM_TEXT = 1024
"""Bytes of one element that are looked at. The longest legal LO has 64 characters in any of several components."""
MAXIMUM_VALUES = 64

_BINARY: Mapping[str, str] = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_CHARACTER_SET = 0x00080005
_IN_A_CHARACTER_SET = frozenset({"SH", "LO", "ST", "LT", "UT", "UC", "PN"})
_ONE_VALUE = frozenset({"ST", "LT", "UT", "UR"})
_PN_DELIMITERS = {0x5C, 0x5E, 0x3D}

Scalar = str | int | float


def encodings(buffer: Buffer, elements: Mapping[int, Element]) -> tuple[str, ...]:
    """Python codecs of SpecificCharacterSet (PS3.3 C.12.1.1.2); unknown ones are read as Latin-1."""
    element = elements.get(_CHARACTER_SET)
    names = _bytes(buffer, element).decode("ascii", "replace").split("\\") if element else [""]
    return tuple(python_encoding.get(name.strip(), "latin_1") for name in names[:8])


def values(buffer: Buffer, element: Element, vr: str, codecs: Sequence[str]) -> list[Scalar]:
    """All values of an element, read by the given VR; empty where there is none or one is malformed."""
    raw = _bytes(buffer, element)
    if vr in _BINARY:
        return _numbers(raw, _BINARY[vr])
    text = decode(raw, codecs) if vr in _IN_A_CHARACTER_SET else raw.decode("latin_1")
    text = text.rstrip(" \0")
    if not text:
        return []
    parts = [text] if vr in _ONE_VALUE else text.split("\\")[:MAXIMUM_VALUES]
    if vr not in ("DS", "IS"):
        return [part.strip(" \0") for part in parts]
    numbers = [_number(part, integer=vr == "IS") for part in parts]
    return [number for number in numbers if number is not None] if None not in numbers else []


def decode(raw: bytes, codecs: Sequence[str]) -> str:
    """Text in the data set's character sets; what cannot be decoded becomes U+FFFD."""
    if len(codecs) > 1 and b"\x1b" in raw:
        try:
            return str(decode_bytes(raw, list(codecs), _PN_DELIMITERS))
        except (LookupError, UnicodeError, UserWarning):
            return raw.decode("latin_1")
    return raw.decode(codecs[0], "replace")


def _bytes(buffer: Buffer, element: Element) -> bytes:
    return bytes(buffer[element.start : min(element.end, element.start + MAXIMUM_TEXT)])


def _number(text: str, *, integer: bool) -> Scalar | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if integer else number


def _numbers(raw: bytes, code: str) -> list[Scalar]:
    count = min(len(raw) // struct.calcsize("<" + code), MAXIMUM_VALUES)
    found = struct.unpack_from(f"<{count}{code}", raw)
    return list(found) if all(math.isfinite(number) for number in found) else []
