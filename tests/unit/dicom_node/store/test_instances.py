"""The store on disk: durable names, small and large objects, room, and nothing left behind."""

import hashlib
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from support.dicom_objects import encoded, mr_series

from dicom_node.errors import StoreError
from dicom_node.store import adopt, file_meta
from dicom_node.store.draft import SPILL_BYTES
from dicom_node.store.errors import ObjectUnreadable, StoreFull
from dicom_node.store.file_meta import FileMeta
from dicom_node.store.instances import InstanceStore


def meta_of(ds: pydicom.Dataset, calling: str = "PACS") -> FileMeta:
    return FileMeta(
        sop_class_uid=ds.SOPClassUID,
        sop_instance_uid=ds.SOPInstanceUID,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        calling_ae_title=calling,
        peer_address="fe80::1%eth0",
    )


@pytest.fixture
def store(tmp_path: Path) -> InstanceStore:
    made = InstanceStore(tmp_path / "root", 0)
    made.prepare()
    return made


def test_an_object_lies_under_the_hash_of_its_bytes(store: InstanceStore) -> None:
    ds = mr_series()[0]
    data = encoded(ds)
    file = store.write(data, meta_of(ds))
    assert file.sha256 == hashlib.sha256(data).hexdigest()
    assert file.path == f"instances/{file.sha256[:2]}/{file.sha256}.dcm"
    assert file.size_bytes == len(data)
    assert store.path_of(file).read_bytes().endswith(data)
    assert pydicom.dcmread(store.path_of(file)) == ds
    assert store.write(data, meta_of(ds, "OTHER")) == file


def test_a_large_object_goes_to_disk_as_it_comes_and_is_read_from_there(store: InstanceStore) -> None:
    ds = mr_series(shape_zyx=(1, 1700, 1700))[0]
    data = encoded(ds)
    assert len(data) > SPILL_BYTES
    with store.draft(meta_of(ds)) as draft:
        for at in range(0, len(data), 100_001):
            draft.append(memoryview(data)[at : at + 100_001])
        assert len(list(store.root.glob("incoming/*"))) == 1
        with draft.content() as content:
            assert content == data
        file = draft.commit()
    assert pydicom.dcmread(store.path_of(file)) == ds
    assert list(store.root.glob("incoming/*")) == []


@pytest.mark.parametrize("size", [10, SPILL_BYTES + 10])
def test_what_is_not_committed_vanishes(store: InstanceStore, size: int) -> None:
    with store.draft(meta_of(mr_series()[0])) as draft:
        draft.append(memoryview(bytes(size)))
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_the_reserve_keeps_objects_out(tmp_path: Path) -> None:
    store = InstanceStore(tmp_path, 1 << 60)
    store.prepare()
    assert not store.has_room()
    with pytest.raises(StoreFull):
        store.draft(meta_of(mr_series()[0]))


def test_a_root_that_is_gone_is_not_called_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An unmounted share: whoever reads the log should look for the mount, not for what to delete."""
    store = InstanceStore(tmp_path / "absent", 0)
    with pytest.raises(StoreError, match="cannot be reached: No such file") as caught:
        store.draft(meta_of(mr_series()[0]))
    assert not isinstance(caught.value, StoreFull)
    assert not store.has_room()
    assert "the storage root cannot be reached: No such file or directory" in caplog.text


def test_file_meta_comes_back(store: InstanceStore) -> None:
    meta = meta_of(mr_series()[0])
    head = file_meta.encode(meta)
    assert file_meta.decode(memoryview(head + b"data")) == (meta, len(head))
    for cut in range(len(head)):
        with pytest.raises(ObjectUnreadable):
            file_meta.decode(memoryview(head[:cut]))


def test_adoption_gives_what_the_receiver_gave(store: InstanceStore) -> None:
    """Only what is not recorded; half-written files are swept, foreign ones left alone."""
    series = mr_series()
    files = [store.write(encoded(ds), meta_of(ds)) for ds in series]
    (store.root / "incoming" / "dead.part").write_bytes(b"x")
    (store.root / "instances" / "readme.txt").write_text("mine")
    assert adopt.sweep(store) == 1
    found = list(adopt.unrecorded(store, {files[0].sha256}.__contains__, maximum_pixel_bytes=1 << 30))
    assert {one.file for one in found} == set(files[1:])
    one = found[0]
    assert (one.calling_ae_title, one.peer_address) == ("PACS", "fe80::1%eth0")
    assert one.headers["SeriesDescription"] == "Ax 3D BRAVO +C"


def test_a_second_receiver_on_the_store_leaves_alone_what_the_first_one_writes(store: InstanceStore) -> None:
    """Two receivers share a store; one starts again while the other is in the middle of a large object."""
    ds = mr_series(shape_zyx=(1, 1700, 1700))[0]
    data = memoryview(encoded(ds))
    (store.root / "incoming" / "dead.part").write_bytes(b"x")
    with store.draft(meta_of(ds)) as draft:
        draft.append(data[: SPILL_BYTES + 1])
        second = InstanceStore(store.root, 0)
        second.prepare()
        assert adopt.sweep(second) == 1
        draft.append(data[SPILL_BYTES + 1 :])
        assert pydicom.dcmread(store.path_of(draft.commit())) == ds


def test_damage_of_any_kind_goes_to_quarantine(store: InstanceStore) -> None:
    files = [store.write(encoded(ds), meta_of(ds)) for ds in mr_series(shape_zyx=(4, 16, 16))]
    paths = [store.path_of(file) for file in files]
    paths[0].write_bytes(b"")
    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    paths[2].write_bytes(b"\0" * 500)
    assert [one.file for one in adopt.unrecorded(store, lambda _: False, maximum_pixel_bytes=1 << 30)] == [files[3]]
    assert {path.name for path in store.root.glob("quarantine/*")} == {path.name for path in paths[:3]}
