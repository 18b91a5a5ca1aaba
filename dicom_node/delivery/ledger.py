"""What delivery needs of the catalog: which deliveries are due, and where their fate is written down.

deliver.py codes against `DeliveryLedger`; dicom_node/catalog/deliveries.py fulfils it. A delivery is one result for one
destination: all of its files, or none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class DeliveryPhase(StrEnum):
    """What is to be done for a delivery that is due."""

    SEND = "send"
    """The files are to be sent."""
    COMMIT = "commit"
    """The files were stored; the destination is to be asked (again) to commit to them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DueDelivery:
    """A delivery whose time has come."""

    delivery_id: str
    """Our own id."""
    destination: str
    """Name in the settings."""
    files: tuple[Path, ...]
    """Absolute paths of the files that the destination wants, whole and linted. Never empty."""
    phase: DeliveryPhase
    attempts: int
    """Tries that failed so far, of any phase."""
    commitment_requests: int
    """How often the destination was asked to commit so far."""
    owed_since: datetime
    """UTC, aware."""


class DeliveryLedger(Protocol):
    """The catalog as delivery sees it. Each call is one transaction and safe from any thread."""

    def due(self, now: datetime) -> Sequence[DueDelivery]:
        """Deliveries to act on now: never tried, `next_try_at` passed, or an answer on commitment overdue."""
        ...

    def record_sent(self, delivery_id: str, *, at: datetime, reason: str = "") -> None:
        """Done: stored, and committed where asked. `reason` holds warnings. Again: nothing changes."""
        ...

    def record_retry(self, delivery_id: str, *, next_try_at: datetime, reason: str) -> None:
        """A try failed; the phase stays, `attempts` grows by one."""
        ...

    def record_refused(self, delivery_id: str, *, reason: str) -> None:
        """Held for a person (`quartet retry` makes it due again)."""
        ...

    def record_commitment_requested(self, delivery_id: str, *, transaction_uid: str, ask_again_at: datetime) -> None:
        """Stored, and about to be asked to commit: from now on in phase COMMIT, due at `ask_again_at`.

        Written before the request leaves, so that an answer always finds its delivery. Every transaction UID of a
        delivery stays known: an answer to an earlier request counts too.
        """
        ...

    def record_commitment(self, transaction_uid: str, *, committed: bool, at: datetime, reason: str = "") -> bool:
        """The destination answered. Committed: the delivery is sent. Not: phase SEND again, `attempts` grows by one,
        due as the retry settings say. False for an unknown transaction; a doubled answer changes nothing: True.
        """
        ...
