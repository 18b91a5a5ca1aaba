"""The error tree of association.

AssociationError
├── PeerGone              the peer closed, reset or aborted: nothing can be answered any more
├── PeerStalled           the peer kept us waiting beyond a limit: aborted
├── ProtocolViolation     what came is no DICOM of this moment: aborted, `reason` as in PS3.8 table 9-26
└── ReceiverUnusable      the receiver cannot listen: said at start, with what to do
"""

from dicom_node.errors import AssociationError


class PeerGone(AssociationError):
    """The connection ended without a release."""


class PeerStalled(AssociationError):
    """The peer sent nothing, or too slowly, for too long."""


class ProtocolViolation(AssociationError):
    """Bytes that have no place here. `reason` goes into the A-ABORT."""

    def __init__(self, text: str, reason: int = 6) -> None:
        super().__init__(text)
        self.reason = reason


class ReceiverUnusable(AssociationError):
    """The receiver cannot start; the text says what to do."""
