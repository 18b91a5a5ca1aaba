"""The error tree of the store.

    StoreError                 an object could not be made durable
    ├── StoreFull              no room, or the reserve is reached: the sender is answered A700
    ├── StoreUnusable          the storage root cannot be written: said at start, with what to do
    └── ObjectRefused          the object itself is at fault; sending it again gives the same
        ├── ObjectTooLarge     larger than the settings allow: A700
        ├── ObjectUnreadable   its bytes are no data set of the negotiated transfer syntax: C000
        └── ObjectUnfit        it is a data set, but not the object that the command announced: A900

Texts name tags, offsets and lengths, never values.
"""

from dicom_node.errors import StoreError


class StoreFull(StoreError):
    """There is no room for the object; room may come back."""


class StoreUnusable(StoreError):
    """The storage root cannot be used; the text says what to do."""

    retryable = False


class ObjectRefused(StoreError):
    """The object cannot be taken, however often it is sent."""

    retryable = False


class ObjectUnreadable(ObjectRefused):
    """The bytes are no data set in the transfer syntax that was negotiated (PS3.5 7)."""


class ObjectUnfit(ObjectRefused):
    """An element that every image has is missing, or the data set is not what the command announced."""


class ObjectTooLarge(ObjectRefused):
    """More bytes than `association.maximum_object_bytes`."""
