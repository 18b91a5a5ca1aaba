"""From objects to snapshots: complete, late, held, unusable, in any order, with coordinators killed and doubled."""

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.node_room import NodeRoom
from support.received import classify, received, received_series

from dicom_node.catalog import studies
from dicom_node.catalog.database import Database
from dicom_node.catalog.jobs import JobState
from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import OutcomeStatus
from dicom_node.contract.slots import SequenceSlot
from dicom_node.errors import StudyError
from dicom_node.records import Receipt, ReceivedInstance, StudyVerdict
from dicom_node.settings import StudySettings
from dicom_node.study.states import StudyState

FLAIR, BRAVO, PRE, POST = SequenceSlot.FLAIR, SequenceSlot.BRAVO, SequenceSlot.PRE_CUBE, SequenceSlot.POST_CUBE


def four_series(study: str = "1") -> list[ReceivedInstance]:
    return [one for slot in SequenceSlot for one in received_series(slot, study=study)]


def retry(node: NodeRoom, *, keep_latest: bool = False) -> None:
    with node.database.write() as connection:
        studies.retry(connection, node.show().line.id, node.now, keep_latest=keep_latest)


def test_a_study_goes_from_its_first_object_to_its_delivered_result(database: Database, tmp_path: Path) -> None:
    # Given a study that came in
    node = NodeRoom(database, tmp_path)
    assert set(node.send(four_series())) == {Receipt.STORED}
    seen = [node.show().line.state]
    # When it settles, is worked on and delivered
    node.settle()
    seen.append(node.show().line.state)
    assert node.broker is not None
    JobFolder(tmp_path, node.broker[0].job_id).begin(1)
    node.step(1)
    seen.append(node.show().line.state)
    node.work()
    node.step(1)
    node.step(1)
    # Then it is done, and each product arrived once
    assert [*seen, node.show().line.state] == [
        StudyState.RECEIVING,
        StudyState.QUEUED,
        StudyState.RUNNING,
        StudyState.DONE,
    ]
    assert len(node.arrivals) == len(node.pacs) == 2
    assert node.show().line.slots == tuple(SequenceSlot)


def test_a_late_series_supersedes_and_names_its_predecessor(database: Database, tmp_path: Path) -> None:
    # Given a study that is done without its FLAIR
    node = NodeRoom(database, tmp_path)
    node.send(received_series(BRAVO))
    node.settle()
    node.work()
    node.step(1)
    node.step(1)
    first = node.show().jobs[0]
    # When the FLAIR comes
    node.send(received_series(FLAIR))
    assert node.show().line.state is StudyState.RECEIVING
    node.settle()
    node.work()
    node.step(1)
    node.step(1)
    # Then there is a second result that names the first
    newest = node.show().jobs[0]
    assert (newest.state, newest.predecessor_job_id) == (JobState.COMPLETED, first.id)
    assert node.show().line.state is StudyState.DONE
    assert len(node.pacs) == 4


def test_a_late_series_of_no_slot_makes_nothing_new(database: Database, tmp_path: Path) -> None:
    node = NodeRoom(database, tmp_path)
    node.send(received_series(BRAVO))
    node.settle()
    node.work()
    node.step(1)
    node.step(1)
    node.send(received_series(None))
    node.settle()
    assert len(node.show().jobs) == 1
    assert node.show().line.state is StudyState.DONE
    assert len(node.arrivals) == 2
    assert node.broker == []


def test_a_late_series_before_the_end_supersedes_the_open_job(sqlite: Database, tmp_path: Path) -> None:
    # Given a job that no worker ended
    node = NodeRoom(sqlite, tmp_path)
    node.send(received_series(BRAVO))
    node.settle()
    assert node.broker is not None
    old = node.broker.pop()
    # When a late series makes a new one, and both outcomes come
    node.send(received_series(FLAIR))
    node.settle()
    node.run(old)
    node.work()
    node.step(1)
    node.step(1)
    # Then only the new one is sent
    newest, oldest = node.show().jobs
    assert (newest.state, oldest.state) == (JobState.COMPLETED, JobState.SUPERSEDED)
    assert newest.predecessor_job_id is None
    assert oldest.deliveries == ()
    assert len(node.pacs) == 2


def test_no_usable_series_is_a_visible_end_without_a_job(database: Database, tmp_path: Path) -> None:
    node = NodeRoom(database, tmp_path)
    node.send(received_series(None))
    node.settle()
    shown = node.show()
    assert shown.line.state is StudyState.NOT_PROCESSED
    assert "no usable series" in shown.line.reason
    assert shown.jobs == ()
    assert shown.series[0].objects == 12
    assert shown.series[0].reasons


