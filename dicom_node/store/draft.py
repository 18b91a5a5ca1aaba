"""One object on its way to disk: it grows as fragments arrive, then becomes durable, or vanishes.

Made by `InstanceStore.draft` for the receiver. A small object stays in memory until it is committed; a large one spills
into a file, so that memory stays bounded whatever arrives. That file is locked while its receiver lives, so that one
that starts beside it on the same store (adopt.sweep) leaves it alone.
"""

import contextlib
import errno
import fcntl
import hashlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from dicom_node.contract.job_folder import sync_folder
from dicom_node.errors import StoreError
from dicom_node.records import StoredFile
from dicom_node.store import file_meta
from dicom_node.store.elements import Buffer
from dicom_node.store.errors import StoreFull
from dicom_node.store.file_meta import FileMeta

SPILL_BYTES = 4 * 1024 * 1024
"""Above this an object goes to a file as it arrives. An uncompressed slice of 1024 x 1024 has 2 MiB."""
INCOMING = "incoming"
INSTANCES = "instances"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Draft:
    """An object that is not durable yet. Use as a context manager: what was not committed vanishes."""

    def __init__(self, root: Path, meta: FileMeta) -> None:
        self.meta = meta
        self.size_bytes = 0
        self._root = root
        self._head = file_meta.encode(meta)
        self._hash = hashlib.sha256()
        self._memory = bytearray()
        self._file: int | None = None
        self._path: Path | None = None
        self._map: mmap.mmap | None = None

    def __enter__(self) -> "Draft":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def append(self, chunk: Buffer) -> None:
        """Take the next bytes of the data set. Raises `StoreFull` or `StoreError`."""
        self._hash.update(chunk)
        self.size_bytes += len(chunk)
        if self._file is None:
            self._memory += chunk
            if len(self._memory) <= SPILL_BYTES:
                return
            chunk = memoryview(self._memory)
            self._memory = bytearray()
            with _explained():
                self._create()
        with _explained():
            self._write(chunk)

    def content(self) -> Buffer:
        """The data set's bytes so far, to read before `commit`. Not valid after `commit` or `discard`."""
        if self._file is None:
            return memoryview(self._memory)
        with _explained():
            self._map = mmap.mmap(self._file, 0, prot=mmap.PROT_READ)
        return memoryview(self._map)[len(self._head) :]

    def commit(self) -> StoredFile:
        """Make the object durable: temporary file, fsync, rename, fsync of the folder. Raises `StoreError`.

        Writing the same bytes again replaces the file by an equal one, which also heals a damaged copy.
        """
        digest = self._hash.hexdigest()
        relative = f"{INSTANCES}/{digest[:2]}/{digest}.dcm"
        with _explained():
            if self._file is None:
                self._create()
                self._write(memoryview(self._memory))
            assert self._file is not None
            assert self._path is not None
            os.fsync(self._file)
            target = self._root / relative
            self._path.rename(target)
            self._path = None
            sync_folder(target.parent)
        self.discard()
        return StoredFile(path=relative, sha256=digest, size_bytes=self.size_bytes)

    def discard(self) -> None:
        """Forget the object and what lies of it on disk. Harmless after `commit`."""
        self._memory = bytearray()
        if self._map is not None:
            with contextlib.suppress(BufferError):  # whoever still looks at `content` holds it; it ends with the view
                self._map.close()
            self._map = None
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    def _create(self) -> None:
        self._path = self._root / INCOMING / f"{uuid4().hex}.part"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._write(memoryview(self._head))

    def _write(self, chunk: Buffer) -> None:
        assert self._file is not None
        while chunk:
            chunk = chunk[os.write(self._file, chunk) :]


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Foreign errors of the disk as our own."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreFull("no room in the storage root") from error
        raise StoreError(f"the storage root cannot be written: {os.strerror(error.errno or 0)}") from error
