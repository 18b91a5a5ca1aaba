"""What people see of studies: by our own ids, with every reason, without a patient."""

from pathlib import Path

import pytest
from support.node_room import NodeRoom
from support.received import received, received_series

from dicom_node.catalog import queries
from dicom_node.catalog.database import Database
from dicom_node.catalog.jobs import JobState
from dicom_node.contract.messages import OutcomeStatus
from dicom_node.contract.slots import SequenceSlot
from dicom_node.errors import StudyError
from dicom_node.study.states import StudyState

BRAVO, FLAIR = SequenceSlot.BRAVO, SequenceSlot.FLAIR


def test_studies_are_listed_newest_first_with_state_and_slots(database: Database, tmp_path: Path) -> None:
    node = NodeRoom(database, tmp_path)
    node.send(received_series(BRAVO, study="1") + received_series(FLAIR, study="1"))
    node.settle()
    node.send(received_series(None, study="2"))
    newest, oldest = node.list()
    assert (newest.state, newest.slots, newest.series, newest.objects) == (StudyState.RECEIVING, (), 1, 12)
    assert (oldest.state, oldest.slots, oldest.series, oldest.objects) == (StudyState.QUEUED, (BRAVO, FLAIR), 2, 24)


def test_a_study_shows_its_series_attempts_outcome_and_deliveries(database: Database, tmp_path: Path) -> None:
    node = NodeRoom(database, tmp_path)
    node.send([*received_series(BRAVO), *received_series(BRAVO, series="5", count=3), *received_series(None)])
    unsorted = node.show().series
    assert [(one.chosen, one.objects) for one in unsorted] == [(False, 12), (False, 3), (False, 12)]
    node.settle()
    node.work(OutcomeStatus.FAILED, "out of memory", retryable=True)
    node.step(1)
    node.work()
    node.step(1)
    node.step(1)
    shown = node.show()
    assert [(one.slot, one.chosen, one.objects) for one in shown.series] == [
        (BRAVO, True, 12),
        (BRAVO, False, 3),
        (None, False, 12),
    ]
    (job,) = shown.jobs
    assert job.state is JobState.COMPLETED
    assert [(one.number, one.reason) for one in job.attempts] == [(1, "out of memory"), (2, "completed")]
    assert job.outcome is not None
    assert job.outcome.attempt == 2
    assert [(one.destination, one.products) for one in job.deliveries] == [("pacs", ("seg", "sr"))]


def test_a_study_is_found_by_the_beginning_of_its_id_its_job_or_its_uid(database: Database, tmp_path: Path) -> None:
    node = NodeRoom(database, tmp_path)
    node.send(received_series(BRAVO))
    node.settle()
    shown = node.show()
    with database.read() as connection:
        for text in (shown.line.id, shown.line.id[:6].upper(), shown.jobs[0].id[:12], "1.2.1", f" {shown.line.id} "):
            assert queries.find_study(connection, text) == shown.line.id


@pytest.mark.parametrize("text", ["zzz", "", "%", "_", "'; DROP TABLE studies; --", "1.2.1.1"])
def test_what_is_no_study_is_said(sqlite: Database, tmp_path: Path, text: str) -> None:
    NodeRoom(sqlite, tmp_path).send(received_series(BRAVO))
    with sqlite.read() as connection, pytest.raises(StudyError, match="no study"):
        queries.find_study(connection, text)
    with sqlite.read() as connection, pytest.raises(StudyError, match="no study"):
        queries.show_study(connection, text)


def test_a_beginning_that_fits_several_asks_for_more_digits(sqlite: Database, tmp_path: Path) -> None:
    node = NodeRoom(sqlite, tmp_path)
    node.send(received(study=str(number)) for number in range(40))
    beginnings = [line.id[0] for line in node.list()]
    several = next(digit for digit in beginnings if beginnings.count(digit) > 1)
    with sqlite.read() as connection, pytest.raises(StudyError, match="more than one"):
        queries.find_study(connection, several)


def test_states_are_counted(database: Database, tmp_path: Path) -> None:
    node = NodeRoom(database, tmp_path)
    node.send(received(study=str(number)) for number in range(3))
    node.send([received(study="0", content="other")])
    with database.read() as connection:
        counts = queries.count_states(connection)
    assert (counts[StudyState.RECEIVING], counts[StudyState.HELD], counts[StudyState.DONE]) == (2, 1, 0)
    assert set(counts) == set(StudyState)


def test_nothing_shown_says_whose_it_is(sqlite: Database, tmp_path: Path) -> None:
    node = NodeRoom(sqlite, tmp_path)
    node.send(received_series(BRAVO, patient="ZZCANARY"))
    node.settle()
    assert received(patient="ZZCANARY").patient_digest not in repr(node.show())
