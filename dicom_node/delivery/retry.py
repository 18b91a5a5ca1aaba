"""When to try a delivery again: backoff as a pure function of what is known. deliver.py calls it; it reads no clock."""

import hashlib
from datetime import datetime, timedelta

from dicom_node.settings import RetrySettings

JITTER = 0.1
"""Share of the wait by which tries are spread, so that a PACS that comes back is not met by all of them at once."""
_MOST_DOUBLINGS = 32
"""Enough for any `longest_s`; keeps the power finite."""


def next_try(
    *, attempts: int, owed_since: datetime, now: datetime, settings: RetrySettings, key: str
) -> datetime | None:
    """When to try again after `attempts` (from 1) tries failed, or None: give up and hold it for a person.

    The wait is `first_s`, doubled each time up to `longest_s`, spread by at most `JITTER` downwards. The spread
    derives from `key` and `attempts`: the same input gives the same answer. Times are aware.
    """
    if settings.give_up_after_s is not None and now - owed_since >= timedelta(seconds=settings.give_up_after_s):
        return None
    doublings = min(max(attempts, 1) - 1, _MOST_DOUBLINGS)
    wait_s = min(settings.first_s * 2.0**doublings, settings.longest_s)
    return now + timedelta(seconds=wait_s * (1.0 - JITTER * _fraction(f"{key}/{attempts}")))


def _fraction(text: str) -> float:
    """A number in [0, 1) that is the same for the same text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
