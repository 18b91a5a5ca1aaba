"""Foreign receivers judge: DCMTK's storescp and Debian's Orthanc, by C-STORE, STOW-RS and storage commitment."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from support.courier_room import CourierRoom
from support.orthanc import AE_TITLE, Orthanc, running_orthanc
from support.receiving import Running, running
from support.results_dicom import write_seg, write_sr

from dicom_node.broker import free_port
from dicom_node.catalog.database import Database
from dicom_node.catalog.deliveries import DeliveryState
from dicom_node.delivery.commitment import CommitmentReport
from dicom_node.delivery.echo import echo
from dicom_node.delivery.report import Verdict
from dicom_node.delivery.send import send
from dicom_node.settings import DestinationSettings

SEG, SR = "1.2.826.0.1.3680043.10.9999.1.1", "1.2.826.0.1.3680043.10.9999.1.2"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write_seg(tmp_path), write_sr(tmp_path)]


@contextmanager
def storescp(folder: Path, *options: str, port: int = 0) -> Iterator[int]:
    """DCMTK's receiver of any class, bit-preserving, over a folder. Gives its port."""
    program = shutil.which("storescp")
    if program is None:
        pytest.skip("apt-get install dcmtk")
    folder.mkdir(exist_ok=True)
    port = port or free_port()
    arguments = [program, "--promiscuous", "-B", "-aet", "DCMTK", "-od", str(folder), *options, str(port)]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def await_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if process.poll() is not None or probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


def test_storescp_has_both_bit_by_bit(files, tmp_path):
    with storescp(tmp_path / "dcmtk") as port:
        destination = DestinationSettings(name="dcmtk", ae_title="DCMTK", port=port, timeout_s=10)
        reports = send(destination, files, own_ae_title="QUARTET")
    assert [report.verdict for report in reports] == [Verdict.SENT] * 2
    stored = {str(dcmread(path).SOPInstanceUID): path for path in (tmp_path / "dcmtk").iterdir()}
    assert set(stored) == {SEG, SR}
    for path in files:
        own = dcmread(path)
        assert dcmread(stored[str(own.SOPInstanceUID)]) == own


@pytest.mark.parametrize(
    ("options", "state"),
    [
        (("--refuse",), DeliveryState.REFUSED),
        (("--abort-during",), DeliveryState.PENDING),
        (("--abort-after",), DeliveryState.PENDING),
        (("--sleep-during", "20"), DeliveryState.PENDING),
        (("--sleep-after", "20"), DeliveryState.PENDING),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_after_a_fault_of_storescp_it_has_each_object_once_and_nothing_alone(options, state, tmp_path):
    """It refuses, aborts in the middle or hangs; an hour later it is well. Nothing is lost, nothing doubled."""
    database = Database(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    with storescp(tmp_path / "dcmtk", *options) as port:
        destination = DestinationSettings(name="dcmtk", ae_title="DCMTK", port=port, timeout_s=1)
        room = CourierRoom(database, tmp_path, destinations=(destination,))
        room.make_result()
        room.step()
        assert room.states == [state]
        assert room.lines[0].reason
        assert SR not in stored_in(tmp_path / "dcmtk"), "a report without its segmentation"
    with storescp(tmp_path / "dcmtk", port=port):
        if state is DeliveryState.REFUSED:  # a person saw the reason, mended it there, and wants it again
            room.try_again()
        for _ in range(3):
            room.step(3600)
    assert room.states == [DeliveryState.DELIVERED]
    assert stored_in(tmp_path / "dcmtk") == [SEG, SR]
    database.close()


def stored_in(folder: Path) -> list[str]:
    """SOP Instance UIDs of the whole files that storescp keeps; one file for each, however often it came."""
    return sorted(str(dcmread(path).SOPInstanceUID) for path in folder.iterdir() if path.stat().st_size)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, list[CommitmentReport]]]:
    """Our receiver, and what Orthanc told it of commitments."""
    told: list[CommitmentReport] = []

    def tell(transaction_uid, committed, failed) -> None:
        told.append(
            CommitmentReport(
                transaction_uid=transaction_uid,
                committed=tuple(instance for _, instance in committed),
                failed=tuple((instance, code) for _, instance, code in failed),
            )
        )

    with running(tmp_path_factory.mktemp("receiver"), commitment_report=tell) as node:
        yield node, told


@pytest.fixture(scope="module")
def orthanc(receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), quartet_port=receiver[0].port) as pacs:
        yield pacs


def test_orthanc_is_examined_by_the_doctor(orthanc):
    good = DestinationSettings(name="o", ae_title=AE_TITLE, port=orthanc.dicom_port, storage_commitment=True)
    assert echo(good, "QUARTET").ok
    assert not echo(good.model_copy(update={"ae_title": "OTHER"}), "QUARTET").ok
    assert echo(DestinationSettings(name="o", stow_url=orthanc.dicomweb_url), "QUARTET").ok


@pytest.mark.parametrize("way", ["C-STORE", "STOW-RS"])
def test_orthanc_has_each_object_once_however_often_it_is_sent(orthanc, files, way):
    stow_url = orthanc.dicomweb_url if way == "STOW-RS" else None
    destination = DestinationSettings(name="o", ae_title=AE_TITLE, port=orthanc.dicom_port, stow_url=stow_url)
    for _ in range(2):
        reports = send(destination, files, own_ae_title="QUARTET")
        assert [(report.verdict, report.reason) for report in reports] == [(Verdict.SENT, "")] * 2
    assert orthanc.count() == 2
    for path in files:
        own = dcmread(path)
        (tmp := path.with_suffix(".back")).write_bytes(orthanc.file_of(str(own.SOPInstanceUID)))
        assert dcmread(tmp) == own


def test_orthanc_commits_to_what_it_has_and_only_then_is_it_sent(orthanc, receiver, tmp_path):
    _, told = receiver
    told.clear()
    database = Database(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    destination = DestinationSettings(name="o", ae_title=AE_TITLE, port=orthanc.dicom_port, storage_commitment=True)
    room = CourierRoom(database, tmp_path, destinations=(destination,))
    room.make_result()
    room.step()
    assert room.states == [DeliveryState.COMMITTING]
    await_reports(told, 1)
    assert told[0].is_whole
    assert set(told[0].committed) == {SEG, SR}
    room.courier.on_commitment_report(told[0])
    assert room.states == [DeliveryState.DELIVERED]
    database.close()


def await_reports(told: list[CommitmentReport], count: int) -> None:
    for _ in range(600):
        if len(told) >= count:
            return
        time.sleep(0.05)
    pytest.fail("Orthanc sent no report of storage commitment")
