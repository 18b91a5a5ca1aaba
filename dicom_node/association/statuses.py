"""The DIMSE statuses that the node answers, and which error gives which. The only place with such numbers.

PS3.4 B.2.3 (storage), PS3.7 9.1.1.1.9 and Annex C.
"""

from enum import IntEnum

from dicom_node.errors import AssociationError, CatalogError, NodeError
from dicom_node.store.errors import ObjectTooLarge, ObjectUnfit, ObjectUnreadable, StoreFull


class Status(IntEnum):
    """What a response says."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    INVALID_INSTANCE = 0x0117
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    UNRECOGNISED_OPERATION = 0x0211
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000


_BY_ERROR: tuple[tuple[type[NodeError], Status], ...] = (
    (StoreFull, Status.OUT_OF_RESOURCES),
    (ObjectTooLarge, Status.OUT_OF_RESOURCES),
    (ObjectUnfit, Status.DATA_SET_MISMATCH),
    (ObjectUnreadable, Status.CANNOT_UNDERSTAND),
    (CatalogError, Status.PROCESSING_FAILURE),
    (AssociationError, Status.PROCESSING_FAILURE),
)


def status_of(error: NodeError) -> Status:
    """The status that answers a request which ended in this error; a kind not listed is a processing failure."""
    return next((status for kind, status in _BY_ERROR if isinstance(error, kind)), Status.PROCESSING_FAILURE)
