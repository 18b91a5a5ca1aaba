"""Peers that misbehave at any byte: each is answered or hung up on, nothing is left behind, and others are served."""

import gc
import os
import resource
import socket
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import MRImageStorage
from support.dicom_objects import encoded, mr_series
from support.raw_peer import VERIFICATION, RawPeer, association_request, command, p_data, store_command
from support.receiving import Running, running

ECHO = command(e0002=VERIFICATION, e0100=0x30, e0110=7, e0800=0x0101)
ABORT = 7
CLOSED = 0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Running]:
    """A receiver that loses patience soon."""
    with running(
        tmp_path / "root", acse_timeout_s=0.6, dimse_timeout_s=0.6, network_timeout_s=0.6, socket_timeout_s=0.6,
        pdu_deadline_s=1.0, maximum_object_bytes=8_000_000, maximum_associations_per_address=8,
    ) as made:  # fmt: skip
        yield made


def echo(port: int, timeout_s: float = 5.0) -> int:
    with RawPeer(port, timeout_s) as peer:
        assert peer.associate() == 2
        peer.send(p_data(ECHO, is_command=True, context_id=3))
        return peer.response().status


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.01)
    return holds()


def hung_up(act: Callable[[], object], times: int) -> bool:
    """The receiver ended the connection before the last time."""
    try:
        for _ in range(times):
            act()
    except OSError:
        return True
    return False


def deep(levels: int) -> pydicom.Dataset:
    ds = mr_series()[0]
    inner = pydicom.Dataset()
    for _ in range(levels):
        outer = pydicom.Dataset()
        outer.ReferencedImageSequence = [inner]
        inner = outer
    ds.ReferencedImageSequence = [inner]
    return ds


def without(keyword: str) -> pydicom.Dataset:
    return mr_series(headers={keyword: None})[0]


def raw_nesting(levels: int) -> bytes:
    """A valid object with undefined-length sequences nested deeper than any encoder here would recurse."""
    ds = mr_series()[0]
    pixels = ds.PixelData
    del ds.PixelData
    start = struct.pack("<HH2sHL", 0x4000, 0x0010, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    end = struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    tail = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, len(pixels)) + pixels
    return encoded(ds) + start * levels + end * levels + tail


GOOD = mr_series()[0]
DATA = encoded(GOOD)
FOUR_GIB = DATA[: DATA.rindex(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))] + struct.pack(
    "<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, 0xFFFFFFF0
)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(os.urandom(5000), 0xC000, id="random bytes"),
        pytest.param(b"", 0xA900, id="empty"),
        pytest.param(b"%PDF-1.4 not an image" * 50, 0xC000, id="not DICOM"),
        pytest.param(DATA[:-100], 0xC000, id="truncated in the pixels"),
        pytest.param(DATA[:333], 0xC000, id="truncated in the header"),
        pytest.param(FOUR_GIB + b"\0" * 64, 0xC000, id="an element of 4 GiB"),
        pytest.param(encoded(GOOD, "1.2.840.10008.1.2"), 0xC000, id="another transfer syntax"),
        pytest.param(encoded(deep(60)), 0xC000, id="60 sequences deep"),
        pytest.param(raw_nesting(500), 0xC000, id="500 sequences deep"),
        pytest.param(encoded(without("StudyInstanceUID")), 0xA900, id="no study UID"),
        pytest.param(encoded(without("PixelData")), 0xA900, id="no pixels"),
        pytest.param(encoded(without("Rows")), 0xA900, id="no rows"),
        pytest.param(encoded(mr_series(headers={"Rows": 60000, "Columns": 60000})[0]), 0xA900, id="too few pixels"),
        pytest.param(encoded(mr_series(series_uid="1.2.9")[0]), 0xA900, id="another instance than announced"),
    ],
)
def test_what_is_no_image_is_refused_and_not_kept(node: Running, data: bytes, status: int) -> None:
    with RawPeer(node.port) as peer:
        peer.associate()
        assert peer.store(data, GOOD.SOPClassUID, GOOD.SOPInstanceUID).status == status
        assert peer.store(DATA, GOOD.SOPClassUID, GOOD.SOPInstanceUID).status == 0
    assert len(node.stored()) == 1
    assert node.half_written() == []


