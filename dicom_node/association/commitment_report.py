"""Reads a storage commitment report (PS3.4 J.3.3.1, PS3.3 C.14). Called by handlers.py; no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass

from dicom_node.store.elements import Buffer, Element, items, top_level
from dicom_node.store.errors import ObjectUnfit
from dicom_node.store.text import values
from dicom_node.store.uids import is_uid

_TRANSACTION_UID = 0x00081195
_COMMITTED, _FAILED = 0x00081199, 0x00081198
_SOP_CLASS, _SOP_INSTANCE, _FAILURE_REASON = 0x00081150, 0x00081155, 0x00081197
_NO_REASON = 0x0110


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a PACS committed to, and what not."""

    transaction_uid: str
    committed: tuple[tuple[str, str], ...]
    """(SOP class, SOP instance)."""
    failed: tuple[tuple[str, str, int], ...]
    """(SOP class, SOP instance, FailureReason)."""


def read(data: bytes, *, implicit: bool) -> Report:
    """Raises `ObjectUnreadable` or `ObjectUnfit` where it is no report."""
    buffer = memoryview(data)
    elements = top_level(buffer, implicit=implicit)
    transaction_uid = _uid(buffer, elements, _TRANSACTION_UID)
    return Report(
        transaction_uid=transaction_uid,
        committed=tuple(
            (_uid(buffer, item, _SOP_CLASS), _uid(buffer, item, _SOP_INSTANCE))
            for item in _items(buffer, elements, _COMMITTED)
        ),
        failed=tuple(
            (_uid(buffer, item, _SOP_CLASS), _uid(buffer, item, _SOP_INSTANCE), _reason(buffer, item))
            for item in _items(buffer, elements, _FAILED)
        ),
    )


def _items(buffer: Buffer, elements: Mapping[int, Element], tag: int) -> list[Mapping[int, Element]]:
    return list(items(buffer, elements[tag])) if tag in elements else []


def _uid(buffer: Buffer, elements: Mapping[int, Element], tag: int) -> str:
    found = values(buffer, elements[tag], "UI", ("latin_1",)) if tag in elements else []
    text = str(found[0]) if found else ""
    if not is_uid(text):
        raise ObjectUnfit("a storage commitment report lacks a UID")
    return text


def _reason(buffer: Buffer, item: Mapping[int, Element]) -> int:
    found = values(buffer, item[_FAILURE_REASON], "US", ("latin_1",)) if _FAILURE_REASON in item else []
    return int(found[0]) if found else _NO_REASON
