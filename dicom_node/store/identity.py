"""Whose object it is, as a digest (PS3.3 C.7.1.1): the only reader of patient identifiers in the node.

Called by headers.py. Equal digests are the same patient; the digest tells nobody who that is.
"""

import hashlib
import unicodedata
from collections.abc import Mapping

from dicom_node.store.elements import Buffer, Element
from dicom_node.store.text import values

_PATIENT_NAME, _PATIENT_ID, _ISSUER, _BIRTH_DATE = 0x00100010, 0x00100020, 0x00100021, 0x00100030


def patient_digest(buffer: Buffer, elements: Mapping[int, Element], codecs: tuple[str, ...]) -> str:
    """SHA-256 of PatientID and its issuer; of name and birth date where there is no ID."""
    identifier, issuer = (_value(buffer, elements, tag, codecs) for tag in (_PATIENT_ID, _ISSUER))
    if identifier:
        parts = ("id", identifier, issuer)
    else:
        name, born = (_value(buffer, elements, tag, codecs) for tag in (_PATIENT_NAME, _BIRTH_DATE))
        parts = ("name", _plain(name), born)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _value(buffer: Buffer, elements: Mapping[int, Element], tag: int, codecs: tuple[str, ...]) -> str:
    element = elements.get(tag)
    if element is None:
        return ""
    vr = "DA" if tag == _BIRTH_DATE else "LO"
    return "\\".join(str(value) for value in values(buffer, element, vr, codecs))


def _plain(name: str) -> str:
    """The first component group, without case, padding and empty trailing components."""
    group = unicodedata.normalize("NFC", name.split("=")[0]).casefold()
    return "^".join(component.strip() for component in group.split("^")).rstrip("^")
