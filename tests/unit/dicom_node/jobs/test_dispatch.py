"""Open jobs come to their end, whatever broker and workers do: lost, doubled, dead, late, foreign or altered."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.node_room import NodeRoom
from support.received import received_series

from dicom_node.catalog import studies
from dicom_node.catalog.database import Database
from dicom_node.catalog.jobs import JobState
from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import Doorbell, OutcomeStatus, Progress
from dicom_node.contract.slots import SequenceSlot
from dicom_node.jobs.dispatch import Dispatcher
from dicom_node.settings import JobSettings
from dicom_node.study.states import StudyState


def queued(database: Database, root: Path) -> NodeRoom:
    node = NodeRoom(database, root, jobs=JobSettings(attempts=3, lease_s=60, ring_again_s=30))
    node.send(received_series(SequenceSlot.BRAVO))
    node.settle()
    return node


def bells(node: NodeRoom) -> list[Doorbell]:
    """Take all doorbells from the broker."""
    assert node.broker is not None
    rung, node.broker = node.broker, []
    return rung


def folder(node: NodeRoom) -> JobFolder:
    return JobFolder(node.root, node.show().jobs[0].id)


def begin(node: NodeRoom, attempt: int) -> None:
    """A worker begins an attempt, by the node's clock."""
    bench = folder(node).begin(attempt)
    folder(node).beat(attempt, Progress(stage="read", fraction=0.1))
    moment = node.now.timestamp()
    for path in (bench / "progress.json", bench):
        os.utime(path, (moment, moment))


def test_a_broker_that_is_down_is_asked_until_it_answers(database: Database, tmp_path: Path) -> None:
    node = NodeRoom(database, tmp_path)
    node.broker = None
    node.send(received_series(SequenceSlot.BRAVO))
    node.settle()
    node.step(1)
    assert node.show().jobs[0].attempts == ()
    assert folder(node).request_path.exists()
    node.broker = []
    node.step(1)
    assert [bell.attempt for bell in bells(node)] == [1]


def test_one_round_asks_a_dead_broker_once(sqlite: Database, tmp_path: Path) -> None:
    node = NodeRoom(sqlite, tmp_path)
    for study in range(5):
        node.send(received_series(SequenceSlot.BRAVO, study=str(study), count=2))
    asked: list[str] = []
    node.dispatcher.ring = lambda bell: bool(asked.append(bell.job_id))
    node.settle()
    assert len(asked) == 1
    assert len(node.list()) == 5


def test_a_flushed_broker_loses_nothing(sqlite: Database, tmp_path: Path) -> None:
    node = queued(sqlite, tmp_path)
    assert len(bells(node)) == 1  # and it is lost
    node.step(29)
    assert bells(node) == []
    node.step(1)
    assert [bell.attempt for bell in bells(node)] == [1]
    node.step(59)
    assert bells(node) == []
    node.step(1)
    assert [bell.attempt for bell in bells(node)] == [1]


def test_a_dead_worker_is_followed_by_the_next_attempt_until_they_are_used_up(
    database: Database, tmp_path: Path
) -> None:
    node = queued(database, tmp_path)
    for attempt in (1, 2, 3):
        assert [bell.attempt for bell in bells(node)] == [attempt]
        begin(node, attempt)
        node.step(59)
        assert (node.show().line.state, bells(node)) == (StudyState.RUNNING, [])
        node.step(2)
    shown = node.show()
    assert (shown.line.state, shown.jobs[0].state) == (StudyState.FAILED, JobState.FAILED)
    assert "3 attempts" in shown.line.reason
    assert [attempt.reason != "" for attempt in shown.jobs[0].attempts] == [True, True, True]
    assert all(attempt.begun_at for attempt in shown.jobs[0].attempts)
    node.step(3600)
    assert bells(node) == []


def test_word_of_a_failure_goes_to_the_next_attempt_at_once(sqlite: Database, tmp_path: Path) -> None:
    node = queued(sqlite, tmp_path)
    node.work(OutcomeStatus.FAILED, "out of memory", retryable=True)
    node.step(1)
    assert [bell.attempt for bell in bells(node)] == [2]


def test_a_failure_that_no_attempt_can_mend_ends_the_job(sqlite: Database, tmp_path: Path) -> None:
    node = queued(sqlite, tmp_path)
    node.work(OutcomeStatus.FAILED, "weights are altered")
    node.step(1)
    assert (node.show().line.state, node.show().line.reason) == (StudyState.FAILED, "weights are altered")


def test_a_failed_study_can_be_retried(database: Database, tmp_path: Path) -> None:
    node = queued(database, tmp_path)
    node.work(OutcomeStatus.FAILED, "weights are altered")
    node.step(1)
    with node.database.write() as connection:
        studies.retry(connection, node.show().line.id, node.now)
    node.step(1)
    node.step(1)
    assert [bell.attempt for bell in node.broker or ()] == [2]
    node.work()
    node.step(1)
    node.step(1)
    assert node.show().line.state is StudyState.DONE


def test_a_doubled_outcome_and_a_doubled_ring_change_nothing(database: Database, tmp_path: Path) -> None:
    node = queued(database, tmp_path)
    (bell,) = bells(node)
    assert node.run(bell)
    assert not node.run(bell)
    assert not node.run(replace(bell, attempt=2))
    for _ in range(4):
        node.step(1)
    (job,) = node.show().jobs
    assert (job.state, len(job.deliveries), len(node.arrivals)) == (JobState.COMPLETED, 1, 2)


