"""Acknowledged is durable: kill -9, a full disk, a disk that fails to sync, a root that cannot be written.

The receiver runs as a process of its own here, so that it can be killed and traced.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from support.dicom_objects import encoded, mr_series
from support.raw_peer import RawPeer, p_data, store_command

from dicom_node.store import adopt
from dicom_node.store.errors import StoreUnusable
from dicom_node.store.instances import InstanceStore

PROGRAM = """
import sys
from pathlib import Path
from support.receiving import RememberingIntake
from dicom_node.association.server import Receiver
from dicom_node.settings import AssociationSettings
from dicom_node.store.instances import InstanceStore
store = InstanceStore(Path(sys.argv[1]), 0)
store.prepare()
receiver = Receiver(AssociationSettings(host="127.0.0.1", port=0, any_peer=True), RememberingIntake(), store)
receiver.start()
print(receiver.port, flush=True)
sys.stdin.read()
receiver.stop()
"""
ONE_GIB = 1 << 30
PATIENCE_S = 90.0
"""For an answer of a receiver whose disk is busy: no test here is about speed."""


@contextmanager
def process(root: Path, *wrapper: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A receiver process, traced by `wrapper` where given, and its port."""
    tests = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"}
    command = [*wrapper, sys.executable, "-c", PROGRAM, str(root)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as receiver:
        assert receiver.stdin is not None
        assert receiver.stdout is not None
        try:
            yield receiver, int(receiver.stdout.readline())
        finally:
            receiver.stdin.close()
            try:
                receiver.wait(20)
            except subprocess.TimeoutExpired:
                receiver.kill()


def store(peer: RawPeer, number: int, series: list) -> int:
    ds = series[number]
    return peer.store(encoded(ds), ds.SOPClassUID, ds.SOPInstanceUID).status


@pytest.mark.timeout(400)  # three interpreters start here, and a busy machine takes its time
@pytest.mark.parametrize(
    "share",
    [
        pytest.param(0.0, id="before its data set"),
        pytest.param(0.6, id="within its data set"),
        pytest.param(1.0, id="before its answer"),
    ],
)
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, share: float) -> None:
    """Killed in three lives, each time in an object: what was acknowledged is adopted whole, and no half one is."""
    series = iter(mr_series(shape_zyx=(30, 64, 64)))
    acknowledged: set[str] = set()
    for lived in (1, 5, 20):
        with process(tmp_path) as (receiver, port), RawPeer(port, PATIENCE_S) as peer:
            peer.associate()
            for ds in islice(series, lived):
                assert peer.store(encoded(ds), ds.SOPClassUID, ds.SOPInstanceUID).status == 0
                acknowledged.add(ds.SOPInstanceUID)
            ds = next(series)
            data = p_data(encoded(ds), is_command=False)
            peer.send(p_data(store_command(ds.SOPClassUID, ds.SOPInstanceUID), is_command=True))
            peer.send(data[: int(share * len(data))])
            receiver.send_signal(signal.SIGKILL)
    kept = InstanceStore(tmp_path, 0)
    adopt.sweep(kept)
    adopted = {one.sop_instance_uid for one in adopt.unrecorded(kept, lambda _: False, maximum_pixel_bytes=ONE_GIB)}
    assert len(acknowledged) == 26
    assert acknowledged <= adopted
    assert list((tmp_path / "incoming").iterdir()) == []
    assert list((tmp_path / "quarantine").iterdir()) == []


