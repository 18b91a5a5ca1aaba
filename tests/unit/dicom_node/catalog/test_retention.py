"""Old studies go, rows and files; what is new, owed or waits for a person stays; a kill in between is harmless."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support.node_room import NodeRoom
from support.received import received, received_series

from dicom_node.catalog import retention, studies
from dicom_node.catalog.database import Database
from dicom_node.catalog.intake import CatalogIntake
from dicom_node.catalog.tables import expired_paths, metadata
from dicom_node.contract.job_folder import JOBS
from dicom_node.contract.slots import SequenceSlot
from dicom_node.errors import CatalogError
from dicom_node.records import Receipt

BRAVO = SequenceSlot.BRAVO
OLD = timedelta(days=31)


def done(node: NodeRoom, study: str = "1") -> NodeRoom:
    node.send(received_series(BRAVO, study=study, root=node.root))
    node.settle()
    node.work()
    node.step(1)
    node.step(1)
    return node


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and "catalog" not in path.name]


def test_a_delivered_study_goes_after_its_days(database: Database, tmp_path: Path) -> None:
    node = done(NodeRoom(database, tmp_path))
    node.step(29 * 86_400)
    assert len(node.list()) == 1
    assert files(tmp_path)
    node.step(2 * 86_400)
    assert node.list() == []
    assert files(tmp_path) == []
    with database.read() as connection:
        for table in metadata.tables.values():
            assert connection.scalar(select(func.count()).select_from(table)) == 0, table.name


def test_without_days_nothing_goes(sqlite: Database, tmp_path: Path) -> None:
    node = done(NodeRoom(sqlite, tmp_path, keep_days=None))
    node.now += 100 * OLD
    node.step()
    assert len(node.list()) == 1


@pytest.mark.parametrize("why", ["undelivered", "held", "receiving", "refused by the pacs"])
def test_what_somebody_waits_for_stays(sqlite: Database, tmp_path: Path, why: str) -> None:
    node = NodeRoom(sqlite, tmp_path, keep_days=1)
    node.send(received_series(BRAVO, root=tmp_path))
    node.settle()
    node.work()
    if why == "held":
        node.send([received(patient="two", root=tmp_path)])
    elif why == "receiving":
        node.send([received(series="7", root=tmp_path)])
    elif why == "refused by the pacs":
        node.refuses = "no"
        node.step(1)
    before = set(files(tmp_path))
    assert retention.remove_expired(sqlite, tmp_path, node.now + OLD, 1) == 0
    assert set(files(tmp_path)) == before


def test_killed_between_rows_and_files(sqlite: Database, tmp_path: Path) -> None:
    # Given a study whose rows went, and a process that was killed then
    node = done(NodeRoom(sqlite, tmp_path))
    with sqlite.write() as connection:
        paths, job_ids = studies.forget(connection, node.show().line.id)
    assert (len(paths), len(job_ids)) == (12, 1)
    assert files(tmp_path)
    # When the next one starts, it finds nothing to adopt
    assert node.intake.known_paths() >= set(paths)
    retention.sweep(sqlite, tmp_path)
    # Then nothing is left that adoption could find
    assert files(tmp_path) == []
    assert list((tmp_path / JOBS).iterdir()) == []


def test_an_object_that_came_again_in_between_is_not_deleted(sqlite: Database, tmp_path: Path) -> None:
    node = done(NodeRoom(sqlite, tmp_path))
    with sqlite.write() as connection:
        studies.forget(connection, node.show().line.id)
    again = received_series(BRAVO, root=tmp_path)[0]
    assert CatalogIntake(sqlite, storage_root=tmp_path).receive(again) is Receipt.STORED
    retention.sweep(sqlite, tmp_path)
    assert files(tmp_path) == [tmp_path / again.file.path]


def test_an_object_whose_file_went_in_between_is_not_acknowledged(sqlite: Database, tmp_path: Path) -> None:
    node = done(NodeRoom(sqlite, tmp_path))
    again = received_series(BRAVO)[0]
    with sqlite.write() as connection:
        studies.forget(connection, node.show().line.id)
    retention.sweep(sqlite, tmp_path)
    with pytest.raises(CatalogError, match="sent again"):
        CatalogIntake(sqlite, storage_root=tmp_path).receive(again)


def test_nothing_outside_of_the_storage_root_is_touched(sqlite: Database, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("not ours")
    (tmp_path / "root").mkdir()
    with sqlite.write() as connection:
        connection.execute(expired_paths.insert(), {"path": "../outside"})
    retention.sweep(sqlite, tmp_path / "root")
    assert outside.exists()
