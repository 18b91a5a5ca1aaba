"""What passes between the rooms of the node: frozen records, no behaviour, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from dicom_node.contract.slots import SequenceSlot


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file of the store, durable on disk. Named by our own hash, never by a UID that a peer sent."""

    path: str
    """Relative to the storage root, forward slashes."""
    sha256: str
    """Of the data set's bytes as they came (without preamble and file meta)."""
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivedInstance:
    """One stored object with what the node needs to know of it: who it is, whose it is, where it lies."""

    file: StoredFile
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    patient_digest: str
    """SHA-256 of the patient's identity (PatientID, IssuerOfPatientID; name and birth date where there is no ID).
    Equal digests are the same patient; the identity itself stays in the file."""
    headers: Mapping[str, object]
    """DICOM keyword -> JSON value, times in ms: what slots and geometry read. No patient identifiers."""
    calling_ae_title: str
    peer_address: str
    received_at: datetime
    """UTC, aware."""


class Receipt(StrEnum):
    """What the catalog did with an object that is durable in the store. Each of them answers the sender 0x0000."""

    STORED = "stored"
    """New."""
    DUPLICATE = "duplicate"
    """The same SOP instance with the same bytes was there already; nothing changed."""
    HELD = "held"
    """Kept, but its study waits for a person: another patient, or the same UID with other content."""


class Intake(Protocol):
    """The one door from the receiver into the node; the catalog implements it. Called from many threads at once."""

    def association_opened(self, association_id: str, peer: str) -> None:
        """An association was accepted. `association_id` is our own hex id; `peer` is "AE title@address", for people."""

    def study_open(self, association_id: str, study_instance_uid: str) -> None:
        """The association brings an object of this study: its completion waits until the association is closed.
        Called once per association and study, before the first `receive` of it."""

    def receive(self, received: ReceivedInstance) -> Receipt:
        """Record an object that is durable in the store. Raises `CatalogError`; the sender then gets 0x0110 and
        start-up adoption finds the file."""
        ...

    def association_closed(self, association_id: str) -> None:
        """The association ended, however. Called once for each `association_opened`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesVerdict:
    """What the classifier says of one series."""

    slot: SequenceSlot | None
    """None: no slot, or abstained; `reasons` says which and why."""
    confidence: float
    """0 to 1."""
    reasons: tuple[str, ...]
    """Plain sentences, strongest first, without patient data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyVerdict:
    """What the classifier says of one study. Indices are those of the series given."""

    chosen: Mapping[SequenceSlot, int]
    """The best series of each slot that has any."""
    series: tuple[SeriesVerdict, ...]
    """One for each series given, in that order. A loser's reasons say to which series it lost and why."""
