"""Send finished files to a destination by the way its settings name: STOW-RS where `stow_url` stands, else C-STORE.

deliver.py and `quartet send` call it. Decides nothing about retries and records nothing.
"""

from collections.abc import Sequence
from pathlib import Path

from dicom_node.delivery.c_store import send_by_c_store
from dicom_node.delivery.outgoing import OutgoingFile, in_sending_order, read_outgoing
from dicom_node.delivery.report import FileReport, Verdict
from dicom_node.delivery.stow import send_by_stow
from dicom_node.errors import DeliveryError
from dicom_node.settings import DestinationSettings


def send(destination: DestinationSettings, files: Sequence[Path], *, own_ae_title: str) -> tuple[FileReport, ...]:
    """Send the files of one result: all or, as far as the network lets us know, none (design invariant 5).

    One report for each file, in the order sent: reports last. Never raises for what a peer or a file does. Sending
    the same again is harmless: the same bytes under the same UIDs.
    """
    return _send(destination, files, own_ae_title=own_ae_title, together=True)


def send_files(destination: DestinationSettings, files: Sequence[Path], *, own_ae_title: str) -> tuple[FileReport, ...]:
    """Send files that need not belong together (`quartet send`): each is tried, whatever became of the others."""
    return _send(destination, files, own_ae_title=own_ae_title, together=False)


def _send(
    destination: DestinationSettings, paths: Sequence[Path], *, own_ae_title: str, together: bool
) -> tuple[FileReport, ...]:
    outgoing: list[OutgoingFile] = []
    unreadable: list[FileReport] = []
    for path in paths:
        try:
            outgoing.append(read_outgoing(path))
        except DeliveryError as error:
            unreadable.append(FileReport(path=path, verdict=Verdict.REFUSED, reason=str(error)))
    if together and unreadable:
        rest = [_held(file, unreadable[0]) for file in outgoing]
        return (*unreadable, *rest)
    if not outgoing:
        return tuple(unreadable)
    files = in_sending_order(outgoing)
    if destination.stow_url is not None:
        return (*unreadable, *send_by_stow(destination, files, together=together))
    return (*unreadable, *send_by_c_store(destination, files, own_ae_title=own_ae_title, together=together))


def _held(file: OutgoingFile, because: FileReport) -> FileReport:
    return FileReport(path=file.path, verdict=because.verdict, reason=f"not sent: {because.reason}")
