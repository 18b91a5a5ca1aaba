"""A finished DICOM file on its way out: what the network must know of it, read from its file meta information alone.

send.py reads files here. Nothing is decoded but group 0002 (PS3.10 7.1), and no byte is changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pynetdicom.dsutils import split_dataset

from dicom_node.errors import DeliveryError

_REPORT_CLASSES = "1.2.840.10008.5.1.4.1.1.88."
"""Root of the Structured Report storage classes (PS3.4 B.5)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutgoingFile:
    """A DICOM Part 10 file."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset_offset: int
    """Where the data set begins: behind preamble, prefix and file meta information."""
    size_bytes: int

    @property
    def is_report(self) -> bool:
        """A structured report refers to other objects, so it goes last."""
        return self.sop_class_uid.startswith(_REPORT_CLASSES)

    def dataset_bytes(self) -> bytes:
        """The encoded data set as it lies in the file."""
        with self.path.open("rb") as file:
            file.seek(self.dataset_offset)
            return file.read()


def read_outgoing(path: Path) -> OutgoingFile:
    """Look at a file. Raises `DeliveryError` where it is missing, unreadable or no DICOM Part 10 file."""
    try:
        meta, offset = split_dataset(path)
        return OutgoingFile(
            path=path,
            sop_class_uid=str(meta.MediaStorageSOPClassUID),
            sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
            transfer_syntax_uid=str(meta.TransferSyntaxUID),
            dataset_offset=offset,
            size_bytes=path.stat().st_size,
        )
    except OSError as error:
        raise DeliveryError(f"{path.name} cannot be read: {error.strerror or type(error).__name__}") from error
    except (InvalidDicomError, AttributeError, ValueError, EOFError, KeyError) as error:
        raise DeliveryError(f"{path.name} is no DICOM file with file meta information (PS3.10)") from error


def in_sending_order(files: Iterable[OutgoingFile]) -> tuple[OutgoingFile, ...]:
    """Reports last: what an SR refers to is in the PACS before the SR is. Otherwise the order given."""
    return tuple(sorted(files, key=lambda file: file.is_report))
