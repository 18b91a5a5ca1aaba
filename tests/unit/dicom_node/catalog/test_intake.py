"""What the receiver hands over is recorded once, kept always, and held where it contradicts."""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support.node_room import NodeRoom
from support.received import NOON, received, received_series

from dicom_node.catalog.database import Database
from dicom_node.catalog.intake import CatalogIntake, study_id
from dicom_node.catalog.studies import known_series
from dicom_node.catalog.tables import holds, instances, presence, studies
from dicom_node.contract.slots import SequenceSlot
from dicom_node.errors import CatalogError
from dicom_node.records import Intake, Receipt


def count(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(instances)) or 0


def intake_of(database: Database) -> CatalogIntake:
    return CatalogIntake(database, clock=lambda: NOON)


def test_the_same_object_again_changes_nothing(database: Database) -> None:
    intake: Intake = intake_of(database)
    assert intake.receive(received()) is Receipt.STORED
    assert intake.receive(received()) is Receipt.DUPLICATE
    assert count(database) == 1
    with database.read() as connection:
        assert connection.scalars(select(studies.c.objects)).one() == 1


def test_the_same_uid_with_other_content_is_kept_and_held(database: Database) -> None:
    intake = intake_of(database)
    intake.receive(received())
    assert intake.receive(received(content="other")) is Receipt.HELD
    assert count(database) == 2
    # and each of the two, sent again, is a duplicate
    assert intake.receive(received(content="other")) is Receipt.DUPLICATE
    assert intake.receive(received()) is Receipt.DUPLICATE


def test_the_same_uid_in_another_study_is_kept_and_holds_that_one(database: Database) -> None:
    intake = intake_of(database)
    intake.receive(received())
    moved = replace(received(content="moved"), study_instance_uid="1.2.99")
    assert intake.receive(moved) is Receipt.HELD
    with database.read() as connection:
        states = {row[0]: row[1] for row in connection.execute(select(studies.c.study_instance_uid, studies.c.state))}
    assert states == {"1.2.1": "receiving", "1.2.99": "held"}


def test_another_patient_is_kept_and_held_with_one_reason(database: Database) -> None:
    intake = intake_of(database)
    intake.receive(received())
    others = [intake.receive(received(series="2", number=n, patient="two")) for n in range(1, 6)]
    assert set(others) == {Receipt.HELD}
    with database.read() as connection:
        assert len(connection.scalars(select(holds.c.reason)).all()) == 1
    assert count(database) == 6


def test_what_comes_into_a_held_study_is_kept_too(database: Database) -> None:
    intake = intake_of(database)
    intake.receive(received())
    intake.receive(received(content="other"))
    assert intake.receive(received(number=2)) is Receipt.HELD
    assert count(database) == 3


def test_many_threads_lose_and_double_nothing(database: Database) -> None:
    # Given 200 objects of four studies, each sent by two of eight threads
    intake = intake_of(database)
    objects = [received(study=str(n % 4), series=str(n % 3), number=n) for n in range(200)] * 2
    random.Random(1).shuffle(objects)
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(intake.receive, objects))
    # Then each is stored once
    assert (receipts.count(Receipt.STORED), receipts.count(Receipt.DUPLICATE)) == (200, 200)
    assert count(database) == 200
    with database.read() as connection:
        assert connection.scalar(select(func.sum(studies.c.objects))) == 200


def test_two_receivers_on_one_catalog_agree(database_url: str) -> None:
    one, other = Database(database_url), Database(database_url)
    first, second = intake_of(one), CatalogIntake(other, receiver="second")
    objects = [received(number=n) for n in range(60)]
    with ThreadPoolExecutor(8) as pool:
        mine = pool.map(first.receive, objects)
        theirs = pool.map(second.receive, objects)
        receipts = [*mine, *theirs]
    assert (receipts.count(Receipt.STORED), receipts.count(Receipt.DUPLICATE)) == (60, 60)
    one.close()
    other.close()


def test_one_bad_object_sinks_no_other_of_its_batch(database: Database) -> None:
    intake = intake_of(database)
    bad = replace(received(number=50), received_at=NOON.replace(tzinfo=None))
    objects = [bad if n == 7 else received(number=n) for n in range(20)]

    def receive(number: int) -> Receipt | None:
        try:
            return intake.receive(objects[number])
        except CatalogError:
            return None

    with ThreadPoolExecutor(20) as pool:
        with database.write():  # while another writes, they gather
            answers = [pool.submit(receive, number) for number in range(20)]
        given = [answer.result() for answer in answers]
    assert given.count(Receipt.STORED) == 19
    assert given[7] is None


