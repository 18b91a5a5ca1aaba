"""The error tree of the node.

    NodeError                     anything that Quartet raises on purpose; its text says what to do
    ├── SettingsError             the configuration cannot be used
    ├── AssociationError          see association: carries the DIMSE status it gives
    ├── StoreError                see store: an object could not be made durable
    ├── CatalogError              see catalog: the database is locked, damaged or of another release
    ├── StudyError                see study: an event that the study's state does not know
    └── DeliveryError             see delivery: `retryable` tells whether another try can help

Foreign exceptions are chained with `from`. Texts hold no patient data.
"""


class NodeError(Exception):
    """Base of the node's errors. `retryable` says whether the same call can succeed later."""

    retryable = False


class SettingsError(NodeError):
    """The configuration cannot be used; the text names file, key and the nearest known key."""


class AssociationError(NodeError):
    """A peer's request cannot be served; `status` is the DIMSE status that answers it (PS3.4, PS3.7 Annex C)."""

    status = 0x0110


class StoreError(NodeError):
    """An object could not be made durable."""

    retryable = True


class CatalogError(NodeError):
    """The catalog cannot be read or written."""

    retryable = True


class StudyError(NodeError):
    """An event that does not fit the state of a study."""


class DeliveryError(NodeError):
    """A result could not be delivered."""
