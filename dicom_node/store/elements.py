"""Walks the elements of a data set without recursion and without decoding values (PS3.5 7.1, 7.5, A.4).

Called by store/headers.py and by the receiver. Every length is checked against the bytes that are there, so a truncated
object, a foreign file and an element that declares 4 GiB are told from a data set before anything is allocated.
Knows tags and lengths only; what they mean is headers.py's.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from pydicom.datadict import dictionary_VR

from dicom_node.store.errors import ObjectUnreadable

Buffer = memoryview
"""Any contiguous bytes: of a bytearray, or of a mapped file."""

MAXIMUM_DEPTH = 32
"""Nested sequences; real enhanced MR has 5. pydicom's readers recurse, so a deeper object would break them later."""
MAXIMUM_ELEMENTS = 2_000_000
"""About two seconds of walking; an enhanced MR of 10,000 frames has a million."""

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_DATA = 0x7FE00010
_EXPLICIT = struct.Struct("<HH2sH")
_IMPLICIT = struct.Struct("<HHL")
_LONG = struct.Struct("<L")
_SHORT_FORM = frozenset("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())  # noqa: SIM905
"""VRs whose length has two bytes (PS3.5 7.1.2)."""
_VRS = {vr.encode(): vr for vr in [*_SHORT_FORM, *"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()]}  # noqa: SIM905


class Element(NamedTuple):
    """Where the value of one element lies in the buffer: [start, end)."""

    tag: int
    vr: str
    """As written; from the dictionary in implicit VR ("UN" where unknown)."""
    start: int
    end: int
    implicit: bool
    """The encoding of what lies inside a sequence."""
    undefined_length: bool


@dataclass(slots=True)
class _Level:
    """The data set, a sequence or an item that is being walked."""

    end: int
    """Where it ends; at the latest, where its length is undefined."""
    undefined: bool
    implicit: bool
    sequence: tuple[int, str, int] | None = None
    """Tag, VR and start of value of a sequence; None for the data set and for items."""


def top_level(buffer: Buffer, *, implicit: bool) -> Mapping[int, Element]:
    """Walk a whole data set and give its top-level elements by tag. Raises `ObjectUnreadable` where it is none."""
    return _walk(buffer, 0, _Level(end=len(buffer), undefined=False, implicit=implicit))[0]


def items(buffer: Buffer, sequence: Element) -> Iterator[Mapping[int, Element]]:
    """The items of a sequence that `top_level` or `items` gave, each as its elements by tag."""
    at = sequence.start
    while at + 8 <= sequence.end:
        tag, length = _tag_and_length(buffer, at, sequence.end)
        if tag != _ITEM:
            return
        end = sequence.end if length == _UNDEFINED else at + 8 + length
        level = _Level(end=end, undefined=length == _UNDEFINED, implicit=sequence.implicit)
        elements, at = _walk(buffer, at + 8, level)
        yield elements


def _walk(buffer: Buffer, at: int, root: _Level) -> tuple[dict[int, Element], int]:
    """The elements directly inside `root`, and the offset after it."""
    found: dict[int, Element] = {}
    stack = [root]
    for _ in range(MAXIMUM_ELEMENTS):
        level = stack[-1]
        if at == level.end and not level.undefined:
            if _leave(stack, at, found):
                return found, at
        elif level.sequence is not None:
            tag, length = _tag_and_length(buffer, at, level.end)
            at += 8
            if tag == _SEQUENCE_END and level.undefined:
                _leave(stack, at, found)
            elif tag == _ITEM:
                _enter(stack, at, length, level.implicit, None)
            else:
                raise ObjectUnreadable(f"no item where one is due, at byte {at - 8}")
        else:
            tag, vr, start, length = _header(buffer, at, level)
            if tag == _ITEM_END and level.undefined:
                at = start
                if _leave(stack, at, found):
                    return found, at
            elif length == _UNDEFINED and tag == _PIXEL_DATA:
                at = _after_fragments(buffer, start, level.end)
                if level is root:
                    found[tag] = Element(tag, vr, start, at, level.implicit, True)
            elif length == _UNDEFINED or vr == "SQ":
                _enter(stack, start, length, level.implicit or vr == "UN", (tag, vr, start))
                at = start
            else:
                at = start + length
                if at > level.end:
                    raise ObjectUnreadable(f"{_name(tag)} declares {length} bytes, {level.end - start} are there")
                if level is root:
                    found[tag] = Element(tag, vr, start, at, level.implicit, False)
    raise ObjectUnreadable(f"more than {MAXIMUM_ELEMENTS} elements")


def _enter(stack: list[_Level], start: int, length: int, implicit: bool, sequence: tuple[int, str, int] | None) -> None:
    outer = stack[-1].end
    undefined = length == _UNDEFINED
    end = outer if undefined else start + length
    if end > outer:
        raise ObjectUnreadable(
            f"an item or sequence at byte {start} declares {length} bytes, {outer - start} are there"
        )
    if len(stack) > 2 * MAXIMUM_DEPTH:
        raise ObjectUnreadable(f"sequences are nested more than {MAXIMUM_DEPTH} deep")
    stack.append(_Level(end=end, undefined=undefined, implicit=implicit, sequence=sequence))


def _leave(stack: list[_Level], at: int, found: dict[int, Element]) -> bool:
    """Close the innermost level; True where that was the root."""
    level = stack.pop()
    if level.sequence is not None and len(stack) == 1:
        tag, vr, start = level.sequence
        found[tag] = Element(tag, vr, start, at, level.implicit, level.undefined)
    return not stack


def _header(buffer: Buffer, at: int, level: _Level) -> tuple[int, str, int, int]:
    """Tag, VR, start of the value and declared length of the element at an offset."""
    if level.end - at < 8:
        raise ObjectUnreadable(f"{level.end - at} bytes at byte {at} are no element")
    if level.implicit:
        group, element, length = _IMPLICIT.unpack_from(buffer, at)
        tag = group << 16 | element
        vr = "" if group == 0xFFFE else vr_of(tag)
    else:
        group, element, raw_vr, length = _EXPLICIT.unpack_from(buffer, at)
        tag, vr = group << 16 | element, ""
        if group != 0xFFFE:
            vr = _VRS.get(raw_vr) or _foreign_vr(raw_vr, at)
            if vr not in _SHORT_FORM:
                if level.end - at < 12:
                    raise ObjectUnreadable(f"{level.end - at} bytes at byte {at} are no element")
                return tag, vr, at + 12, _LONG.unpack_from(buffer, at + 8)[0]
        else:
            length = _LONG.unpack_from(buffer, at + 4)[0]
    if group <= 2 or (group == 0xFFFE and tag != _ITEM_END):
        raise ObjectUnreadable(f"{_name(tag)} has no place in a data set (byte {at})")
    return tag, vr, at + 8, length


def _after_fragments(buffer: Buffer, at: int, end: int) -> int:
    """The offset after encapsulated pixel data (PS3.5 A.4)."""
    while True:
        tag, length = _tag_and_length(buffer, at, end)
        at += 8
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM or length > end - at:
            raise ObjectUnreadable(f"encapsulated pixel data are broken at byte {at - 8}")
        at += length


def _tag_and_length(buffer: Buffer, at: int, end: int) -> tuple[int, int]:
    if end - at < 8:
        raise ObjectUnreadable(f"{end - at} bytes at byte {at} are no item")
    group, element, length = _IMPLICIT.unpack_from(buffer, at)
    return group << 16 | element, length


@lru_cache(maxsize=4096)
def vr_of(tag: int) -> str:
    """The VR of the dictionary (PS3.6); "UN" for private and unknown tags."""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def _foreign_vr(raw_vr: bytes, at: int) -> str:
    """A VR of a later edition has the long form (PS3.5 7.1.2)."""
    if raw_vr.isalpha() and raw_vr.isupper():
        return raw_vr.decode("ascii")
    raise ObjectUnreadable(f"no value representation at byte {at + 4}")


def _name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