def test_a_required_slot_that_is_missing_is_named(sqlite: Database, tmp_path: Path) -> None:
    node = NodeRoom(sqlite, tmp_path, study=StudySettings(required_slots=(BRAVO,)))
    node.send(received_series(FLAIR))
    node.settle()
    assert node.show().line.state is StudyState.NOT_PROCESSED
    assert "BRAVO" in node.show().line.reason
    # and when it comes after all, the study is processed
    node.send(received_series(BRAVO))
    node.settle()
    assert node.show().line.state is StudyState.QUEUED


def test_a_held_study_makes_no_job_and_its_patients_never_meet(database: Database, tmp_path: Path) -> None:
    # Given series of two patients under one study
    node = NodeRoom(database, tmp_path)
    node.send(received_series(BRAVO))
    assert set(node.send(received_series(FLAIR, patient="two"))) == {Receipt.HELD}
    # When time passes
    node.settle()
    node.settle()
    # Then it waits for a person, with one reason
    assert (node.show().line.state, node.broker) == (StudyState.HELD, [])
    assert [hold.reason for hold in node.show().holds] == [
        "objects of different patients came under one Study Instance UID"
    ]
    # And when a person lets it go on, only the first patient's objects take part
    retry(node)
    node.settle()
    chosen = [series.slot for series in node.show().series if series.chosen]
    assert chosen == [BRAVO]
    assert node.show().holds[0].released_at is not None


def test_a_person_may_keep_what_came_last(sqlite: Database, tmp_path: Path) -> None:
    node = NodeRoom(sqlite, tmp_path)
    node.send(received_series(BRAVO))
    node.send(received_series(BRAVO, patient="corrected"))
    retry(node, keep_latest=True)
    node.settle()
    (doorbell,) = node.broker or ()
    request = JobFolder(tmp_path, doorbell.job_id).read_request()
    wanted = {one.file.sha256 for one in received_series(BRAVO, patient="corrected")}
    assert {ref.sha256 for series in request.series for ref in series.instances} == wanted


def test_other_content_under_one_uid_is_kept_and_holds(database: Database, tmp_path: Path) -> None:
    node = NodeRoom(database, tmp_path)
    node.send(received_series(BRAVO))
    altered = received(series="1", number=3, content="altered", description=BRAVO)
    assert node.send([altered]) == [Receipt.HELD]
    assert node.intake.known_paths() >= {altered.file.path}
    retry(node)
    node.settle()
    (doorbell,) = node.broker or ()
    request = JobFolder(tmp_path, doorbell.job_id).read_request()
    assert altered.file.sha256 not in {ref.sha256 for series in request.series for ref in series.instances}
    assert len(request.series[0].instances) == 12


def test_a_study_that_became_contradictory_sends_nothing_more(sqlite: Database, tmp_path: Path) -> None:
    # Given a result on its way
    node = NodeRoom(sqlite, tmp_path)
    node.send(received_series(BRAVO))
    node.settle()
    node.work()
    # When another patient's object comes before it is sent
    node.send(received_series(FLAIR, patient="two"))
    node.step(1)
    node.step(1)
    # Then nothing goes out until a person lets it
    assert (node.show().line.state, node.arrivals) == (StudyState.HELD, [])
    retry(node)
    node.settle()
    node.step(1)
    assert (node.show().line.state, len(node.arrivals)) == (StudyState.DONE, 2)


def test_an_open_association_holds_the_study_back(sqlite: Database, tmp_path: Path) -> None:
    node = NodeRoom(sqlite, tmp_path)
    node.intake.association_opened("a1", "SENDER@127.0.0.1")
    node.intake.study_open("a1", "1.2.1")
    node.intake.study_open("a1", "1.2.1")
    node.send(received_series(BRAVO))
    node.settle()
    assert node.show().line.state is StudyState.RECEIVING
    node.intake.association_closed("a1")
    node.step(1)
    assert node.show().line.state is StudyState.QUEUED


def test_a_receiver_that_died_holds_nothing_back_once_it_is_back(sqlite: Database, tmp_path: Path) -> None:
    node = NodeRoom(sqlite, tmp_path)
    node.intake.study_open("a1", "1.2.1")
    node.send(received_series(BRAVO))
    node.restart()
    node.settle()
    assert node.show().line.state is StudyState.QUEUED


def test_a_study_with_all_expected_series_starts_early(sqlite: Database, tmp_path: Path) -> None:
    node = NodeRoom(sqlite, tmp_path)
    node.send(four_series()[:-6])
    node.step(4)
    assert node.show().line.state is StudyState.RECEIVING
    node.send(four_series()[-6:])
    node.step(4)
    assert node.show().line.state is StudyState.QUEUED


