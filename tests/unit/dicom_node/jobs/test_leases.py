"""What is done about an open job: ring, ring again more and more rarely, the next attempt, or give up."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.received import NOON

from dicom_node.jobs.leases import LONGEST_RING_PAUSE, AttemptFacts, GiveUp, Ring, decide
from dicom_node.settings import JobSettings

SETTINGS = JobSettings(attempts=3, lease_s=60, ring_again_s=30)


def facts(**known: Any) -> AttemptFacts:
    usual = {
        "attempt": 1,
        "first_attempt": 1,
        "rung_at": NOON,
        "rings": 1,
        "seconds_since_beat": None,
        "failure": None,
        "retryable": False,
    }
    return AttemptFacts(**{**usual, **known})


def at(seconds: float, known: AttemptFacts) -> Ring | GiveUp | None:
    return decide(known, NOON + timedelta(seconds=seconds), SETTINGS)


def test_a_new_job_is_rung_at_once() -> None:
    assert at(0, facts(rung_at=None, rings=0)) == Ring(attempt=1, reason="new")


def test_a_job_that_no_worker_began_is_rung_again_at_growing_intervals() -> None:
    assert at(29, facts()) is None
    assert isinstance(at(30, facts()), Ring)
    assert at(59, facts(rings=2)) is None
    assert isinstance(at(60, facts(rings=2)), Ring)
    assert at(30 * LONGEST_RING_PAUSE - 1, facts(rings=50)) is None
    assert isinstance(at(30 * LONGEST_RING_PAUSE, facts(rings=50)), Ring)


def test_a_clock_that_went_back_rings_at_once() -> None:
    assert isinstance(at(-3600, facts()), Ring)


def test_a_living_worker_is_left_alone() -> None:
    assert at(10_000, facts(seconds_since_beat=60)) is None


def test_a_silent_worker_means_the_next_attempt() -> None:
    decision = at(100, facts(seconds_since_beat=61))
    assert isinstance(decision, Ring)
    assert decision.attempt == 2


def test_the_last_attempt_ends_the_job_with_the_reason() -> None:
    decision = at(100, facts(attempt=3, seconds_since_beat=61))
    assert isinstance(decision, GiveUp)
    assert "3 attempts" in decision.reason
    assert "worker" in decision.reason


def test_a_retry_by_a_person_counts_attempts_anew() -> None:
    assert isinstance(at(0, facts(attempt=5, first_attempt=4, seconds_since_beat=61)), Ring)
    assert isinstance(at(0, facts(attempt=6, first_attempt=4, seconds_since_beat=61)), GiveUp)


def test_word_of_failure_is_acted_on_at_once() -> None:
    assert at(0, facts(failure="out of memory", retryable=True, seconds_since_beat=1)) == Ring(
        attempt=2, reason="out of memory"
    )
    assert at(0, facts(failure="weights altered", seconds_since_beat=1)) == GiveUp(reason="weights altered")


_AGES = st.none() | st.floats(0, 1e5)


@given(
    attempt=st.integers(1, 9),
    rings=st.integers(0, 99),
    age=_AGES,
    failure=st.none() | st.just("broke"),
    retryable=st.booleans(),
    elapsed=st.floats(-1e5, 1e5),
)
def test_attempts_only_grow_by_one_and_never_beyond_the_limit(
    attempt: int, rings: int, age: float | None, failure: str | None, retryable: bool, elapsed: float
) -> None:
    known = facts(attempt=attempt, rings=rings, seconds_since_beat=age, failure=failure, retryable=retryable)
    decision = at(elapsed, known)
    if isinstance(decision, Ring):
        assert decision.attempt in {attempt, attempt + 1}
        assert decision.attempt <= max(attempt, SETTINGS.attempts)
