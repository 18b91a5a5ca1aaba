"""Results over real associations: to a PACS that takes them, and to many that do not."""

import socket
import threading
from pathlib import Path

import pytest
from pynetdicom import evt
from pynetdicom.sop_class import Comprehensive3DSRStorage, SegmentationStorage
from support.demo_pacs import Pacs, running_pacs
from support.results_dicom import write_object, write_seg, write_sr

from dicom_node.delivery.outgoing import read_outgoing
from dicom_node.delivery.report import Verdict
from dicom_node.delivery.send import send, send_files
from dicom_node.settings import DestinationSettings


def destination(port: int, **changes) -> DestinationSettings:
    return DestinationSettings(**{"name": "pacs", "ae_title": "PACS", "port": port, "timeout_s": 5, **changes})


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """SR first, as a caller may give them."""
    return [write_sr(tmp_path), write_seg(tmp_path)]


def verdicts(reports) -> list[Verdict]:
    return [report.verdict for report in reports]


def test_seg_and_sr_arrive_with_the_very_bytes_of_the_files_and_the_seg_first(files):
    with running_pacs() as pacs:
        reports = send(destination(pacs.port), files, own_ae_title="QUARTET")
    assert [(r.path.name, r.verdict, r.status) for r in reports] == [
        ("seg.dcm", Verdict.SENT, 0),
        ("sr.dcm", Verdict.SENT, 0),
    ]
    assert [data for _, data in pacs.got] == [read_outgoing(report.path).dataset_bytes() for report in reports]
    assert pacs.associations == 1


