"""The courier finds what is due, and each word it leaves moves delivery and study on, once."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from support.node_room import NodeRoom
from support.received import received_series

from dicom_node.catalog import studies
from dicom_node.catalog.database import Database
from dicom_node.catalog.deliveries import DeliveryState
from dicom_node.catalog.ledger import CatalogLedger
from dicom_node.contract.messages import Product
from dicom_node.contract.slots import SequenceSlot
from dicom_node.delivery.ledger import DeliveryLedger, DeliveryPhase, DueDelivery
from dicom_node.settings import DestinationSettings, RetrySettings
from dicom_node.study.states import StudyState

PACS = DestinationSettings(name="pacs")
VIEWER = DestinationSettings(name="viewer", products=(Product.SR,))


@dataclass
class Room(NodeRoom):
    """A node whose courier does nothing by itself."""

    def deliver(self) -> None:
        pass

    def owed(self) -> list[DueDelivery]:
        return list(self.ledger.due(self.now))


@pytest.fixture
def node(database: Database, tmp_path: Path) -> Room:
    """A node with a completed job, owed to the PACS."""
    return completed(Room(database, tmp_path))


def completed(node: Room) -> Room:
    node.send(received_series(SequenceSlot.BRAVO))
    node.settle()
    node.work()
    node.step(1)
    return node


def state(node: Room) -> tuple[DeliveryState, StudyState]:
    return node.show().jobs[0].deliveries[0].state, node.show().line.state


def test_each_destination_is_owed_what_it_asked_for(database: Database, tmp_path: Path) -> None:
    node = completed(Room(database, tmp_path, destinations=(PACS, VIEWER)))
    owed = {one.destination: one for one in node.owed()}
    assert [path.name for path in owed["pacs"].files] == ["seg.dcm", "sr.dcm"]
    assert [path.name for path in owed["viewer"].files] == ["sr.dcm"]
    assert all(path.is_file() and path.is_absolute() for one in owed.values() for path in one.files)
    # and the study is done only when both have it
    node.ledger.record_sent(owed["pacs"].delivery_id, at=node.now)
    assert node.show().line.state is StudyState.DELIVERING
    node.ledger.record_sent(owed["viewer"].delivery_id, at=node.now)
    assert node.show().line.state is StudyState.DONE


def test_sent_is_recorded_once(node: Room) -> None:
    ledger: DeliveryLedger = node.ledger
    (owed,) = node.owed()
    assert (owed.phase, owed.attempts, owed.commitment_requests) == (DeliveryPhase.SEND, 0, 0)
    ledger.record_sent(owed.delivery_id, at=node.now, reason="coerced")
    ledger.record_sent(owed.delivery_id, at=node.now)
    ledger.record_refused(owed.delivery_id, reason="too late")
    assert state(node) == (DeliveryState.DELIVERED, StudyState.DONE)
    assert node.show().jobs[0].deliveries[0].reason == "coerced"
    assert node.owed() == []


def test_a_retry_is_due_when_it_says(node: Room) -> None:
    (owed,) = node.owed()
    node.ledger.record_retry(owed.delivery_id, next_try_at=node.now + timedelta(seconds=10), reason="PACS down")
    assert node.owed() == []
    node.now += timedelta(seconds=10)
    (again,) = node.owed()
    assert (again.attempts, again.phase, again.files) == (1, DeliveryPhase.SEND, owed.files)
    assert state(node) == (DeliveryState.PENDING, StudyState.DELIVERING)


def test_a_refusal_waits_for_a_person(node: Room) -> None:
    (owed,) = node.owed()
    node.ledger.record_refused(owed.delivery_id, reason="A900: unknown class")
    assert state(node) == (DeliveryState.REFUSED, StudyState.UNDELIVERED)
    assert "pacs" in node.show().line.reason
    with node.database.write() as connection:
        studies.retry(connection, node.show().line.id, node.now)
    node.step(1)
    (again,) = node.owed()
    assert (again.delivery_id, again.attempts) == (owed.delivery_id, 0)
    node.ledger.record_sent(again.delivery_id, at=node.now)
    assert state(node) == (DeliveryState.DELIVERED, StudyState.DONE)


def test_committed_means_delivered(node: Room) -> None:
    (owed,) = node.owed()
    later = node.now + timedelta(hours=1)
    node.ledger.record_commitment_requested(owed.delivery_id, transaction_uid="2.25.1", ask_again_at=later)
    assert (state(node)[0], node.owed()) == (DeliveryState.COMMITTING, [])
    # the answer was lost: it is asked again, under another transaction
    node.now = later
    (again,) = node.owed()
    assert (again.phase, again.commitment_requests) == (DeliveryPhase.COMMIT, 1)
    node.ledger.record_commitment_requested(
        owed.delivery_id, transaction_uid="2.25.2", ask_again_at=later + timedelta(hours=1)
    )
    # an answer to the first counts, the doubled one and a foreign one change nothing
    assert node.ledger.record_commitment("2.25.1", committed=True, at=node.now)
    assert state(node) == (DeliveryState.DELIVERED, StudyState.DONE)
    assert node.ledger.record_commitment("2.25.1", committed=False, at=node.now)
    assert node.ledger.record_commitment("2.25.2", committed=False, at=node.now)
    assert not node.ledger.record_commitment("2.25.3", committed=True, at=node.now)
    assert state(node) == (DeliveryState.DELIVERED, StudyState.DONE)


def test_what_was_not_committed_is_sent_again(node: Room) -> None:
    (owed,) = node.owed()
    node.ledger.record_commitment_requested(owed.delivery_id, transaction_uid="2.25.1", ask_again_at=node.now)
    node.ledger.record_commitment("2.25.1", committed=False, at=node.now, reason="no such object")
    node.now += timedelta(seconds=RetrySettings().first_s)
    (again,) = node.owed()
    assert (again.phase, again.attempts) == (DeliveryPhase.SEND, 1)
    assert node.show().jobs[0].deliveries[0].reason == "no such object"


def test_commitment_that_keeps_failing_is_given_up_as_the_settings_say(sqlite: Database, tmp_path: Path) -> None:
    node = completed(Room(sqlite, tmp_path))
    ledger = CatalogLedger(
        sqlite, storage_root=tmp_path, retry=RetrySettings(give_up_after_s=60), clock=lambda: node.now
    )
    (owed,) = node.owed()
    ledger.record_commitment_requested(owed.delivery_id, transaction_uid="2.25.1", ask_again_at=node.now)
    ledger.record_commitment("2.25.1", committed=False, at=node.now + timedelta(seconds=61))
    assert state(node) == (DeliveryState.REFUSED, StudyState.UNDELIVERED)


def test_a_newer_result_drops_what_never_went_out(node: Room) -> None:
    # Given a result that is owed, and a late series whose result is whole
    node.send(received_series(SequenceSlot.FLAIR))
    node.settle()
    assert len(node.owed()) == 1  # until then the old one may still go
    node.work()
    node.step(1)
    # Then only the new one is owed, and the old one says why
    newest, oldest = node.show().jobs
    assert [one.delivery_id.split("/")[0] for one in node.owed()] == [newest.id]
    assert oldest.deliveries[0].state is DeliveryState.SUPERSEDED
    assert newest.id in oldest.deliveries[0].reason
    assert newest.predecessor_job_id == oldest.id


def test_what_was_begun_is_never_left_half(node: Room) -> None:
    # Given a delivery that broke off, and one that breaks off while it is superseded
    (owed,) = node.owed()
    node.ledger.record_retry(owed.delivery_id, next_try_at=node.now, reason="aborted after the SEG")
    node.send(received_series(SequenceSlot.FLAIR))
    node.settle()
    node.work()
    node.step(1)
    # Then both results are owed
    assert len(node.owed()) == 2


def test_a_try_that_breaks_off_while_superseded_is_owed_whole(node: Room) -> None:
    (owed,) = node.owed()
    node.send(received_series(SequenceSlot.FLAIR))
    node.settle()
    node.work()
    node.step(1)
    node.ledger.record_retry(owed.delivery_id, next_try_at=node.now, reason="aborted after the SEG")
    assert len(node.owed()) == 2


def test_a_study_whose_last_step_was_cut_off_is_done_all_the_same(sqlite: Database, tmp_path: Path) -> None:
    """No destination wants anything of the result: nothing will ever be recorded."""
    node = completed(Room(sqlite, tmp_path, destinations=()))
    assert node.show().line.state is StudyState.DONE


def test_a_word_on_a_forgotten_delivery_is_harmless(node: Room) -> None:
    node.ledger.record_sent("0" * 32 + "/pacs", at=node.now)
    node.ledger.record_retry("0" * 32 + "/pacs", next_try_at=node.now, reason="down")
    node.ledger.record_commitment_requested("0" * 32 + "/pacs", transaction_uid="2.25.9", ask_again_at=node.now)
    assert not node.ledger.record_commitment("2.25.9", committed=True, at=node.now)
