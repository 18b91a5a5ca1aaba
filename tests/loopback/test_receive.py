"""Real senders bring real objects: DCMTK's tools against the receiver, over loopback."""

import shutil
import subprocess
import threading
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    SegmentationStorage,
)
from support.dicom_objects import encoded, mr_series, uid, write
from support.raw_peer import VERIFICATION, RawPeer, command, p_data, store_command
from support.receiving import Running, running

from dicom_node.association.contexts import STORAGE_COMMITMENT
from dicom_node.errors import CatalogError, DeliveryError

needs_dcmtk = pytest.mark.skipif(shutil.which("storescu") is None, reason="apt-get install dcmtk")


def run(tool: str, *arguments: object, port: int, called: str = "QUARTET") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [tool, "-aec", called, "127.0.0.1", str(port), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refused(port: int) -> bool:
    try:
        RawPeer(port, 0.2).socket.close()
    except OSError:
        return True
    return False


@pytest.fixture
def node(tmp_path: Path):
    with running(tmp_path / "root") as made:
        yield made


@needs_dcmtk
def test_echoscu_is_answered(node: Running) -> None:
    assert run("echoscu", port=node.port).returncode == 0


@needs_dcmtk
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_storescu_brings_a_series_whole(node: Running, tmp_path: Path, syntax: str) -> None:
    """Every byte of the data sets lies in the store, durable, under the hash of those bytes; the intake knows them."""
    series = mr_series("FLAIR", orientation="sagittal", patient_name="Zoë^Ünal")
    write(series, tmp_path / "in", syntax)

    done = run("storescu", "+sd", "-xi" if syntax == ImplicitVRLittleEndian else "-xe", tmp_path / "in", port=node.port)

    assert done.returncode == 0, done.stderr
    assert len(node.stored()) == len(series)
    assert {one.sop_instance_uid for one in node.intake.received} == {ds.SOPInstanceUID for ds in series}
    assert {one.transfer_syntax_uid for one in node.intake.received} == {syntax}
    by_uid = {ds.SOPInstanceUID: ds for ds in series}
    for one in node.intake.received:
        kept = pydicom.dcmread(node.store.path_of(one.file))
        assert kept == by_uid[one.sop_instance_uid]
        assert kept.file_meta.SourceApplicationEntityTitle == "STORESCU"
    assert node.half_written() == []


@needs_dcmtk
def test_dcmsend_brings_enhanced_mr(node: Running, tmp_path: Path) -> None:
    """Enhanced MR is accepted, and its functional groups stand under the keywords of classic MR."""
    ds = mr_series("BRAVO", headers={"RepetitionTime": None, "EchoTime": None, "PixelSpacing": None})[0]
    ds.SOPClassUID = EnhancedMRImageStorage
    ds.NumberOfFrames = 1
    group, timing, echo, measures = (pydicom.Dataset() for _ in range(4))
    timing.RepetitionTime, echo.EffectiveEchoTime, measures.PixelSpacing = 8.25, 3.25, [0.5, 0.5]
    group.MRTimingAndRelatedParametersSequence, group.MREchoSequence = [timing], [echo]
    group.PixelMeasuresSequence = [measures]
    ds.SharedFunctionalGroupsSequence = [group]
    write([ds], tmp_path / "in")

    assert run("dcmsend", "+sd", tmp_path / "in", port=node.port).returncode == 0

    headers = node.intake.received[0].headers
    assert headers["RepetitionTime"] == 8.25
    assert headers["EchoTime"] == 3.25
    assert headers["PixelSpacing"] == [0.5, 0.5]


@needs_dcmtk
@pytest.mark.parametrize(("tool", "options", "propose"), [("dcmcrle", [], "-xr"), ("dcmcjpeg", ["+e1"], "-xs")])
def test_lossless_compressed_objects_are_kept_as_they_came(
    node: Running, tmp_path: Path, tool: str, options: list[str], propose: str
) -> None:
    source = write(mr_series(shape_zyx=(1, 32, 32)), tmp_path / "in")[0]
    subprocess.run([tool, *options, str(source), str(tmp_path / "packed.dcm")], check=True, timeout=60)

    done = run("storescu", propose, tmp_path / "packed.dcm", port=node.port)

    assert done.returncode == 0, done.stderr
    kept = pydicom.dcmread(node.stored()[0])
    assert kept.PixelData == pydicom.dcmread(tmp_path / "packed.dcm").PixelData


@needs_dcmtk
def test_a_resent_object_is_stored_once(node: Running, tmp_path: Path) -> None:
    write(mr_series(shape_zyx=(2, 16, 16)), tmp_path / "in")
    for _ in range(2):
        assert run("storescu", "+sd", tmp_path / "in", port=node.port).returncode == 0
    assert len(node.stored()) == 2


def test_our_own_segmentation_finds_no_context(node: Running) -> None:
    """A SEG that auto-routing sends back is refused by its context, so no loop starts."""
    with RawPeer(node.port, abstract_syntaxes=(SegmentationStorage, VERIFICATION)) as peer:
        assert peer.associate() == 2
        peer.send(p_data(command(e0002=VERIFICATION, e0100=0x30, e0110=7, e0800=0x0101), is_command=True, context_id=3))
        assert peer.response().status == 0x0000
        peer.send(p_data(store_command(SegmentationStorage, "1.2.3"), is_command=True))
        assert peer.read_pdu()[0] == 7


def test_an_open_association_is_told_and_its_end_too(node: Running) -> None:
    """Completion of a study can wait while an association of it is open."""
    ds = mr_series()[0]
    with RawPeer(node.port) as peer:
        peer.associate()
        for _ in range(2):
            assert peer.store(encoded(ds), ds.SOPClassUID, ds.SOPInstanceUID).status == 0x0000
        kinds = [event[0] for event in node.intake.events]
        assert kinds == ["opened", "study"]
        assert node.intake.events[1][2] == ds.StudyInstanceUID
        assert peer.release() == 6
    node.receiver.drain(5)
    assert [event[0] for event in node.intake.events] == ["opened", "study", "closed"]
    assert len({event[1] for event in node.intake.events}) == 1


def test_a_catalog_that_is_locked_answers_0110_and_keeps_the_object(node: Running) -> None:
    """The object is durable already; start-up adoption or the next try finds it."""
    node.intake.fault = CatalogError("locked")
    ds = mr_series()[0]
    with RawPeer(node.port) as peer:
        peer.associate()
        assert peer.store(encoded(ds), ds.SOPClassUID, ds.SOPInstanceUID).status == 0x0110
        node.intake.fault = RuntimeError("a bug with ZZCANARY in it")
        assert peer.store(encoded(ds), ds.SOPClassUID, ds.SOPInstanceUID).status == 0x0110
        node.intake.fault = None
        assert peer.store(encoded(ds), ds.SOPClassUID, ds.SOPInstanceUID).status == 0x0000
    assert len(node.stored()) == 1


def test_an_unknown_request_is_answered_and_the_association_lives_on(node: Running) -> None:
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(p_data(command(e0002=MRImageStorage, e0100=0x0020, e0110=3, e0800=0x0101), is_command=True))
        assert peer.response().status == 0x0211
        assert peer.release() == 6


def test_pipelined_stores_are_answered_in_order(node: Running) -> None:
    """A sender that does not wait is slowed down by TCP, not held in memory; nothing is lost."""
    series = mr_series(shape_zyx=(20, 64, 64))
    sent = b""
    for number, ds in enumerate(series):
        head = command(
            e0002=ds.SOPClassUID, e0100=1, e0110=number + 1, e0700=0, e0800=0, e1000=ds.SOPInstanceUID
        )  # fmt: skip
        sent += p_data(head, is_command=True) + p_data(encoded(ds), is_command=False)
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(sent)
        answered = [peer.response() for _ in series]
    assert [int.from_bytes(one.elements[0x0120], "little") for one in answered] == list(range(1, 21))
    assert {one.status for one in answered} == {0}
    assert len(node.stored()) == 20


@pytest.mark.parametrize("fault", [None, DeliveryError("not ours")])
def test_a_commitment_report_on_an_association_of_the_pacs(tmp_path: Path, fault: Exception | None) -> None:
    """A PACS opens an association, is SCP by role selection, and reports (PS3.4 J.3.3)."""
    told: list[object] = []

    def tell(*report: object) -> None:
        told.append(report)
        if fault:
            raise fault

    report = pydicom.Dataset()
    good, bad = pydicom.Dataset(), pydicom.Dataset()
    report.TransactionUID = uid("transaction")
    good.ReferencedSOPClassUID = bad.ReferencedSOPClassUID = MRImageStorage
    good.ReferencedSOPInstanceUID, bad.ReferencedSOPInstanceUID, bad.FailureReason = "1.2.3", "1.2.4", 0x0112
    report.ReferencedSOPSequence, report.FailedSOPSequence = [good], [bad]
    head = command(
        e0002=STORAGE_COMMITMENT, e0100=0x0100, e0110=1, e0800=0, e1000="1.2.840.10008.1.20.1.1", e1002=2
    )  # fmt: skip
    with (
        running(tmp_path / "root", commitment_report=tell) as node,
        RawPeer(node.port, abstract_syntaxes=(STORAGE_COMMITMENT,), scp_role_of=STORAGE_COMMITMENT) as peer,
    ):
        assert peer.associate() == 2
        peer.send(p_data(head, is_command=True) + p_data(encoded(report), is_command=False))
        assert peer.response().status == (0x0110 if fault else 0x0000)
    assert told == [(report.TransactionUID, ((MRImageStorage, "1.2.3"),), ((MRImageStorage, "1.2.4", 0x0112),))]


def test_draining_lets_an_object_finish_and_takes_no_other_association(node: Running) -> None:
    """SIGTERM under load: what is on its way is stored and answered."""
    ds = mr_series(shape_zyx=(1, 64, 64))[0]
    data = encoded(ds)
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.store(data, ds.SOPClassUID, ds.SOPInstanceUID)
        peer.send(p_data(store_command(ds.SOPClassUID, ds.SOPInstanceUID, 2), is_command=True))
        drained: list[bool] = []
        drain = threading.Thread(target=lambda: drained.append(node.receiver.drain(20)))
        drain.start()
        assert any(refused(node.port) for _ in range(500))
        peer.send(p_data(data, is_command=False))
        assert peer.response().status == 0x0000
        drain.join(20)
    assert drained == [True]