def test_only_the_contexts_that_the_files_need_are_asked_for(files):
    asked = []
    seen = (evt.EVT_REQUESTED, lambda e: asked.extend(c.abstract_syntax for c in e.assoc.requestor.requested_contexts))
    with running_pacs(handlers=[seen]) as pacs:
        send(destination(pacs.port), files, own_ae_title="QUARTET")
    assert set(asked) == {SegmentationStorage, Comprehensive3DSRStorage}


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_a_warning_counts_as_stored_and_is_said(files, status):
    with running_pacs() as pacs:
        pacs.statuses = [status]
        reports = send(destination(pacs.port), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [Verdict.SENT, Verdict.SENT]
    assert f"{status:04X}" in reports[0].reason
    assert len(pacs.got) == 2


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(0xA700, Verdict.RETRY), (0x0110, Verdict.RETRY), (0xA900, Verdict.REFUSED), (0xC000, Verdict.REFUSED)],
)
def test_what_is_not_stored_keeps_the_report_from_being_sent_alone(files, status, verdict):
    with running_pacs() as pacs:
        pacs.statuses = [status]
        reports = send(destination(pacs.port), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [verdict, verdict]
    assert reports[0].status == status
    assert pacs.got == []


def test_files_that_do_not_belong_together_are_each_tried(files):
    with running_pacs() as pacs:
        pacs.statuses = [0xC000]
        reports = send_files(destination(pacs.port), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [Verdict.REFUSED, Verdict.SENT]


def test_a_refused_seg_context_sends_nothing_and_names_the_class(files):
    with running_pacs(classes=[Comprehensive3DSRStorage]) as pacs:
        reports = send(destination(pacs.port), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [Verdict.REFUSED, Verdict.REFUSED]
    assert "Segmentation Storage" in reports[0].reason
    assert pacs.got == []


def test_a_pacs_that_takes_none_of_the_classes(files):
    with running_pacs(classes=["1.2.840.10008.1.1"]) as pacs:
        reports = send(destination(pacs.port), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [Verdict.REFUSED, Verdict.REFUSED]
    assert "Segmentation Storage" in reports[0].reason


def test_a_pacs_of_implicit_vr_only_gets_the_same_elements(files):
    with running_pacs(syntaxes=["1.2.840.10008.1.2"]) as pacs:
        reports = send(destination(pacs.port), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [Verdict.SENT, Verdict.SENT]
    assert len(pacs.got) == 2


def test_a_damaged_file_that_must_be_encoded_anew_is_refused_and_the_next_is_sent(tmp_path):
    """It ended the round of deliveries with a traceback, for ever."""
    seg, sr = write_seg(tmp_path), write_sr(tmp_path)
    seg.write_bytes(seg.read_bytes()[: read_outgoing(seg).dataset_offset])
    with running_pacs(syntaxes=["1.2.840.10008.1.2"]) as pacs:
        reports = send_files(destination(pacs.port), [seg, sr], own_ae_title="QUARTET")
    assert verdicts(reports) == [Verdict.REFUSED, Verdict.SENT]
    assert "`quartet lint`" in reports[0].reason


def test_a_wrong_called_ae_title_is_permanent_and_says_so(files):
    with running_pacs(require_called=True) as pacs:
        reports = send(destination(pacs.port, ae_title="OTHER"), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [Verdict.REFUSED, Verdict.REFUSED]
    assert "`ae_title`" in reports[0].reason


def test_an_unknown_calling_ae_title_is_permanent_and_the_configured_one_is_used(files):
    with running_pacs(calling=["QUARTET2"]) as pacs:
        assert verdicts(send(destination(pacs.port), files, own_ae_title="QUARTET")) == [Verdict.REFUSED] * 2
        known = destination(pacs.port, calling_ae_title="QUARTET2")
        assert verdicts(send(known, files, own_ae_title="QUARTET")) == [Verdict.SENT] * 2


def test_a_pacs_that_is_down_is_tried_again_and_gets_all_when_it_is_back(files):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reports = send(destination(port), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [Verdict.RETRY] * 2
    assert "nothing listens" in reports[0].reason
    with running_pacs(port=port) as pacs:
        assert verdicts(send(destination(port), files, own_ae_title="QUARTET")) == [Verdict.SENT] * 2
    assert len(pacs.got) == 2


def test_an_unknown_host_name_is_tried_again(files):
    reports = send(destination(104, host="no-such-host.invalid"), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [Verdict.RETRY] * 2
    assert "name service" in reports[0].reason


def test_a_pacs_that_aborts_in_the_middle_is_tried_again_with_the_same_bytes(files):
    with running_pacs() as pacs:
        abort_on_second(pacs)
        first = send(destination(pacs.port), files, own_ae_title="QUARTET")
        pacs.on_store = lambda event: None
        second = send(destination(pacs.port), files, own_ae_title="QUARTET")
    assert Verdict.RETRY in verdicts(first)
    assert verdicts(second) == [Verdict.SENT] * 2
    assert len(set(pacs.got)) == 2  # the same again has the same bytes: a PACS keeps one


def abort_on_second(pacs: Pacs) -> None:
    def on_store(event) -> None:
        if pacs.got:
            event.assoc.abort()

    pacs.on_store = on_store


def test_a_pacs_that_hangs_after_accepting_is_given_up_within_its_timeout(files):
    release = threading.Event()
    with running_pacs() as pacs:
        pacs.on_store = lambda event: release.wait(20)
        reports = send(destination(pacs.port, timeout_s=0.5), files, own_ae_title="QUARTET")
        release.set()
    assert verdicts(reports) == [Verdict.RETRY] * 2
    assert "no answer" in reports[0].reason


def test_a_host_that_accepts_tcp_but_never_answers_is_given_up(files):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reports = send(destination(silent.getsockname()[1], timeout_s=0.5), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [Verdict.RETRY] * 2


def test_a_host_that_speaks_something_else_is_given_up(files):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            client, _ = server.accept()
            with client:
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        reports = send(destination(server.getsockname()[1], timeout_s=1), files, own_ae_title="QUARTET")
        thread.join()
    assert verdicts(reports) == [Verdict.RETRY] * 2


def test_what_is_no_dicom_file_is_refused_and_keeps_its_companions_back(tmp_path, files):
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"not DICOM")
    with running_pacs() as pacs:
        reports = send(destination(pacs.port), [*files, broken, tmp_path / "absent.dcm"], own_ae_title="QUARTET")
        assert verdicts(reports) == [Verdict.REFUSED] * 4
        assert pacs.associations == 0
        alone = send_files(destination(pacs.port), [*files, broken], own_ae_title="QUARTET")
    assert sorted(verdicts(alone)) == [Verdict.REFUSED, Verdict.SENT, Verdict.SENT]


def test_twenty_objects_go_over_one_association(tmp_path):
    many = [write_object(tmp_path / f"{n}.dcm", SegmentationStorage, n, pixel_bytes=256) for n in range(20)]
    with running_pacs() as pacs:
        reports = send_files(destination(pacs.port), many, own_ae_title="QUARTET")
    assert set(verdicts(reports)) == {Verdict.SENT}
    assert pacs.associations == 1
