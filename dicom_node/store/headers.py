"""What the node needs to know of an object, read from its bytes without its pixels (PS3.3 C.7, C.8.3, C.8.13).

Called by the receiver for each object and by adopt.py for files. Gives `ReceivedInstance.headers`: DICOM keyword ->
JSON value, times in ms, lists where the standard allows several values; enhanced MR is brought to the keywords of
classic MR. Patient identifiers are read by identity.py only and never stand in headers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.datadict import tag_for_keyword

from dicom_node.store.elements import Buffer, Element, items, top_level, vr_of
from dicom_node.store.errors import ObjectUnfit
from dicom_node.store.identity import patient_digest
from dicom_node.store.keywords import GROUP_KEYWORDS, GROUPS, KEYWORDS, MANY_VALUES
from dicom_node.store.text import Scalar, encodings, values
from dicom_node.store.uids import is_uid

_IMAGE_ELEMENTS: Final = ("Rows", "Columns", "BitsAllocated")
_PIXEL_DATA: Final = 0x7FE00010


def _tags(keywords: Iterable[str]) -> Mapping[int, tuple[str, str]]:
    """tag -> (keyword, VR). A keyword that the dictionary lacks is a mistake of ours and raises KeyError."""
    found = {}
    for keyword in keywords:
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise KeyError(keyword)
        found[tag] = (keyword, vr_of(tag).split(" ")[0])
    return found


_WANTED: Final = _tags(KEYWORDS)
_WANTED_IN_GROUPS: Final = _tags(GROUP_KEYWORDS)
_GROUP_TAGS: Final = frozenset(_tags(GROUPS))
_SHARED, _PER_FRAME = _tags(["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
_AGENT_SEQUENCE = next(iter(_tags(["ContrastBolusAgentSequence"])))
_CODE_MEANING = next(iter(_tags(["CodeMeaning"])))
_UIDS: Final = _tags(["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectFacts:
    """Who an object is, whose it is, and its headers."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    patient_digest: str
    headers: Mapping[str, object]


def read(buffer: Buffer, *, implicit: bool, encapsulated: bool, maximum_pixel_bytes: int) -> ObjectFacts:
    """Check an image object and read its facts.

    maximum_pixel_bytes bounds what the pixels would take once decoded. Raises `ObjectUnreadable` where the bytes are no
    data set, and `ObjectUnfit` where a UID, the image's shape or its pixels are missing or contradict each other.
    """
    elements = top_level(buffer, implicit=implicit)
    codecs = encodings(buffer, elements)
    uids = {keyword: _uid(buffer, elements, tag, keyword) for tag, (keyword, _) in _UIDS.items()}
    headers = _collect(buffer, elements, _WANTED, codecs)
    _check_pixels(elements, headers, encapsulated=encapsulated, maximum_pixel_bytes=maximum_pixel_bytes)
    if _SHARED in elements or _PER_FRAME in elements:
        _add_functional_groups(buffer, elements, codecs, headers)
    _add_contrast_agent(buffer, elements, codecs, headers)
    return ObjectFacts(
        sop_class_uid=uids["SOPClassUID"],
        sop_instance_uid=uids["SOPInstanceUID"],
        series_instance_uid=uids["SeriesInstanceUID"],
        study_instance_uid=uids["StudyInstanceUID"],
        patient_digest=patient_digest(buffer, elements, codecs),
        headers=headers,
    )


def _uid(buffer: Buffer, elements: Mapping[int, Element], tag: int, keyword: str) -> str:
    element = elements.get(tag)
    value = bytes(buffer[element.start : min(element.end, element.start + 66)]) if element else b""
    text = value.rstrip(b"\0 ").decode("ascii", "replace")
    if not is_uid(text):
        raise ObjectUnfit(f"{keyword} is {'no UID' if text else 'missing'}")
    return text


