"""What is owed arrives once, whatever the PACS does and wherever we are killed: real catalog, real associations."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom.sop_class import Comprehensive3DSRStorage, SegmentationStorage
from rich.console import Console
from support.commitment_pacs import Answer, Archive
from support.courier_room import CourierRoom
from support.demo_pacs import running_pacs
from support.received import received_series
from support.receiving import running
from support.results_dicom import write_seg

from dicom_node import view, wiring
from dicom_node.catalog.database import Database
from dicom_node.catalog.deliveries import DeliveryState
from dicom_node.contract.slots import SequenceSlot
from dicom_node.delivery import deliver
from dicom_node.delivery.commitment import CommitmentReport, request_commitment
from dicom_node.delivery.outgoing import read_outgoing
from dicom_node.delivery.send import send
from dicom_node.settings import DestinationSettings, RetrySettings, Settings, StorageSettings
from dicom_node.study.states import StudyState

SEG, SR = "1.2.826.0.1.3680043.10.9999.1.1", "1.2.826.0.1.3680043.10.9999.1.2"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    yield opened
    opened.close()


def pacs_settings(port: int, **changes) -> DestinationSettings:
    return DestinationSettings(**{"name": "pacs", "ae_title": "PACS", "port": port, "timeout_s": 5, **changes})


def make_room(database: Database, root: Path, port: int, **changes) -> CourierRoom:
    room = CourierRoom(database, root, destinations=(pacs_settings(port, **changes),))
    room.make_result()
    return room


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_result_is_delivered_once(database, tmp_path):
    with running_pacs() as pacs:
        room = make_room(database, tmp_path, pacs.port)
        for _ in range(3):
            room.step(60)
    assert pacs.uids == [SEG, SR]
    assert room.states == [DeliveryState.DELIVERED]
    assert room.show().line.state is StudyState.DONE


def test_a_pacs_that_comes_back_after_a_weekend_gets_all_once(database, tmp_path):
    room = make_room(database, tmp_path, free_port())
    port = room.destinations[0].port
    room.step()
    assert room.states == [DeliveryState.PENDING]
    assert "nothing listens" in room.lines[0].reason
    for _ in range(20):  # two and a half days
        room.step(3 * 3600)
    with running_pacs(port=port) as pacs:
        room.step(1)
        assert pacs.got == []  # it waits for its turn
        room.step(3600)
    assert pacs.uids == [SEG, SR]
    assert room.states == [DeliveryState.DELIVERED]


def test_a_full_pacs_is_tried_again_and_a_refusal_is_held_for_a_person(database, tmp_path):
    with running_pacs() as pacs:
        pacs.statuses = [0xA700, 0x0000, 0xC000]
        room = make_room(database, tmp_path, pacs.port)
        room.step()
        assert room.states == [DeliveryState.PENDING]
        room.step(60)  # now the SEG is stored and the SR is refused
        assert room.states == [DeliveryState.REFUSED]
        assert "C000" in room.lines[0].reason
        room.step(3600)
    assert pacs.uids == [SEG]


def test_a_warning_is_a_delivery_and_nothing_is_sent_again(database, tmp_path):
    with running_pacs() as pacs:
        pacs.statuses = [0xB000, 0xB000]
        room = make_room(database, tmp_path, pacs.port)
        for _ in range(3):
            room.step(3600)
    assert pacs.uids == [SEG, SR]
    assert room.states == [DeliveryState.DELIVERED]
    assert "B000" in room.lines[0].reason


def test_a_pacs_that_hangs_or_breaks_off_and_is_back_after_an_hour_has_each_object_once(database, tmp_path):
    release = threading.Event()
    with running_pacs() as pacs:
        room = make_room(database, tmp_path, pacs.port, timeout_s=0.5)
        for fault in (lambda event: release.wait(20), lambda event: event.assoc.abort()):
            pacs.on_store = fault
            room.step(3600)
            assert room.states == [DeliveryState.PENDING]
        release.set()
        pacs.on_store = lambda event: None
        for _ in range(3):
            room.step(3600)
    assert room.states == [DeliveryState.DELIVERED]
    assert set(pacs.uids) == {SEG, SR}
    assert len(set(pacs.got)) == 2, "the same bytes again under the same UIDs: a PACS keeps one"
    assert pacs.uids.count(SR) == 1


def test_after_the_settings_limit_it_is_held(database, tmp_path):
    room = make_room(database, tmp_path, free_port())
    room.retry = RetrySettings(give_up_after_s=100)
    room.step()
    room.step(120)
    assert room.states == [DeliveryState.REFUSED]


def test_a_crash_between_send_and_record_sends_the_same_bytes_again(database, tmp_path):
    with running_pacs() as pacs:
        room = make_room(database, tmp_path, pacs.port)
        room.ledger.record_sent = die  # type: ignore[method-assign]
        with pytest.raises(KilledError):
            room.deliver()
        room.restart()
        room.step(1)
    assert pacs.uids == [SEG, SR, SEG, SR]
    assert len(set(pacs.got)) == 2
    assert room.states == [DeliveryState.DELIVERED]


class KilledError(BaseException):
    """Stands for kill -9, which nothing catches."""


def die(*_args, **_kwargs):
    raise KilledError


def test_one_destination_that_is_down_does_not_hold_up_another(database, tmp_path):
    with running_pacs() as pacs:
        room = CourierRoom(
            database,
            tmp_path,
            destinations=(pacs_settings(free_port(), name="down"), pacs_settings(pacs.port, name="up")),
        )
        room.make_result()
        room.step()
    assert {line.destination: line.state for line in room.lines} == {
        "down": DeliveryState.PENDING,
        "up": DeliveryState.DELIVERED,
    }


def test_a_destination_gone_from_the_settings_stays_owed(database, tmp_path):
    room = make_room(database, tmp_path, free_port())
    room.destinations = ()
    assert room.courier.deliver_due() == 0
    assert room.states == [DeliveryState.PENDING]


def test_sent_means_committed(database, tmp_path):
    archive = Archive(Answer.AT_ONCE)
    with running_pacs(handlers=archive.handlers) as pacs:
        room = make_room(database, tmp_path, pacs.port, storage_commitment=True)
        room.step()
        archive.join()
        room.step(7200)
    assert room.states == [DeliveryState.DELIVERED]
    assert archive.statuses == [0x0000]
    assert [item.ReferencedSOPInstanceUID for item in archive.asked[0].ReferencedSOPSequence] == [SEG, SR]
    assert len(archive.asked) == 1
    assert pacs.uids == [SEG, SR]


def test_a_commitment_on_an_association_of_the_pacs_to_our_receiver(database, tmp_path):
    archive = Archive(Answer.LATER)
    with running_pacs(handlers=archive.handlers) as pacs:
        room = make_room(database, tmp_path, pacs.port, storage_commitment=True)
        room.step()
        assert room.states == [DeliveryState.COMMITTING]

        def told(transaction_uid, committed, failed) -> None:
            report = CommitmentReport(
                transaction_uid=transaction_uid,
                committed=tuple(instance for _, instance in committed),
                failed=tuple((instance, code) for _, instance, code in failed),
            )
            room.courier.on_commitment_report(report)

        with running(tmp_path / "receiver", commitment_report=told) as node:
            archive.report(node.port, "QUARTET")
            archive.report(node.port, "QUARTET")  # doubled
    assert archive.statuses == [0x0000, 0x0000]
    assert room.states == [DeliveryState.DELIVERED]
    assert pacs.uids == [SEG, SR]


def test_a_lost_answer_is_asked_for_again_and_the_first_still_counts(database, tmp_path):
    archive = Archive(Answer.NEVER)
    with running_pacs(handlers=archive.handlers) as pacs:
        room = make_room(database, tmp_path, pacs.port, storage_commitment=True, commitment_timeout_s=600)
        room.step()
        room.step(300)
        assert len(archive.asked) == 1
        room.step(301)
        assert len(archive.asked) == 2
    assert room.states == [DeliveryState.COMMITTING]
    assert len(set(archive.transactions)) == 2
    assert pacs.uids == [SEG, SR]  # asked again, not sent again
    late = CommitmentReport(transaction_uid=archive.transactions[0], committed=(SEG, SR), failed=())
    assert room.courier.on_commitment_report(late)
    assert room.states == [DeliveryState.DELIVERED]


def test_a_failed_commitment_sends_the_same_again_under_a_new_transaction(database, tmp_path):
    archive = Archive(Answer.LOST_OBJECT)
    with running_pacs(handlers=archive.handlers) as pacs:
        room = make_room(database, tmp_path, pacs.port, storage_commitment=True)
        room.step()
        archive.join()
        assert room.states == [DeliveryState.PENDING]
        assert "does not have the object" in room.lines[0].reason
        archive.answer = Answer.AT_ONCE
        room.step(60)
        archive.join()
    assert room.states == [DeliveryState.DELIVERED]
    assert pacs.uids == [SEG, SR, SEG, SR]
    assert len(set(pacs.got)) == 2
    assert len(set(archive.transactions)) == 2


def test_a_pacs_without_storage_commitment_says_so(database, tmp_path):
    archive = Archive(Answer.REFUSE)
    with running_pacs(handlers=archive.handlers) as pacs:
        room = make_room(database, tmp_path, pacs.port, storage_commitment=True)
        room.step()
    assert room.states == [DeliveryState.REFUSED]
    assert "storage_commitment" in room.lines[0].reason
    assert pacs.uids == [SEG, SR]


def test_a_report_that_takes_long_to_record_is_answered_before_we_release(tmp_path):
    """The release came first, and the PACS had no answer to its report."""
    archive, told = Archive(Answer.AT_ONCE), []

    def slowly(report: CommitmentReport) -> None:
        time.sleep(0.8)
        told.append(report)

    with running_pacs(handlers=archive.handlers) as pacs:
        seg = read_outgoing(write_seg(tmp_path))
        request_commitment(
            pacs_settings(pacs.port), [seg], "1.2.3", own_ae_title="QUARTET", on_report=slowly, linger_s=0.4
        )
        archive.join()
    assert [report.is_whole for report in told] == [True]
    assert archive.statuses == [0x0000]


def test_a_pacs_that_refuses_the_class_of_commitment_is_told_by_the_setting_to_change(database, tmp_path):
    with running_pacs(classes=[SegmentationStorage, Comprehensive3DSRStorage]) as pacs:
        room = make_room(database, tmp_path, pacs.port, storage_commitment=True)
        room.step()
    assert room.states == [DeliveryState.REFUSED]
    assert "`storage_commitment = false`" in room.lines[0].reason


def test_a_report_of_a_transaction_that_we_never_asked_for_changes_nothing(database, tmp_path):
    room = make_room(database, tmp_path, free_port())
    stranger = CommitmentReport(transaction_uid="1.2.3", committed=(SEG, SR), failed=())
    assert not room.courier.on_commitment_report(stranger)
    assert room.states == [DeliveryState.PENDING]


def test_a_restart_while_the_pacs_thinks_about_it_asks_again_and_does_not_resend(database, tmp_path):
    archive = Archive(Answer.NEVER)
    with running_pacs(handlers=archive.handlers) as pacs:
        room = make_room(database, tmp_path, pacs.port, storage_commitment=True)
        room.step()
        room.restart()
        archive.answer = Answer.AT_ONCE
        room.step(3601)
        archive.join()
    assert room.states == [DeliveryState.DELIVERED]
    assert pacs.uids == [SEG, SR]


def test_a_fault_of_ours_in_one_delivery_holds_up_neither_the_others_nor_the_loop(database, tmp_path, monkeypatch):
    """The other delivery of the destination goes out in the same round; the broken one is owed and says why."""
    with running_pacs() as pacs:
        room = make_room(database, tmp_path, pacs.port)
        room.send(received_series(SequenceSlot.FLAIR, study="2"))
        room.settle()
        room.work()
        room.dispatcher.dispatch(room.now)
        broken = []

        def send_but_the_first(*arguments, **named):
            if not broken:
                broken.append(arguments)
                raise ZeroDivisionError("nobody foresaw this")
            return send(*arguments, **named)

        monkeypatch.setattr(deliver, "send", send_but_the_first)
        room.step(60)
        lines = [line for study in ("1", "2") for job in room.show(study).jobs for line in job.deliveries]
        assert sorted(line.state for line in lines) == [DeliveryState.DELIVERED, DeliveryState.PENDING]
        assert "a fault of ours, ZeroDivisionError" in next(line.reason for line in lines if line.reason)
        room.step(3600)
    assert broken
    assert room.states == [DeliveryState.DELIVERED]


def test_show_says_that_a_destination_is_no_longer_in_the_settings(tmp_path):
    settings = Settings(storage=StorageSettings(root=tmp_path))
    opened = wiring.open_database(settings)
    make_room(opened, tmp_path, free_port())
    opened.close()
    console = Console(record=True, width=300)
    view.print_study(settings, "1.2.1", console)
    assert "pacs (seg, sr): pending  no destination of this name is in the settings" in console.export_text()
