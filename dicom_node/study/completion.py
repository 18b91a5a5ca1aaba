"""When a study is complete: a pure decision from what is known, the settings and the time.

Called by lifecycle.py. The settle time is short, because a late series supersedes; with all expected slots whole it is
shorter still; an open association of the study holds it back while objects still come on it; the deadline ends all
waiting.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dicom_node.settings import StudySettings

ASSOCIATION_PATIENCE_S = 120.0
"""An association that is open but brought nothing for so long no longer holds a study back: above the network timeout
after which the receiver itself closes a silent one, so only what a dead receiver left behind gets here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFacts:
    """What is known of a study that receives."""

    first_received_at: datetime
    """Of the objects since the last snapshot."""
    last_received_at: datetime
    open_associations: int
    expected_are_whole: bool
    """Every expected slot holds a series without gaps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Complete:
    """Make the snapshot now."""

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """Look again at `until` at the latest."""

    until: datetime
    reason: str


def decide(facts: StudyFacts, now: datetime, settings: StudySettings) -> Complete | Wait:
    """Whether the study is complete at `now`. All times aware."""
    deadline = facts.first_received_at + timedelta(seconds=settings.deadline_s)
    if now >= deadline:
        return Complete(reason=f"the deadline of {settings.deadline_s:g} s passed")
    if facts.open_associations:
        patience_s = settings.settle_s if facts.expected_are_whole else max(ASSOCIATION_PATIENCE_S, settings.settle_s)
        patience = facts.last_received_at + timedelta(seconds=patience_s)
        if now < patience:
            return Wait(until=min(patience, deadline), reason="an association of the study is open")
        return Complete(reason=f"an association is open, but brought nothing for {patience_s:g} s")
    if facts.expected_are_whole:
        early = facts.last_received_at + timedelta(seconds=min(settings.early_settle_s, settings.settle_s))
        if now >= early:
            return Complete(reason="all expected sequences are whole")
        return Wait(until=min(early, deadline), reason="all expected sequences are whole")
    settled = facts.last_received_at + timedelta(seconds=settings.settle_s)
    if now >= settled:
        return Complete(reason=f"nothing came for {settings.settle_s:g} s")
    return Wait(until=min(settled, deadline), reason="objects may still come")