def test_headers_that_a_database_would_choke_on_are_kept(database: Database) -> None:
    odd = {"SeriesDescription": "nul \x00, \ud800, \u00e9", "EchoTime": float("nan")}
    assert intake_of(database).receive(received(headers=odd)) is Receipt.STORED
    with database.read() as connection:
        (series,) = known_series(connection, study_id("1.2.1"))
    assert series.headers["SeriesDescription"] == odd["SeriesDescription"]


def test_an_object_whose_file_is_gone_is_not_acknowledged(database: Database, tmp_path: Path) -> None:
    intake = CatalogIntake(database, storage_root=tmp_path)
    with pytest.raises(CatalogError, match="sent again"):
        intake.receive(received())
    assert intake.receive(received(root=tmp_path)) is Receipt.STORED


def test_the_headers_of_a_series_do_not_depend_on_what_came_first(sqlite: Database) -> None:
    intake = intake_of(sqlite)
    for number in (5, 2, 9):
        intake.receive(received(number=number, headers={"InstanceNumber": number}))
    with sqlite.read() as connection:
        (series,) = known_series(connection, study_id("1.2.1"))
    assert series.headers["InstanceNumber"] == 2
    assert series.headers["NumberOfSeriesRelatedInstances"] == 3


def test_a_catalog_that_was_lost_is_rebuilt_from_the_store(tmp_path: Path) -> None:
    """The same ids, the same job; the outcome that lies there is taken, and the same bytes go out again."""
    # Given a study that is done
    (tmp_path / "a").mkdir()
    first = Database(f"sqlite:///{tmp_path / 'a' / 'catalog.sqlite'}")
    node = NodeRoom(first, tmp_path)
    objects = received_series(SequenceSlot.BRAVO)
    node.send(objects)
    node.settle()
    node.work()
    node.step(1)
    node.step(1)
    before = node.show()
    first.close()
    # When every object is adopted into an empty catalog, in another order
    second = Database(f"sqlite:///{tmp_path / 'b' / 'catalog.sqlite'}")
    rebuilt = NodeRoom(second, tmp_path)
    assert rebuilt.intake.known_paths() == set()
    assert rebuilt.intake.adopt(objects[::-1]) == len(objects)
    assert rebuilt.intake.adopt(objects) == 0
    rebuilt.settle()
    rebuilt.step(1)
    rebuilt.step(1)
    # Then nothing was worked on anew
    after = rebuilt.show()
    assert (after.line.id, after.jobs[0].id) == (before.line.id, before.jobs[0].id)
    assert after.line.state == before.line.state
    assert rebuilt.pacs == node.pacs
    assert rebuilt.broker == []
    second.close()


def test_adoption_leaves_out_what_cannot_be_recorded(database: Database) -> None:
    bad = replace(received(number=3), received_at=NOON.replace(tzinfo=None))
    assert intake_of(database).adopt([received(number=1), bad, received(number=2)]) == 2
    assert count(database) == 2


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    # Given a receiver that says each object that it recorded
    url = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    program = (
        "from support.received import received\n"
        "from dicom_node.catalog.database import Database\n"
        "from dicom_node.catalog.intake import CatalogIntake\n"
        f"intake = CatalogIntake(Database({url!r}))\n"
        "for number in range(100000):\n"
        "    intake.receive(received(number=number)); print(number, flush=True)\n"
    )
    tests = Path(__file__).parents[3]
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=tests, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(30)]
    # When it is killed in the middle
    process.kill()
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    # Then all of them are there
    database = Database(url)
    with database.read() as connection:
        kept = set(connection.scalars(select(instances.c.sop_instance_uid)))
    assert {received(number=int(line)).sop_instance_uid for line in said if line.endswith("\n")} <= kept
    database.close()


def test_presences_are_those_of_living_receivers(database: Database) -> None:
    one, two = CatalogIntake(database, receiver="one"), CatalogIntake(database, receiver="two")
    one.association_opened("a", "SENDER@127.0.0.1")
    one.study_open("a", "1.2")
    two.study_open("b", "1.2")
    two.study_open("c", "1.3")
    two.association_closed("c")
    CatalogIntake(database, receiver="one")  # it was killed, and starts again
    with database.read() as connection:
        assert connection.scalars(select(presence.c.association_id)).all() == ["b"]
