"""Bad objects and strangers at the door of a running receiver: what each is told, and that the good goes on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, MRImageStorage
from support.dcmtk import storescu
from support.dicom_objects import encoded, mr_series, write
from support.node import Node, running_node
from support.raw_peer import RawPeer


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The receiver alone: no worker is needed to refuse."""
    folder = tmp_path_factory.mktemp("receiver")
    with running_node(folder, start=False, weights=folder / "none") as node:
        node.start("receive")
        yield node


def stored(node: Node) -> int:
    return len(list(node.storage.glob("instances/*/*.dcm")))


def store_raw(node: Node, data: bytes) -> int:
    """The status that answers a C-STORE of these bytes as an MR image."""
    with RawPeer(node.port, 60.0, calling="TEST") as peer:
        assert peer.associate() == 2
        status = peer.store(data, MRImageStorage, "1.2.3.4").status
        peer.release()
    return status


def test_what_is_not_dicom_is_answered_with_c000_and_not_stored(node: Node) -> None:
    before = stored(node)
    assert store_raw(node, os.urandom(4000)) == 0xC000
    assert stored(node) == before
    assert node.echoes()


def test_a_truncated_object_is_answered_with_c000_and_not_stored(node: Node) -> None:
    data = encoded(mr_series(shape_zyx=(1, 16, 16))[0])
    before = stored(node)
    assert store_raw(node, data[:-100]) == 0xC000
    assert stored(node) == before
    assert list(node.storage.glob("incoming/*")) == []


def test_a_wrong_sop_class_finds_no_context(node: Node, tmp_path: Path) -> None:
    ds = mr_series(shape_zyx=(1, 16, 16))[0]
    ds.SOPClassUID, ds.Modality = CTImageStorage, "CT"
    said = storescu(node.port, write([ds], tmp_path))
    assert said.returncode != 0
    assert "No Acceptable Presentation Contexts" in said.stderr or "No presentation context" in said.stderr


def test_a_wrong_called_ae_title_is_told_so(node: Node, tmp_path: Path) -> None:
    said = storescu(node.port, write(mr_series(shape_zyx=(1, 16, 16)), tmp_path), called="SOMEONE")
    assert said.returncode != 0
    assert "Called AE Title Not Recognized" in said.stderr


def test_a_stranger_is_told_that_its_ae_title_is_unknown(node: Node, tmp_path: Path) -> None:
    said = storescu(node.port, write(mr_series(shape_zyx=(1, 16, 16)), tmp_path), calling="STRANGER")
    assert said.returncode != 0
    assert "Calling AE Title Not Recognized" in said.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_a_full_disk_is_answered_with_a700_and_room_helps(tmp_path: Path) -> None:
    root = tmp_path / "small"
    root.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", root], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no right to mount a tmpfs here")
    try:
        full_disk(tmp_path, root)
    finally:
        subprocess.run(["umount", "-l", root], check=True)


def full_disk(folder: Path, root: Path) -> None:
    """Fill up by C-STORE until it is refused; make room; it is taken, and nothing acknowledged is gone."""
    files = write(mr_series(shape_zyx=(12, 512, 512)), folder / "large")
    with running_node(folder / "node", start=False, storage=root, reserve_bytes=0, weights=folder / "none") as node:
        (root / "ballast").write_bytes(b"x" * 1_000_000)
        node.start("receive")
        statuses = node.send(files)
        taken = [status for status in statuses if status == 0]
        assert taken
        assert set(statuses) == {0, 0xA700}
        assert len(list(root.glob("instances/*/*.dcm"))) == len(taken)
        assert list(root.glob("incoming/*")) == []
        (root / "ballast").unlink()
        assert node.send(files[-1:]) == [0]
