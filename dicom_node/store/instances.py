"""The instances of the node on disk.

    <root>/instances/ab/<sha256 of the data set>.dcm    durable, acknowledged or about to be
    <root>/incoming/<our id>.part                       on its way; never acknowledged, so removed at start once
                                                        its writer is dead
    <root>/quarantine/                                  damaged files, kept for a person

Called by the receiver (write) and at start (prepare). Files are named by our own hash, never by what a peer sent.
"""

import fcntl
import logging
import os
from pathlib import Path
from uuid import uuid4

from dicom_node.contract.job_folder import sync_folder
from dicom_node.errors import StoreError
from dicom_node.records import StoredFile
from dicom_node.store.draft import INCOMING, INSTANCES, Draft
from dicom_node.store.elements import Buffer
from dicom_node.store.errors import StoreFull, StoreUnusable
from dicom_node.store.file_meta import FileMeta

log = logging.getLogger(__name__)

QUARANTINE = "quarantine"


class InstanceStore:
    """Objects as files under a root. Safe for many threads and for many processes, on machines that share locks."""

    def __init__(self, root: Path, reserve_bytes: int) -> None:
        """reserve_bytes: below so much free space nothing more is taken, so that catalog and results keep room."""
        self.root = root
        self.reserve_bytes = reserve_bytes

    def prepare(self) -> None:
        """Make the folders, durable, and try to write and to lock. Raises `StoreUnusable` with what to do."""
        try:
            for name in (INCOMING, QUARANTINE, INSTANCES):
                (self.root / name).mkdir(parents=True, exist_ok=True)
            for number in range(256):
                (self.root / INSTANCES / f"{number:02x}").mkdir(exist_ok=True)
            sync_folder(self.root / INSTANCES)
            sync_folder(self.root)
            self._try_to_write()
        except OSError as error:
            raise StoreUnusable(
                f"the storage root {self.root} cannot be written ({os.strerror(error.errno or 0)}): "
                "give the user that runs Quartet write access, or set storage.root to another folder"
            ) from error

    def _try_to_write(self) -> None:
        """As a draft does: several receivers may share the root, so a file is locked while it is written."""
        probe = self.root / INCOMING / f"{uuid4().hex}.part"
        with probe.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(b"probe")
        probe.unlink()

    def free_bytes(self) -> int:
        """Room for us on the file system of the root. Raises `StoreError` where it cannot be asked."""
        try:
            status = os.statvfs(self.root)
        except OSError as error:
            raise StoreError(f"the storage root cannot be reached: {os.strerror(error.errno or 0)}") from error
        return status.f_bavail * status.f_frsize

    def has_room(self) -> bool:
        """More than the reserve is free. A root that cannot be reached has no room, and the log says so."""
        try:
            return self.free_bytes() > self.reserve_bytes
        except StoreError as error:
            log.error("No room is known of: %s", error, extra={"action": "store"})
            return False

    def draft(self, meta: FileMeta) -> Draft:
        """Begin an object. Raises `StoreFull` where the reserve is reached, `StoreError` where the root is away."""
        if self.free_bytes() <= self.reserve_bytes:
            raise StoreFull("the free space of the storage root is down to the reserve")
        return Draft(self.root, meta)

    def write(self, data: bytes | Buffer, meta: FileMeta) -> StoredFile:
        """Make the bytes of a data set durable; the same bytes again give the same file. Raises `StoreError`."""
        with self.draft(meta) as draft:
            draft.append(memoryview(data))
            return draft.commit()

    def path_of(self, file: StoredFile) -> Path:
        """Where a stored file lies."""
        return self.root / file.path
