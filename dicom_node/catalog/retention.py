"""Forgets studies that are done and old: first the rows, with word of what lies on disk, then what lies there.

Called by the coordinator. Killed between any two lines, the next call goes on; until then adoption leaves alone what
is about to go (CatalogIntake.known_paths). What is new or owed is never touched: a path that has a row again stays, and
the intake looks for the file while it is alone in writing.
"""

import logging
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, select

from dicom_node.catalog import studies
from dicom_node.catalog.database import Database
from dicom_node.catalog.tables import expired_paths, instances, jobs
from dicom_node.contract.job_folder import JOBS

log = logging.getLogger(__name__)

BATCH = 500
"""Paths that go in one transaction: receivers wait meanwhile, for some ten milliseconds."""


def remove_expired(database: Database, storage_root: Path, now: datetime, keep_days: float | None) -> int:
    """Remove the studies that ended more than `keep_days` ago (None: none). Gives how many were."""
    if keep_days is None:
        return 0
    with database.read() as connection:
        old = studies.expired(connection, now - timedelta(days=keep_days))
    for study_id in old:
        with database.write() as connection:
            if study_id in studies.expired(connection, now - timedelta(days=keep_days)):
                studies.forget(connection, study_id)
                log.info("An old study was removed.", extra={"study": study_id})
    sweep(database, storage_root)
    return len(old)


def sweep(database: Database, storage_root: Path) -> None:
    """Delete from disk what forgotten studies left there."""
    while True:
        with database.write() as connection:
            paths = list(connection.scalars(select(expired_paths.c.path).limit(BATCH)))
            if not paths:
                return
            wanted = set(connection.scalars(select(instances.c.path).where(instances.c.path.in_(paths))))
            wanted |= {f"{JOBS}/{job_id}" for job_id in connection.scalars(select(jobs.c.id))}
            for path in paths:
                if path not in wanted:
                    _remove(storage_root, path)
            connection.execute(delete(expired_paths).where(expired_paths.c.path.in_(paths)))


def _remove(storage_root: Path, path: str) -> None:
    target = storage_root / path
    if not target.resolve().is_relative_to(storage_root.resolve()):
        return
    if target.is_dir():
        shutil.rmtree(target, ignore_errors=True)
    else:
        target.unlink(missing_ok=True)