def test_a_clock_that_went_back_delays_by_no_more_than_the_settle_time(sqlite: Database, tmp_path: Path) -> None:
    node = NodeRoom(sqlite, tmp_path)
    node.send(received_series(BRAVO))
    node.step(-36_000)
    node.settle()
    assert node.show().line.state is StudyState.QUEUED


def test_one_bad_study_stops_no_other(sqlite: Database, tmp_path: Path) -> None:
    def choosy(series: Sequence[Mapping[str, object]]) -> StudyVerdict:
        if any(headers["SeriesDescription"] == "bad" for headers in series):
            raise ZeroDivisionError
        return classify(series)

    node = NodeRoom(sqlite, tmp_path, classify=choosy)
    node.send([received(study="2", description="bad")])
    node.send(received_series(BRAVO))
    node.settle()
    assert node.show("1").line.state is StudyState.QUEUED
    assert "ZeroDivisionError" in node.show("2").line.reason


def test_killed_between_snapshot_and_request_file(database: Database, tmp_path: Path) -> None:
    # Given a snapshot whose request was not written, and a process that is gone
    node = NodeRoom(database, tmp_path)
    node.send(received_series(BRAVO))
    node.step(1)
    node.lifecycle.complete_settled(node.now.replace(hour=13))
    job_id = node.show().jobs[0].id
    assert not JobFolder(tmp_path, job_id).request_path.exists()
    node.restart()
    # When the next one steps
    node.step(3600)
    # Then the request is there, and the bell rang once
    assert JobFolder(tmp_path, job_id).read_request().job_id == job_id
    assert [bell.job_id for bell in node.broker or ()] == [job_id]


def test_two_coordinators_on_one_catalog_make_one_job(database_url: str, tmp_path: Path) -> None:
    # Given ten settled studies and two coordinators on one catalog
    one = NodeRoom(Database(database_url), tmp_path)
    other = NodeRoom(Database(database_url), tmp_path)
    for number in range(10):
        one.send(received_series(BRAVO, study=str(number), count=3))
    # When both step at once, again and again
    for _ in range(4):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda node: node.step(21), (one, other)))
        one.work()
        other.work()
    # Then each study has one job, one delivery and one result
    for number in range(10):
        (job,) = one.show(str(number)).jobs
        assert len(job.deliveries) == 1
        assert one.show(str(number)).line.state is StudyState.DONE
    assert len(one.pacs | other.pacs) == 20
    one.database.close()
    other.database.close()


def test_a_retry_of_nothing_is_an_error(sqlite: Database, tmp_path: Path) -> None:
    node = NodeRoom(sqlite, tmp_path)
    node.send(received_series(BRAVO))
    with pytest.raises(StudyError, match="receiving"):
        retry(node)


def test_a_refused_study_can_be_retried(database: Database, tmp_path: Path) -> None:
    node = NodeRoom(database, tmp_path)
    node.send(received_series(BRAVO))
    node.settle()
    node.work(OutcomeStatus.REFUSED, "no brain")
    node.step(1)
    assert (node.show().line.state, node.show().line.reason) == (StudyState.NOT_PROCESSED, "no brain")
    assert node.show().jobs[0].deliveries == ()
    retry(node)
    node.step(1)
    node.step(1)
    node.work()
    node.step(1)
    node.step(1)
    assert node.show().line.state is StudyState.DONE
    assert [attempt.number for attempt in node.show().jobs[0].attempts] == [1, 2]


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_order_of_arrival_changes_nothing(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Shuffled, interleaved, doubled, with pauses in between: the last snapshot has the same digest and request."""
    expected = _last_request(tmp_path_factory.mktemp("in-order"), [four_series()])
    objects = four_series()
    random.Random(data.draw(st.integers(0, 10_000))).shuffle(objects)
    doubled = data.draw(st.lists(st.sampled_from(objects), max_size=5))
    objects += doubled
    cuts = sorted(data.draw(st.lists(st.integers(0, len(objects)), max_size=3)))
    parts = [objects[a:b] for a, b in zip([0, *cuts], [*cuts, len(objects)], strict=True)]
    job_id, series = _last_request(tmp_path_factory.mktemp("shuffled"), parts)
    assert (job_id, series) == expected


def _last_request(root: Path, parts: Sequence[Sequence[ReceivedInstance]]) -> tuple[str, Any]:
    database = Database(f"sqlite:///{root}/catalog.sqlite")
    node = NodeRoom(database, root)
    for part in parts:
        node.intake.adopt(part)  # as receive, in one transaction
        node.settle()
    job = node.show().jobs
    with database.read() as connection:
        newest = connection.exec_driver_sql("SELECT job_id FROM studies").scalar_one()
    database.close()
    assert newest in {one.id for one in job}
    request = JobFolder(root, newest).read_request()
    return newest, request.series
