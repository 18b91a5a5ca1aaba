"""Section 3.2.2 of the statement: the receiver as acceptor of associations (PS3.2 A.4.2.x.4).

Called by statement.py. Contexts, rejections and statuses are those of the room `association`.
"""

from collections.abc import Iterator

from dicom_node.association import access, contexts
from dicom_node.association.negotiation import Rejection
from dicom_node.association.statuses import Status
from dicom_node.conformance.markdown import section, table, uid_row
from dicom_node.settings import AssociationSettings, Settings

_RESULT = {1: "1 rejected-permanent", 2: "2 rejected-transient"}
_SOURCE = {1: "1 service-user", 3: "3 service-provider (presentation)"}
_REJECTIONS: tuple[tuple[Rejection, str], ...] = (
    (access.CONTEXT_UNKNOWN, "another application context than 1.2.840.10008.3.1.1.1"),
    (access.CALLED_UNKNOWN, "the called AE title is not ours, letter by letter"),
    (access.CALLING_UNKNOWN, "the calling AE title is not in the list of peers, or not from this address"),
    (access.LIMIT_REACHED, "as many associations are open as are allowed, in all or from this address"),
    (access.CONGESTED, "the free space of the storage root is down to the reserve"),
)
_STORE_STATUSES: tuple[tuple[Status, str, str], ...] = (
    (Status.SUCCESS, "Success", "the object is durable on disk and known to the catalog; the same object again too"),
    (Status.OUT_OF_RESOURCES, "Failure", "no room on disk, or an object above `maximum_object_bytes`"),
    (
        Status.DATA_SET_MISMATCH,
        "Failure",
        "command and data set disagree, or an element that every image has is absent",
    ),
    (Status.CANNOT_UNDERSTAND, "Failure", "the bytes are no data set of the negotiated transfer syntax"),
    (Status.PROCESSING_FAILURE, "Failure", "the disk or the catalog failed; the same object may be sent again"),
)


def acceptor(settings: Settings) -> str:
    """The section, for these settings."""
    association = settings.association
    return section(
        "### 3.2.2 Association acceptance",
        f"{association.ae_title} accepts associations on TCP port {association.port}. {_who(association)} It holds at "
        f"most {association.maximum_associations} associations at once, at most "
        f"{association.maximum_associations_per_address} from one address.",
        "#### 3.2.2.1 Presentation contexts accepted",
        table(
            ("SOP class", "UID", "Transfer syntaxes", "Role", "Extended negotiation"),
            _contexts(settings),
        ),
        table(("Transfer syntax, the preferred one first", "UID", "Set"), _syntaxes()),
        "Of the transfer syntaxes that one context proposes the first of this order is accepted. Deflated and big "
        "endian syntaxes and lossy compression are not. Segmentations and reports that are sent back to "
        f"{association.ae_title} find no context.",
        "#### 3.2.2.2 Verification as SCP",
        "C-ECHO is answered with status 0000.",
        "#### 3.2.2.3 Storage as SCP",
        "Level 2 (full) of storage (PS3.4 B.4.1): every element is kept as it came, private ones too; the data set is "
        "stored bit by bit in the transfer syntax in which it came. Objects are kept under names of our own. An object "
        "that came before with the same content is answered with 0000 and changes nothing; other content under the "
        "same SOP Instance UID is kept beside it, and the study is held for a person. Stored objects cannot be queried "
        f"or retrieved. {_kept(settings)}",
        table(
            ("Status", "Meaning", "When"), ((f"{code:04X}", meaning, when) for code, meaning, when in _STORE_STATUSES)
        ),
        _commitment(settings),
        "#### 3.2.2.5 Rejections",
        table(
            ("Result", "Source", "Reason", "When"),
            ((_RESULT[one.result], _SOURCE[one.source], str(one.reason), when) for one, when in _REJECTIONS),
        ),
        "Bytes that are no DICOM of the moment, a PDU above 1 MiB, and a peer that exceeds a time limit of section 3.4 "
        "end in A-ABORT (source 2).",
    )


def _who(association: AssociationSettings) -> str:
    if association.any_peer:
        return "Any calling AE title is accepted."
    if not association.peers:
        return "The list of peers is empty: every calling AE title is rejected."
    return "The called AE title must be ours, and the calling one in the list of section 3.4."


def _contexts(settings: Settings) -> Iterator[tuple[str, ...]]:
    for context in contexts.supported(uses_commitment(settings)):
        is_image = str(context.abstract_syntax) in contexts.STORAGE
        is_commitment = str(context.abstract_syntax) == contexts.STORAGE_COMMITMENT
        role, extended = ("SCU", "SCP/SCU role selection") if is_commitment else ("SCP", "none")
        yield (*uid_row(str(context.abstract_syntax)), "A and B" if is_image else "A", role, extended)


def _syntaxes() -> Iterator[tuple[str, ...]]:
    for uid in contexts.TRANSFER_SYNTAXES:
        yield (*uid_row(uid), "A" if uid in contexts.UNCOMPRESSED else "B")


def uses_commitment(settings: Settings) -> bool:
    """Whether a destination is asked for storage commitment, so that its report may come to the receiver."""
    return any(destination.storage_commitment for destination in settings.destinations)


def _kept(settings: Settings) -> str:
    days = settings.storage.keep_days
    return "They are never removed." if days is None else f"They are removed {days:g} days after their study ended."


def _commitment(settings: Settings) -> str:
    if not uses_commitment(settings):
        return ""
    return section(
        "#### 3.2.2.4 Storage commitment as SCU: reports on an association of the SCP",
        "N-EVENT-REPORT (event types 1 and 2) is answered with 0000, a transaction that is not ours too (it is "
        "ignored), or with 0110 where the report cannot be read or recorded. The SCP proposes itself by role selection "
        "as SCP.",
    )
