"""The walk over a data set: finds what pydicom finds, and refuses what is none without reading beyond its end."""

import contextlib
import struct
import warnings
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from support.dicom_objects import encoded, mr_series, write

from dicom_node.store import elements
from dicom_node.store.errors import ObjectRefused, ObjectUnreadable

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


def nested(undefined: bool) -> pydicom.Dataset:
    """An image with a sequence of two items, one of which holds a sequence, and a private sequence."""
    ds = mr_series()[0]
    inner, first, second, private = (pydicom.Dataset() for _ in range(4))
    inner.CodeValue = "113076"
    first.ReferencedSOPInstanceUID, first.PurposeOfReferenceCodeSequence = "1.2.3", [inner]
    second.ReferencedSOPInstanceUID = "1.2.4"
    private.PatientComments = "x"
    ds.ReferencedImageSequence = [first, second]
    block = ds.private_block(0x0029, "QUARTET TEST", create=True)
    block.add_new(0x10, "SQ", [private])
    for element in (ds["ReferencedImageSequence"], first["PurposeOfReferenceCodeSequence"], ds[0x0029, 0x1010]):
        element.is_undefined_length = undefined
        for item in element.value:
            item.is_undefined_length_sequence_item = undefined
    return ds


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
def test_the_same_elements_as_pydicom_finds(syntax: str, undefined: bool) -> None:
    ds = nested(undefined)
    data = memoryview(encoded(ds, syntax))
    found = elements.top_level(data, implicit=syntax == ImplicitVRLittleEndian)
    assert list(found) == [int(element.tag) for element in ds]
    assert bytes(data[found[0x00100020].start : found[0x00100020].end]).rstrip() == b"P1"
    items = list(elements.items(data, found[0x00081140]))
    assert [0x0040A170 in item for item in items] == [True, False]
    inner = next(elements.items(data, items[0][0x0040A170]))
    assert bytes(data[inner[0x00080100].start : inner[0x00080100].end]) == b"113076"


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
def test_no_truncation_passes(syntax: str, undefined: bool) -> None:
    """Cut anywhere but between two elements, it is no data set; cut between two, elements are missing."""
    data = memoryview(encoded(nested(undefined), syntax))
    implicit = syntax == ImplicitVRLittleEndian
    whole = elements.top_level(data, implicit=implicit)
    borders = {element.end for element in whole.values()}
    for cut in range(1, len(data)):
        if cut in borders:
            assert len(elements.top_level(data[:cut], implicit=implicit)) < len(whole)
        else:
            with pytest.raises(ObjectUnreadable):
                elements.top_level(data[:cut], implicit=implicit)


def test_compressed_pixels_end_at_their_delimiter() -> None:
    fragment = struct.pack("<HHL", 0xFFFE, 0xE000, 4) + b"abcd"
    data = struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + fragment * 2
    whole = data + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    assert elements.top_level(memoryview(whole), implicit=False)[0x7FE00010].end == len(whole)
    for broken in (data, data + b"\0" * 8, data[:-1]):
        with pytest.raises(ObjectUnreadable):
            elements.top_level(memoryview(broken), implicit=False)


@pytest.mark.parametrize("tag", [(0x0000, 0x0900), (0x0002, 0x0010), (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)])
def test_elements_that_have_no_place_in_a_data_set(tag: tuple[int, int]) -> None:
    with pytest.raises(ObjectUnreadable, match=r"no place|delimiter"):
        elements.top_level(memoryview(struct.pack("<HHL", *tag, 0)), implicit=True)


def test_too_many_elements_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MAXIMUM_ELEMENTS", 50)
    with pytest.raises(ObjectUnreadable, match="more than 50"):
        elements.top_level(memoryview(encoded(nested(True))), implicit=False)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_random_bytes_never_do_more_than_refuse(data: bytes, implicit: bool) -> None:
    with contextlib.suppress(ObjectRefused):
        elements.top_level(memoryview(data), implicit=implicit)


BASE = encoded(nested(True))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(BASE) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_altered_bytes_never_do_more_than_refuse(changes: list[tuple[int, int]]) -> None:
    data = bytearray(BASE)
    for at, value in changes:
        data[at] = value
    try:
        found = elements.top_level(memoryview(data), implicit=False)
    except ObjectRefused:
        return
    assert all(0 <= one.start <= one.end <= len(data) for one in found.values())
    for one in found.values():
        if one.vr == "SQ":
            list(elements.items(memoryview(data), one))


def test_files_of_pydicom_are_walked_whole(tmp_path: Path) -> None:
    """pydicom's own test files in our syntaxes: the same top-level tags."""
    walked = 0
    for name in ("MR_small.dcm", "MR_small_implicit.dcm", "emri_small.dcm", "examples_overlay.dcm"):
        path = pydicom.data.get_testdata_file(name, download=False)
        if path is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pydicom.dcmread(path)
        copy = write([pydicom.Dataset(ds)], tmp_path / name, ds.file_meta.TransferSyntaxUID)[0]
        with copy.open("rb") as file:
            start = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta
        data = copy.read_bytes()
        offset = 144 + start.FileMetaInformationGroupLength
        found = elements.top_level(memoryview(data)[offset:], implicit=ds.file_meta.TransferSyntaxUID.is_implicit_VR)
        assert list(found) == [int(element.tag) for element in ds]
        walked += 1
    assert walked >= 2