def traced(*inject: str) -> list[str]:
    """strace that makes system calls of the receiver fail; skips where it is not there or may not trace."""
    if shutil.which("strace") is None:
        pytest.skip("apt-get install strace")
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("strace may not trace here")
    return ["strace", "-f", "-qq", "-o", "/dev/null", *(word for fault in inject for word in ("-e", fault))]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        pytest.param("inject=rename:error=ENOSPC:when=1+", 0xA700, id="no room for the name"),
        pytest.param("inject=rename:error=EROFS:when=1+", 0x0110, id="read-only file system"),
    ],
)
def test_an_object_that_is_not_durable_is_not_acknowledged(tmp_path: Path, fault: str, status: int) -> None:
    """The sender is told, the association lives on, and nothing half-written stays."""
    series = mr_series(shape_zyx=(3, 32, 32))
    wrapper = traced(f"trace={re.split('[=:]', fault)[1]}", fault)
    with process(tmp_path, *wrapper) as (_, port), RawPeer(port, PATIENCE_S) as peer:
        peer.associate()
        assert {store(peer, number, series) for number in range(3)} == {status}
        assert peer.release() == 6
    assert list(tmp_path.glob("instances/*/*.dcm")) == []
    assert list((tmp_path / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("when", "statuses", "kept"),
    [
        pytest.param("3+", [0, 0x0110, 0x0110], 1, id="of the file, for ever"),
        pytest.param("3", [0, 0x0110, 0], 2, id="of the file, once"),
        pytest.param("4", [0, 0x0110, 0], 3, id="of the folder, once: there, but not acknowledged"),
    ],
)
def test_a_sync_that_fails_is_no_acknowledgement(tmp_path: Path, when: str, statuses: list[int], kept: int) -> None:
    """Two syncs an object in the association's thread: of the file, then of its folder (strace counts by thread)."""
    series = mr_series(shape_zyx=(3, 32, 32))
    wrapper = traced("trace=fsync", f"inject=fsync:error=EIO:when={when}")
    with process(tmp_path, *wrapper) as (_, port), RawPeer(port, PATIENCE_S) as peer:
        peer.associate()
        assert [store(peer, number, series) for number in range(3)] == statuses
    assert len(list(tmp_path.glob("instances/*/*.dcm"))) == kept
    assert list((tmp_path / "incoming").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small tmpfs")
def test_a_full_disk_answers_a700_and_recovers(tmp_path: Path) -> None:
    """On a tmpfs of 2 MiB: A700 while it is full, 0000 once there is room again, nothing acknowledged is lost."""
    root = tmp_path / "small"
    root.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", root], capture_output=True, check=False
    ).returncode:
        pytest.skip("may not mount here")
    try:
        series = mr_series(shape_zyx=(6, 512, 512))
        with process(root) as (_, port), RawPeer(port, PATIENCE_S) as peer:
            peer.associate()
            statuses = [store(peer, number, series) for number in range(6)]
            assert statuses[:2] == [0, 0]
            assert 0xA700 in statuses
            kept = sorted(root.glob("instances/*/*.dcm"))
            assert len(kept) == statuses.count(0)
            assert list((root / "incoming").iterdir()) == []
            kept[0].unlink()
            assert store(peer, statuses.index(0xA700), series) == 0
    finally:
        subprocess.run(["umount", root], check=True)


def test_a_root_that_cannot_be_written_is_said_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match=r"storage\.root"):
        InstanceStore(tmp_path / "file", 0).prepare()


def test_a_damaged_object_is_quarantined_and_a_new_one_heals_it(tmp_path: Path) -> None:
    """Adoption never deletes; the sender's next try puts the whole object in its place."""
    series = mr_series(shape_zyx=(2, 32, 32))
    with process(tmp_path) as (_, port), RawPeer(port, PATIENCE_S) as peer:
        peer.associate()
        assert store(peer, 0, series) == store(peer, 1, series) == 0
        damaged = sorted(tmp_path.glob("instances/*/*.dcm"))[0]
        content = damaged.read_bytes()
        damaged.write_bytes(content[:-7])
        kept = InstanceStore(tmp_path, 0)
        assert len(list(adopt.unrecorded(kept, lambda _: False, maximum_pixel_bytes=ONE_GIB))) == 1
        assert [path.name for path in (tmp_path / "quarantine").iterdir()] == [damaged.name]
        assert {store(peer, 0, series), store(peer, 1, series)} == {0}
    adopted = list(adopt.unrecorded(kept, lambda _: False, maximum_pixel_bytes=ONE_GIB))
    assert {one.sop_instance_uid for one in adopted} == {ds.SOPInstanceUID for ds in series}
    assert all(one.calling_ae_title == "RAW" and one.peer_address == "127.0.0.1" for one in adopted)
    assert all(one.received_at <= datetime.now(UTC) for one in adopted)
