"""Catalogs for tests: fixtures for SQLite and for a real PostgreSQL, run in a temporary folder as an ordinary user.

A conftest imports `database_url`, `database`, `sqlite` and `postgresql_folder`; tests that take `database` run on both.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from dicom_node.catalog.database import Database


@pytest.fixture(scope="session")
def postgresql_folder() -> Iterator[Path]:
    """A running PostgreSQL; the folder holds its socket. Skips where none is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    programs = found[-1]
    folder = Path(tempfile.mkdtemp(prefix="quartet-pg-"))  # a short path: a socket's name has at most 107 bytes
    options = _ordinary_user(folder)
    run: Any = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder, **options}
    data = folder / "data"
    subprocess.run([programs / "initdb", "-D", data, "-U", "quartet", "-A", "trust", "-E", "UTF8", "--no-sync"], **run)
    settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c max_connections=50"
    control = [programs / "pg_ctl", "-D", data, "-w"]
    subprocess.run([*control, "-l", folder / "log", "-o", settings, "start"], **run)
    try:
        yield folder
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **run)
        shutil.rmtree(folder, ignore_errors=True)


def _ordinary_user(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = next(name for name in ("postgres", "nobody") if name in names)
    shutil.chown(folder, user)
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'catalog.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty catalog, on each database in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalog.sqlite'}"
        return
    with postgresql_database(request.getfixturevalue("postgresql_folder")) as url:
        yield url


@contextmanager
def postgresql_database(folder: Path) -> Iterator[str]:
    """The URL of an empty database on the server of `postgresql_folder`; dropped at the end."""
    name = "test_" + os.urandom(6).hex()
    server = create_engine(
        f"postgresql+psycopg://quartet@/postgres?host={folder}", isolation_level="AUTOCOMMIT", pool_size=1
    )
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield f"postgresql+psycopg://quartet@/{name}?host={folder}"
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        server.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A catalog, on each database in turn."""
    opened = Database(database_url, lock_timeout_s=10)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    """A catalog on SQLite."""
    opened = Database(sqlite_url, lock_timeout_s=10)
    yield opened
    opened.close()
