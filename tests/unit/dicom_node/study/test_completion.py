"""Completion: settles, starts early, waits for associations, and always ends at the deadline."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from support.received import NOON

from dicom_node.settings import StudySettings
from dicom_node.study.completion import ASSOCIATION_PATIENCE_S, Complete, StudyFacts, Wait, decide

SETTINGS = StudySettings(settle_s=20, early_settle_s=3, deadline_s=1800)


def facts(last_s: float = 0, *, open_associations: int = 0, whole: bool = False) -> StudyFacts:
    return StudyFacts(
        first_received_at=NOON,
        last_received_at=NOON + timedelta(seconds=last_s),
        open_associations=open_associations,
        expected_are_whole=whole,
    )


def at(seconds: float, known: StudyFacts, settings: StudySettings = SETTINGS) -> Complete | Wait:
    return decide(known, NOON + timedelta(seconds=seconds), settings)


def test_it_settles_after_the_last_object() -> None:
    assert at(119.9, facts(100)) == Wait(until=NOON + timedelta(seconds=120), reason="objects may still come")
    assert isinstance(at(120, facts(100)), Complete)


def test_it_starts_early_where_all_expected_series_are_whole() -> None:
    assert isinstance(at(102.9, facts(100, whole=True)), Wait)
    assert isinstance(at(103, facts(100, whole=True)), Complete)


def test_an_open_association_holds_it_back_while_it_may_bring_more() -> None:
    known = facts(100, open_associations=1)
    assert isinstance(at(121, known), Wait)
    assert isinstance(at(100 + ASSOCIATION_PATIENCE_S, known), Complete)
    whole = facts(100, open_associations=1, whole=True)
    assert isinstance(at(104, whole), Wait)
    assert isinstance(at(120, whole), Complete)


def test_the_deadline_ends_all_waiting() -> None:
    assert isinstance(at(1799, facts(1798, open_associations=3)), Wait)
    assert isinstance(at(1800, facts(1799, open_associations=3)), Complete)


_SECONDS = st.floats(0, 4000, allow_nan=False)
_FACTS = st.builds(facts, _SECONDS, open_associations=st.integers(0, 2), whole=st.booleans())


@given(known=_FACTS, now=_SECONDS, later=_SECONDS)
def test_what_is_complete_stays_complete(known: StudyFacts, now: float, later: float) -> None:
    if isinstance(at(now, known), Complete):
        assert isinstance(at(now + later, known), Complete)


@given(known=_FACTS, now=_SECONDS)
def test_a_wait_ends_when_it_says_and_never_after_the_deadline(known: StudyFacts, now: float) -> None:
    decision = at(now, known)
    if isinstance(decision, Wait):
        assert NOON + timedelta(seconds=now) < decision.until <= NOON + timedelta(seconds=SETTINGS.deadline_s)
        assert isinstance(decide(known, decision.until, SETTINGS), Complete)


@given(known=_FACTS, now=_SECONDS, bound=st.floats(1, 100))
def test_nothing_completes_before_the_early_settle_time_but_by_the_deadline(
    known: StudyFacts, now: float, bound: float
) -> None:
    if isinstance(at(now, known), Complete) and now < SETTINGS.deadline_s:
        assert NOON + timedelta(seconds=now) >= known.last_received_at + timedelta(seconds=SETTINGS.early_settle_s)
