"""What became of a file that was offered to a destination. c_store.py and stow.py say it, deliver.py records it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dicom_node.delivery.outgoing import OutgoingFile


class Verdict(StrEnum):
    """What follows from one attempt."""

    SENT = "sent"
    """The destination stored it, perhaps with a warning (`reason`)."""
    RETRY = "retry"
    """Not stored now; the same bytes again later can succeed."""
    REFUSED = "refused"
    """Not stored, and the same again gives the same: a person must act on the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileReport:
    """One file, one attempt."""

    path: Path
    verdict: Verdict
    status: int | None = None
    """DIMSE status (PS3.7 Annex C) or, for STOW-RS, its FailureReason; None where no answer came."""
    reason: str = ""
    """Plain language, what to do included, without patient data. Empty where all is well."""


def overall(reports: Sequence[FileReport]) -> FileReport:
    """The report that decides for files that belong together: a refusal, else a retry, else the last one sent.

    Raises ValueError for no reports.
    """
    if not reports:
        raise ValueError("nothing was sent: there is no report")
    order = (Verdict.REFUSED, Verdict.RETRY, Verdict.SENT)
    return min(reversed(reports), key=lambda report: order.index(report.verdict))


def one_by_one(
    files: Sequence[OutgoingFile], send_one: Callable[[OutgoingFile], FileReport], *, together: bool
) -> tuple[FileReport, ...]:
    """Send files in the order given. With `together` none goes after the first that was not stored."""
    reports: list[FileReport] = []
    for file in files:
        held = next((report for report in reports if report.verdict is not Verdict.SENT), None)
        if held is not None and together:
            reason = f"not sent: {held.path.name} comes first, and {held.reason}"
            reports.append(FileReport(path=file.path, verdict=held.verdict, reason=reason))
        else:
            reports.append(send_one(file))
    return tuple(reports)
