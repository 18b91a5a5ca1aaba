"""What to do about an open job: a pure decision from what the catalog and the job folder know.

Called by dispatch.py. A lease is the worker's beat in the attempt folder. The broker may lose or double a ring at any
time: a job that no worker began is rung again, at growing intervals; one whose worker fell silent goes to the next
attempt, with a higher number (the fence); after `attempts` of them it has failed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dicom_node.settings import JobSettings

LONGEST_RING_PAUSE = 20
"""In units of `ring_again_s`: behind a long queue a job is rung more and more rarely."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptFacts:
    """The present attempt of an open job."""

    attempt: int
    first_attempt: int
    """Attempts are counted from here."""
    rung_at: datetime | None
    rings: int
    seconds_since_beat: float | None
    """None: no worker began it."""
    failure: str | None
    """Word that a failed attempt left."""
    retryable: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Ring:
    """Ring for this attempt."""

    attempt: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GiveUp:
    """The job has failed."""

    reason: str


def decide(facts: AttemptFacts, now: datetime, settings: JobSettings) -> Ring | GiveUp | None:
    """What to do now; None: wait."""
    if facts.failure is not None:
        if not facts.retryable:
            return GiveUp(reason=facts.failure)
        return _next(facts, settings, facts.failure)
    if facts.seconds_since_beat is not None:
        if facts.seconds_since_beat <= settings.lease_s:
            return None
        return _next(facts, settings, "the worker died or was cut off")
    if facts.rung_at is None:
        return Ring(attempt=facts.attempt, reason="new")
    pause = settings.ring_again_s * min(2 ** max(0, facts.rings - 1), LONGEST_RING_PAUSE)
    if not timedelta(0) <= now - facts.rung_at < timedelta(seconds=pause):  # a clock that went back rings too
        return Ring(attempt=facts.attempt, reason="no worker began it; the broker may have lost the ring")
    return None


def _next(facts: AttemptFacts, settings: JobSettings, why: str) -> Ring | GiveUp:
    made = facts.attempt - facts.first_attempt + 1
    if made >= settings.attempts:
        return GiveUp(reason=f"{why} (in the last of {made} attempts)")
    return Ring(attempt=facts.attempt + 1, reason=why)