def test_the_outcome_of_an_attempt_that_was_taken_for_dead_counts(database: Database, tmp_path: Path) -> None:
    # Given a job whose three attempts fell silent
    node = queued(database, tmp_path)
    first = bells(node)[0]
    for attempt in (1, 2, 3):
        begin(node, attempt)
        node.step(61)
    assert node.show().line.state is StudyState.FAILED
    bells(node)
    # When one of them was only slow
    node.run(first)
    node.step(1)
    node.step(1)
    # Then its result counts, once
    assert (node.show().line.state, len(node.arrivals)) == (StudyState.DONE, 2)


def test_the_outcome_of_an_older_attempt_counts(sqlite: Database, tmp_path: Path) -> None:
    node = queued(sqlite, tmp_path)
    (first,) = bells(node)
    begin(node, 1)
    node.step(61)
    (second,) = bells(node)
    begin(node, second.attempt)
    node.run(first)
    node.step(1)
    outcome = node.show().jobs[0].outcome
    assert outcome is not None
    assert outcome.attempt == 1


def test_killed_at_any_step_the_next_one_goes_on(database: Database, tmp_path: Path) -> None:
    """After each single call of the coordinator its process is replaced by a fresh one."""
    node = NodeRoom(database, tmp_path)
    node.send(received_series(SequenceSlot.BRAVO))
    node.now = node.now.replace(hour=13)
    for _ in range(6):
        for part in (node.lifecycle.complete_settled, node.dispatcher.dispatch):
            part(node.now)
            node.restart()
        node.work()
        node.deliver()
        node.restart()
    assert node.show().line.state is StudyState.DONE
    assert len(node.show().jobs) == 1
    assert len(node.arrivals) == 2


def test_killed_between_send_and_record_sends_the_same_again(sqlite: Database, tmp_path: Path) -> None:
    node = queued(sqlite, tmp_path)
    node.work()
    node.dispatcher.dispatch(node.now)
    # Given files that went out, and a process that died before it said so
    for delivery in node.ledger.due(node.now):
        node.arrivals += [file.name for file in delivery.files]
    node.restart()
    node.step(1)
    node.step(1)
    assert node.arrivals == ["seg.dcm", "sr.dcm", "seg.dcm", "sr.dcm"]
    assert node.show().line.state is StudyState.DONE


@pytest.mark.parametrize("fault", ["another version", "no JSON", "altered", "lost", "path", "another job"])
def test_an_outcome_that_cannot_be_trusted_is_not_sent(sqlite: Database, tmp_path: Path, fault: str) -> None:
    node = queued(sqlite, tmp_path)
    node.work()
    outcome = folder(node).outcome
    text = (outcome / "outcome.json").read_text()
    parsed = json.loads(text)
    if fault == "another version":
        text = json.dumps(parsed | {"version": 99})
    elif fault == "no JSON":
        text = "{"
    elif fault == "altered":
        (outcome / "seg.dcm").write_bytes(b"altered")
    elif fault == "lost":
        (outcome / "seg.dcm").unlink()
    elif fault == "path":
        parsed["products"][0]["file_name"] = "../../catalog.sqlite"
        text = json.dumps(parsed)
    else:
        text = json.dumps(parsed | {"job_id": "ab" * 16})
    (outcome / "outcome.json").write_text(text)
    for _ in range(3):
        node.step(1)
    assert (node.show().line.state, node.arrivals) == (StudyState.FAILED, [])
    assert node.show().line.reason


def test_one_bad_job_stops_no_other(sqlite: Database, tmp_path: Path) -> None:
    # Given a job folder that is a file
    node = NodeRoom(sqlite, tmp_path)
    for study in ("1", "2"):
        node.send(received_series(SequenceSlot.BRAVO, study=study))
    node.settle()
    rung = bells(node)
    bad = JobFolder(tmp_path, rung[0].job_id).path
    shutil.rmtree(bad)
    bad.write_text("in the way")
    # When the other one is worked on
    node.run(rung[1])
    node.step(1)
    node.step(1)
    # Then it is done, and the bad one says why it waits
    assert {line.state: line.reason for line in node.list()} == {
        StudyState.DONE: "",
        StudyState.QUEUED: "its job could not be looked at (FileExistsError); see the log",
    }


def test_a_job_that_cannot_be_looked_at_is_tried_once_a_minute_until_it_can(
    sqlite: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A round comes twice a second: the log would be full of one fault."""
    node = queued(sqlite, tmp_path)
    place = folder(node).path
    shutil.rmtree(place)
    place.write_text("in the way")
    for _ in range(59):
        node.step(1)
    assert caplog.text.count("A job could not be looked at") == 1
    node.step(2)
    assert caplog.text.count("A job could not be looked at") == 2
    place.unlink()
    bells(node)
    node.step(60)
    node.work()
    node.step(1)
    assert (node.show().line.state, node.show().line.reason) == (StudyState.DONE, "")


def test_a_job_that_cannot_even_be_given_up_stops_no_other(
    sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two jobs that are done, the first with words that cannot be read
    node = NodeRoom(sqlite, tmp_path)
    for study in ("1", "2"):
        node.send(received_series(SequenceSlot.BRAVO, study=study))
    node.settle()
    first, second = bells(node)
    node.run(first)
    node.run(second)
    (JobFolder(tmp_path, first.job_id).outcome / "outcome.json").write_text("{")

    # When giving it up fails too
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Dispatcher, "_give_up", fails)
    node.step(1)
    # Then the second one is done
    assert sorted(line.state for line in node.list()) == [StudyState.DONE, StudyState.QUEUED]


def test_a_request_that_was_lost_is_written_again(sqlite: Database, tmp_path: Path) -> None:
    node = queued(sqlite, tmp_path)
    before = folder(node).request_path.read_bytes()
    shutil.rmtree(folder(node).path)
    node.restart()
    node.step(1)
    assert folder(node).request_path.read_bytes() == before
