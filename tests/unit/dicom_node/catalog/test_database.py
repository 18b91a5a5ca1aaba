"""The catalog opens, migrates and locks, and says what to do where it cannot."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, select, text
from support.received import NOON

from dicom_node.catalog.database import CatalogDamaged, CatalogLocked, Database
from dicom_node.catalog.tables import holds, metadata, presence, studies
from dicom_node.errors import CatalogError


def presence_row(number: int) -> dict[str, object]:
    return {"association_id": f"a{number}", "study_instance_uid": "1.2", "receiver": "r", "opened_at": NOON}


def test_migrations_build_exactly_the_tables(database: Database) -> None:
    with database.write() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_times_come_back_aware_and_in_utc(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(presence), presence_row(1))
    with database.read() as connection:
        moment = connection.scalars(select(presence.c.opened_at)).one()
    assert (moment, moment.utcoffset()) == (NOON, NOON.utcoffset())


def test_sqlite_survives_a_power_loss(sqlite: Database) -> None:
    with sqlite.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_an_exception_undoes_the_write(database: Database) -> None:
    def write_and_fail() -> None:
        with database.write() as connection:
            connection.execute(insert(presence), presence_row(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with database.read() as connection:
        assert connection.scalar(select(presence.c.receiver)) is None


def test_writes_are_alone(database: Database) -> None:
    # Given twenty writers that each read, then add one
    def add(number: int) -> None:
        with database.write() as connection:
            count = len(connection.scalars(select(presence.c.receiver)).all())
            connection.execute(insert(presence), presence_row(count))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(20)))
    # Then none of them saw the same state: the numbers are all different
    with database.read() as connection:
        assert len(connection.scalars(select(presence.c.association_id)).all()) == 20


def test_processes_that_start_together_migrate_once(database_url: str) -> None:
    program = f"from dicom_node.catalog.database import Database; Database({database_url!r}).close()"
    started = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(3)]
    ended = [process.communicate()[1] for process in started]
    assert ([process.returncode for process in started], ended) == ([0, 0, 0], [b"", b"", b""])


def test_a_locked_catalog_says_so_and_is_worth_another_try(sqlite_url: str, tmp_path: Path) -> None:
    Database(sqlite_url).close()
    other = sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    database = None
    with pytest.raises(CatalogLocked, match="locked by another process") as caught:
        database = Database(sqlite_url, lock_timeout_s=0.1)
    assert caught.value.retryable
    other.execute("ROLLBACK")
    other.close()
    assert database is None
    Database(sqlite_url).close()


def test_a_lock_that_is_held_on_postgresql_says_so(database_url: str) -> None:
    holder = Database(database_url)
    waiter = Database(database_url, lock_timeout_s=0.2)
    with holder.write(), pytest.raises(CatalogLocked), waiter.write():
        pass
    with waiter.write():
        pass
    holder.close()
    waiter.close()


@pytest.mark.parametrize("where", [0, 4096])
def test_a_damaged_catalog_says_how_to_rebuild_it(sqlite_url: str, tmp_path: Path, where: int) -> None:
    Database(sqlite_url).close()
    file = tmp_path / "catalog.sqlite"
    content = bytearray(file.read_bytes())
    content[where : where + 60] = b"\xff" * 60
    content[100:120] = b"\xff" * 20
    file.write_bytes(content)
    with pytest.raises(CatalogDamaged, match="rebuilt from the store"):
        Database(sqlite_url)


def test_a_catalog_of_a_newer_release_is_left_alone(database_url: str) -> None:
    database = Database(database_url)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(CatalogError, match="newer release"):
        Database(database_url)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CatalogError, match="folder of the catalog"):
        Database(f"sqlite:///{tmp_path}/file/catalog.sqlite")


@pytest.mark.parametrize("url", ["nonsense", "mysql://root:secret@host/x", "oracle://host/x"])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(CatalogError, match=r"catalog\.url") as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_a_database_that_is_away_is_said_without_the_password() -> None:
    with pytest.raises(CatalogError, match="cannot be reached") as caught:
        Database("postgresql+psycopg://quartet:secret@127.0.0.1:9/quartet")
    assert caught.value.retryable
    assert "secret" not in str(caught.value)


def test_an_error_quotes_no_row(database: Database) -> None:
    row = {"study_id": "0" * 16, "reason": "ZZCANARY", "created_at": NOON}
    with pytest.raises(CatalogError) as caught, database.write() as connection:
        connection.execute(insert(holds), row)
    assert "ZZCANARY" not in str(caught.value)


def test_no_table_has_room_for_a_patients_identity() -> None:
    columns = {column.name for table in metadata.tables.values() for column in table.columns}
    assert {name for name in columns if "patient" in name} == {"patient_digest"}
    assert "patient_digest" in studies.c
