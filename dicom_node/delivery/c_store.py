"""Files to a PACS by C-STORE (PS3.4 Annex B, PS3.7 9.1.1). send.py calls it.

Sends the bytes of each file as they are; only where the peer takes nothing but Implicit VR Little Endian is the data
set encoded anew. Knows nothing of results, retries or the catalog.
"""

from collections.abc import Sequence
from itertools import count

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from dicom_node.delivery.connection import Link, NoAssociation, connect, refused_contexts
from dicom_node.delivery.destinations import contexts_for
from dicom_node.delivery.outgoing import OutgoingFile
from dicom_node.delivery.report import FileReport, Verdict, one_by_one
from dicom_node.delivery.responses import of_status
from dicom_node.settings import DestinationSettings

SLOWEST_BYTES_PER_S = 125_000.0
"""1 Mbit/s: a larger file may take longer than the timeout alone before it counts as a fault."""


def send_by_c_store(
    destination: DestinationSettings, files: Sequence[OutgoingFile], *, own_ae_title: str, together: bool
) -> tuple[FileReport, ...]:
    """Send the files in the order given over one association. One report a file, in that order; never raises.

    With `together` nothing is sent where the peer refuses the class of one of them, and nothing after the first that
    was not stored.
    """
    try:
        with connect(destination, contexts_for(files), own_ae_title=own_ae_title) as link:
            refused = _refused(link.association, files)
            if refused and together:
                return tuple(_report(file, Verdict.REFUSED, refused_contexts(refused)) for file in files)
            numbers = count(1)
            return one_by_one(
                files,
                lambda file: _send_one(link, file, destination, message_id=next(numbers)),
                together=together,
            )
    except NoAssociation as error:
        return tuple(_report(file, error.verdict, error.reason) for file in files)


def _send_one(link: Link, file: OutgoingFile, destination: DestinationSettings, *, message_id: int) -> FileReport:
    association = link.association
    context = _context(association, file)
    if context is None:
        if not association.is_established:
            return _report(file, Verdict.RETRY, "the destination ended the association before this object")
        return _report(file, Verdict.REFUSED, refused_contexts(_refused(association, [file])))
    allowed_s = destination.timeout_s + file.size_bytes / SLOWEST_BYTES_PER_S
    association.dimse_timeout = allowed_s
    link.allow(allowed_s + destination.timeout_s)
    exact = str(context.transfer_syntax[0]) == file.transfer_syntax_uid
    try:
        answer = association.send_c_store(file.path if exact else _decoded(file), msg_id=message_id)
    except RuntimeError:
        return _report(file, Verdict.RETRY, "the destination ended the association before this object")
    except OSError as error:
        return _report(file, Verdict.RETRY, f"our file cannot be read: {error.strerror or type(error).__name__}")
    except (InvalidDicomError, AttributeError, ValueError, EOFError, KeyError):
        return _report(
            file,
            Verdict.REFUSED,
            "our file is damaged: it cannot be encoded as the destination takes it; see `quartet lint`",
        )
    return _judge(file, answer, allowed_s)


def _decoded(file: OutgoingFile) -> Dataset:
    """The data set, to be encoded anew. Raises ValueError where it does not say what it is."""
    dataset = dcmread(file.path)
    if "SOPClassUID" not in dataset or "SOPInstanceUID" not in dataset:
        raise ValueError("the data set has no SOP Class or Instance UID")
    return dataset


def _judge(file: OutgoingFile, answer: Dataset, allowed_s: float) -> FileReport:
    if "Status" not in answer:
        text = f"the destination broke off, or gave no answer within {allowed_s:.0f} s"
        return _report(file, Verdict.RETRY, text)
    verdict, reason = of_status(int(answer.Status))
    return FileReport(path=file.path, verdict=verdict, status=int(answer.Status), reason=reason)


def _context(association: Association, file: OutgoingFile) -> PresentationContext | None:
    """The accepted context for a file: its own transfer syntax, else Implicit VR Little Endian."""
    accepted = [c for c in association.accepted_contexts if str(c.abstract_syntax) == file.sop_class_uid]
    exact = (c for c in accepted if str(c.transfer_syntax[0]) == file.transfer_syntax_uid)
    return next(exact, accepted[0] if accepted else None)


def _refused(association: Association, files: Sequence[OutgoingFile]) -> list[PresentationContext]:
    """Refused contexts of those files for which no context was accepted."""
    classes = {file.sop_class_uid for file in files if _context(association, file) is None}
    return [c for c in association.rejected_contexts if str(c.abstract_syntax) in classes]


def _report(file: OutgoingFile, verdict: Verdict, reason: str) -> FileReport:
    return FileReport(path=file.path, verdict=verdict, reason=reason)