def _collect(
    buffer: Buffer, elements: Mapping[int, Element], wanted: Mapping[int, tuple[str, str]], codecs: tuple[str, ...]
) -> dict[str, object]:
    found: dict[str, object] = {}
    for tag in elements.keys() & wanted.keys():
        keyword, vr = wanted[tag]
        several = values(buffer, elements[tag], vr, codecs)
        if several:
            found[keyword] = several if len(several) > 1 or keyword in MANY_VALUES else several[0]
    return found


def _check_pixels(
    elements: Mapping[int, Element], headers: Mapping[str, object], *, encapsulated: bool, maximum_pixel_bytes: int
) -> None:
    """The pixels are there, and as many as the shape says (PS3.3 C.7.6.3)."""
    missing = [name for name in _IMAGE_ELEMENTS if not isinstance(headers.get(name), int)]
    pixels = elements.get(_PIXEL_DATA)
    if missing or pixels is None:
        raise ObjectUnfit(f"{', '.join(missing) or 'PixelData'} is missing")
    rows, columns, bits, samples, frames = (
        _integer(headers.get(name, 1)) for name in (*_IMAGE_ELEMENTS, "SamplesPerPixel", "NumberOfFrames")
    )
    expected = rows * columns * samples * max(frames, 1) * max(bits, 8) // 8
    if not expected or expected > maximum_pixel_bytes:
        raise ObjectUnfit(f"the image's shape asks for {expected} bytes of pixels; {maximum_pixel_bytes} are the limit")
    if encapsulated != pixels.undefined_length:
        raise ObjectUnfit("PixelData is not encoded as the transfer syntax says")
    if not encapsulated and pixels.end - pixels.start < expected:
        raise ObjectUnfit(f"PixelData has {pixels.end - pixels.start} bytes, the image's shape asks for {expected}")


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0


def _add_functional_groups(
    buffer: Buffer, elements: Mapping[int, Element], codecs: tuple[str, ...], headers: dict[str, object]
) -> None:
    """Bring the shared groups, and those of the first frame, to classic keywords. What stands on top level wins."""
    found: dict[str, object] = {}
    for sequence in (_PER_FRAME, _SHARED):
        groups = next(items(buffer, elements[sequence]), {}) if sequence in elements else {}
        for tag in groups.keys() & _GROUP_TAGS:
            for item in items(buffer, groups[tag]):
                found |= _collect(buffer, item, _WANTED_IN_GROUPS, codecs)
                break
    for keyword, value in found.items():
        headers.setdefault(keyword, value)
    _name_as_classic(headers)


def _name_as_classic(headers: dict[str, object]) -> None:
    for classic, enhanced in (
        ("EchoTime", "EffectiveEchoTime"),
        ("InversionTime", "InversionTimes"),
        ("EchoTrainLength", "RFEchoTrainLength"),
        ("ImageType", "FrameType"),
        ("TemporalPositionIdentifier", "TemporalPositionIndex"),
    ):
        value = headers.get(enhanced)
        if value is not None:
            first = value[0] if isinstance(value, list) and classic not in MANY_VALUES else value
            headers.setdefault(classic, first)
    if "ScanningSequence" not in headers:
        pulse: dict[object, list[Scalar]] = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["GR", "SE"]}
        kinds = pulse.get(headers.get("EchoPulseSequence"), [])
        inversion: list[Scalar] = ["IR"] if headers.get("InversionRecovery") == "YES" else []
        if kinds or inversion:
            headers["ScanningSequence"] = kinds + inversion


def _add_contrast_agent(
    buffer: Buffer, elements: Mapping[int, Element], codecs: tuple[str, ...], headers: dict[str, object]
) -> None:
    """The agent's name from its code where the text is absent (PS3.3 C.7.6.4, C.7.6.4b)."""
    if "ContrastBolusAgent" in headers or _AGENT_SEQUENCE not in elements:
        return
    for item in items(buffer, elements[_AGENT_SEQUENCE]):
        meaning = values(buffer, item[_CODE_MEANING], "LO", codecs) if _CODE_MEANING in item else []
        if meaning:
            headers["ContrastBolusAgent"] = meaning[0]
            return
