"""Opens the catalog, brings its tables up to date, and hands out transactions.

One writer at a time on both databases (BEGIN IMMEDIATE on SQLite, an advisory lock on PostgreSQL), so that each write
reads what the last one left and needs no further locks; readers see a consistent state and wait for nobody.
SQLite runs with WAL and synchronous=FULL: what was committed survives a power loss. Migrations run inside a write, so
that processes that start together wait for the first. Knows no DICOM.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from dicom_node.errors import CatalogError

MIGRATIONS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x51_0A_27_E7
"""Any fixed number; it names the catalog's write lock within a PostgreSQL database."""
_WRITES = "quartet_writes"


class Database:
    """The database behind `url` (SQLAlchemy form; sqlite or postgresql+psycopg), made and migrated where needed.

    `lock_timeout_s`: how long a write waits for another one. Raises `CatalogError`, whose text says what to do, where
    the database is locked, damaged, unreachable or of a newer release. Safe to share among threads.
    """

    def __init__(self, url: str, *, lock_timeout_s: float = 30.0) -> None:
        self._where = url
        try:
            parsed = make_url(url)
            self._where = parsed.render_as_string(hide_password=True)
            if parsed.get_backend_name() == "sqlite":
                self.engine = _sqlite(parsed, lock_timeout_s)
            else:
                self.engine = _postgresql(parsed, lock_timeout_s)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise CatalogUnusable(f"catalog.url {self._where} cannot be used: {error}") from error
        except OSError as error:
            raise CatalogUnusable(
                f"the folder of the catalog {self._where} cannot be made: {error.strerror}"
            ) from error
        self._prepare(lock_timeout_s)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is alone in writing; committed at the end of the block, undone by an exception."""
        with self._explained(), self.engine.execution_options(**{_WRITES: True}).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction for reading one consistent state."""
        with self._explained(), self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Give all connections back. The catalog opens new ones when it is used again."""
        self.engine.dispose()

    def _prepare(self, patience_s: float) -> None:
        """Set the journal mode and migrate. SQLite answers some of this with "locked" at once: try on for a while."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                with self.write() as connection:
                    _migrate(connection)
                return
            except CatalogLocked:
                if time.monotonic() >= deadline:
                    self.close()
                    raise
                time.sleep(0.05)
            except BaseException:
                self.close()
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise _explain(error, self._where) from error


class CatalogLocked(CatalogError):
    """Another process writes and does not end."""


class CatalogDamaged(CatalogError):
    """The file is no database, or parts of it cannot be read."""

    retryable = False


class CatalogUnusable(CatalogError):
    """The URL is wrong, or the tables are of a newer release; the text says what to do."""

    retryable = False


def _sqlite(url: Any, lock_timeout_s: float) -> Engine:
    if url.database not in (None, "", ":memory:"):
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": lock_timeout_s, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we begin ourselves; the driver's own rules would begin too late
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: Any, lock_timeout_s: float) -> Engine:
    if url.get_backend_name() != "postgresql":
        raise ArgumentError("use sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    options = f"-c lock_timeout={round(lock_timeout_s * 1000)} -c timezone=UTC -c synchronous_commit=on"
    return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10, "options": options})


def alembic_config(connection: Connection | None = None) -> alembic.config.Config:
    """The Alembic configuration of the catalog; migrations run on the given connection, in its transaction."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _migrate(connection: Connection) -> None:
    """Bring the tables to this release. Cheap where they are."""
    config = alembic_config(connection)
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current == scripts.get_current_head():
        return
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise CatalogUnusable(
            f"the catalog is of a newer release (its tables are at {current}): run that release, or "
            "move the catalog away to have it rebuilt from the store"
        )
    alembic.command.upgrade(config, "head")


def _explain(error: SQLAlchemyError, where: str) -> CatalogError:
    cause = str(error.orig).strip().split("\n")[0] if isinstance(error, DBAPIError) else type(error).__name__
    lowered = cause.lower()
    if "locked" in lowered or "lock timeout" in lowered:
        return CatalogLocked(
            f"the catalog {where} is locked by another process that does not end: see which has it open "
            "(fuser, pg_locks) and stop that one"
        )
    if any(word in lowered for word in ("malformed", "not a database", "corrupt", "disk image", "encrypted")):
        return CatalogDamaged(
            f"the catalog {where} is damaged ({cause}): stop the node, move the file and its -wal and -shm aside, "
            "and start again; it is then rebuilt from the store"
        )
    if "readonly" in lowered or "unable to open" in lowered or "full" in lowered:
        return CatalogError(
            f"the catalog {where} cannot be written ({cause}): check the folder's rights and free space"
        )
    if isinstance(error, DBAPIError) and (error.connection_invalidated or "connect" in lowered):
        return CatalogError(f"the catalog {where} cannot be reached: check that the database runs and catalog.url")
    if isinstance(error, DBAPIError):
        # The driver's text may quote values of a row, so only its class goes into the message.
        return CatalogError(f"the catalog {where} failed ({type(error.orig).__name__}): see the database's own log")
    return CatalogError(f"the catalog {where} failed ({cause})")
