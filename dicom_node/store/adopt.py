"""Finds stored objects that the catalog does not know: after a crash, or all of them for a rebuild.

Called at start, before the receiver listens. An object whose file was renamed into instances/ may have been
acknowledged, so it is never deleted; a damaged one is moved to quarantine/. A file in incoming/ never was acknowledged.
"""

import fcntl
import hashlib
import logging
import mmap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from dicom_node.records import ReceivedInstance, StoredFile
from dicom_node.store import file_meta, headers
from dicom_node.store.draft import INCOMING, INSTANCES
from dicom_node.store.errors import ObjectRefused, ObjectUnreadable
from dicom_node.store.instances import QUARANTINE, InstanceStore

log = logging.getLogger(__name__)


def sweep(store: InstanceStore) -> int:
    """Remove what dead receivers left half-written; gives their number. What is locked is being written and stays."""
    removed = sum(_remove_unlocked(path) for path in (store.root / INCOMING).iterdir() if path.is_file())
    if removed:
        log.info(
            "Removed half-written objects that were never acknowledged", extra={"action": "sweep", "files": removed}
        )
    return removed


def _remove_unlocked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (BlockingIOError, FileNotFoundError):  # a colleague writes it, or has just finished it
        return False
    return True


def unrecorded(
    store: InstanceStore, is_recorded: Callable[[str], bool], *, maximum_pixel_bytes: int
) -> Iterator[ReceivedInstance]:
    """Each whole stored object whose SHA-256 is not recorded, oldest first.

    is_recorded: asked with the SHA-256 of the data set; `lambda _: False` rebuilds the catalog. Damaged files go to
    quarantine/ and are logged by our own name.
    """
    found = sorted((path.stat().st_mtime_ns, path) for path in (store.root / INSTANCES).glob("*/*.dcm"))
    for changed_ns, path in found:
        if is_recorded(path.stem):
            continue
        try:
            yield read(path, datetime.fromtimestamp(changed_ns / 1e9, UTC), maximum_pixel_bytes=maximum_pixel_bytes)
        except (ObjectRefused, ValueError) as error:
            _quarantine(store, path, error)
        except OSError as error:
            log.error(
                "A stored object cannot be read and was left in place: %s", error.strerror, extra={"file": path.name}
            )


def read(path: Path, received_at: datetime, *, maximum_pixel_bytes: int) -> ReceivedInstance:
    """A stored file as the receiver reported it. Raises `ObjectRefused` where file and name or content disagree."""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped,
        memoryview(mapped) as buffer,
    ):
        meta, start = file_meta.decode(buffer)
        with buffer[start:] as data:
            size_bytes, digest = len(data), hashlib.sha256(data).hexdigest()
            if digest != path.stem:
                raise ObjectUnreadable("the content does not have the hash that names the file")
            facts = headers.read(
                data, implicit=meta.implicit, encapsulated=meta.encapsulated, maximum_pixel_bytes=maximum_pixel_bytes
            )
    return ReceivedInstance(
        file=StoredFile(path=f"{INSTANCES}/{digest[:2]}/{digest}.dcm", sha256=digest, size_bytes=size_bytes),
        sop_class_uid=facts.sop_class_uid,
        sop_instance_uid=facts.sop_instance_uid,
        series_instance_uid=facts.series_instance_uid,
        study_instance_uid=facts.study_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        patient_digest=facts.patient_digest,
        headers=facts.headers,
        calling_ae_title=meta.calling_ae_title,
        peer_address=meta.peer_address,
        received_at=received_at,
    )


def _quarantine(store: InstanceStore, path: Path, error: Exception) -> None:
    path.rename(store.root / QUARANTINE / path.name)
    log.error(
        "A stored object is damaged and was moved to quarantine: %s",
        error,
        extra={"action": "quarantine", "file": path.name},
    )