@pytest.mark.parametrize("bad", ["../../x", "1.2/../../etc", "", "1" * 65, "1..2", "1.2\n3"])
def test_uids_that_are_none_are_refused(node: Running, tmp_path: Path, bad: str) -> None:
    """In the command and in the data set; and no file appears anywhere but in the store."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = mr_series(headers={"SeriesInstanceUID": bad})[0]
    with RawPeer(node.port) as peer:
        peer.associate()
        assert peer.store(DATA, MRImageStorage, bad).status in (0xA900, 0x0117)
        assert peer.store(encoded(ds), ds.SOPClassUID, ds.SOPInstanceUID).status == 0xA900
    assert node.stored() == []
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == set()


def test_a_sop_class_that_was_not_negotiated(node: Running) -> None:
    with RawPeer(node.port, abstract_syntaxes=("1.2.840.10008.5.1.4.1.1.2", VERIFICATION)) as peer:
        kind = peer.associate()
        assert kind == 2
        peer.send(p_data(store_command("1.2.840.10008.5.1.4.1.1.2", "1.2.3"), is_command=True))
        assert peer.read_pdu()[0] == ABORT
    with RawPeer(node.port) as peer:
        peer.associate()
        assert peer.store(DATA, "1.2.840.10008.5.1.4.1.1.2", GOOD.SOPInstanceUID).status == 0xA900


def test_too_large_an_object_is_refused_and_memory_stays(node: Running) -> None:
    """A700 at the end of the message; the association lives on."""
    ds = mr_series(shape_zyx=(1, 2100, 2100))[0]
    with RawPeer(node.port) as peer:
        peer.associate()
        assert peer.store(encoded(ds), ds.SOPClassUID, ds.SOPInstanceUID, fragment=100_000).status == 0xA700
        assert peer.store(DATA, GOOD.SOPClassUID, GOOD.SOPInstanceUID).status == 0
    assert node.half_written() == []


def test_endless_fragments_end_in_an_abort_with_memory_bounded(node: Running) -> None:
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    piece = p_data(b"\0" * 120_000, is_command=False, is_last=False)
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(p_data(store_command(MRImageStorage, "1.2.3"), is_command=True))
        assert hung_up(lambda: peer.send(piece), 2000)
    assert eventually(lambda: node.receiver.open_associations == 0)
    assert node.half_written() == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(os.urandom(64).replace(b"\x01", b"\x99"), id="random bytes"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="HTTP"),
        pytest.param(b"\x01\x00\xff\xff\xff\xff", id="a request of 4 GiB"),
        pytest.param(b"\x01\x00\x00\x00\x00\x44" + b"\xff" * 68, id="a damaged request"),
        pytest.param(struct.pack(">BxLL", 5, 4, 0), id="release before association"),
    ],
)
def test_what_is_no_association_request_is_aborted(node: Running, sent: bytes) -> None:
    with RawPeer(node.port) as peer:
        peer.send(sent)
        assert peer.read_pdu()[0] in (ABORT, CLOSED)
    assert echo(node.port) == 0


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x04\x00\x7f\xff\xff\xff" + b"\0" * 64, id="a PDU of 2 GiB"),
        pytest.param(b"\x09\x00\x00\x00\x00\x04\0\0\0\0", id="an unknown PDU"),
        pytest.param(association_request(), id="a second association request"),
        pytest.param(b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\xff\x01\x03", id="a fragment longer than its PDU"),
        pytest.param(p_data(b"\0\0", is_command=True), id="half a command set"),
        pytest.param(p_data(DATA, is_command=False), id="a data set without command"),
        pytest.param(p_data(ECHO, is_command=True, context_id=99), id="an unknown context"),
        pytest.param(p_data(b"\0" * 60_000, is_command=True, is_last=False) * 3, id="an endless command"),
        pytest.param(
            p_data(store_command(MRImageStorage, "1.2.3"), is_command=True) + struct.pack(">BxLL", 5, 4, 0),
            id="a release within a message",
        ),
    ],
)
def test_violations_of_the_protocol_are_aborted(node: Running, sent: bytes) -> None:
    with RawPeer(node.port) as peer:
        assert peer.associate() == 2
        peer.send(sent)
        assert peer.read_pdu()[0] == ABORT
    assert node.half_written() == []
    assert echo(node.port) == 0


HALVES = {
    "nothing": b"",
    "four bytes of a header": b"\x04\x00\x00\x00",
    "half a PDU": p_data(DATA, is_command=False)[:500],
    "a command without its data": p_data(store_command(MRImageStorage, "1.2.3"), is_command=True),
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES.keys())
def test_a_peer_that_stalls_is_aborted(node: Running, half: bytes) -> None:
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(half)
        assert peer.read_pdu()[0] == ABORT
    assert eventually(lambda: node.receiver.open_associations == 0)


@pytest.mark.parametrize("associated", [False, True])
def test_a_trickle_is_ended_at_the_deadline(node: Running, associated: bool) -> None:
    """One byte now and then keeps no connection alive beyond the deadline of a PDU or request."""
    trickled = p_data(DATA, is_command=False) if associated else association_request()
    with RawPeer(node.port) as peer:
        if associated:
            peer.associate()
        began = time.monotonic()
        peer.socket.settimeout(0.1)
        ended = False
        for byte in trickled:
            try:
                peer.send(bytes((byte,)))
                ended = peer.socket.recv(1) in (b"", b"\x07")
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                break
        assert ended
        assert time.monotonic() - began < 8


def test_a_trickle_of_whole_pdus_is_ended_too(node: Running) -> None:
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(p_data(store_command(MRImageStorage, "1.2.3"), is_command=True))
        tiny = p_data(b"\0\0", is_command=False, is_last=False)
        assert hung_up(lambda: (peer.send(tiny), time.sleep(0.05)), 200)
    assert node.half_written() == []


def test_300_silent_connections_and_an_echo_is_answered(node: Running) -> None:
    """Silent, half-said and trickled requests wait in the lobby; C-ECHO from the same address within 5 s."""
    silent = []
    try:
        for number in range(300):
            peer = RawPeer(node.port)
            peer.send(association_request()[: number % 40] if number % 3 else b"")
            silent.append(peer)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        began = time.monotonic()
        assert echo(node.port, 5.0) == 0
        assert time.monotonic() - began < 5
        assert threading.active_count() < 20
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 2
    finally:
        for peer in silent:
            peer.socket.close()


def finish_by_reset(peer: RawPeer) -> None:
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.socket.close()


def finish_by_abort(peer: RawPeer) -> None:
    peer.send(struct.pack(">BxLL", 7, 4, 0))


@pytest.mark.parametrize("finish", [finish_by_reset, finish_by_abort, lambda peer: peer.socket.close()])
@pytest.mark.parametrize("large", [False, True])
def test_an_end_at_any_byte_leaves_nothing(node: Running, finish: Callable[[RawPeer], None], large: bool) -> None:
    """RST, A-ABORT and FIN within an object: no orphan file, no acknowledged object, the place is free again."""
    ds = mr_series(shape_zyx=(1, 1800, 1800))[0] if large else GOOD
    whole = p_data(store_command(ds.SOPClassUID, ds.SOPInstanceUID), is_command=True)
    data = encoded(ds)
    whole += b"".join(
        p_data(data[at : at + 100_000], is_command=False, is_last=at + 100_000 >= len(data))
        for at in range(0, len(data), 100_000)
    )
    for cut in (1, 7, 100, len(whole) // 3, len(whole) - 20):
        with RawPeer(node.port) as peer:
            assert peer.associate() == 2
            peer.send(whole[:cut])
            finish(peer)
            assert eventually(lambda: node.receiver.open_associations == 0)
    assert node.stored() == []
    assert eventually(lambda: node.half_written() == [])
    assert echo(node.port) == 0


def test_no_descriptor_and_no_thread_is_left_after_many_faults(node: Running) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    echo(node.port)
    assert eventually(lambda: threading.active_count() <= 3)
    before = descriptors()
    for _ in range(20):
        with RawPeer(node.port) as peer:
            peer.send(os.urandom(10))
        with RawPeer(node.port) as peer:
            peer.associate()
            peer.send(p_data(DATA, is_command=False)[:700])
    assert eventually(lambda: node.receiver.open_associations == 0)
    assert eventually(lambda: descriptors() <= before)
