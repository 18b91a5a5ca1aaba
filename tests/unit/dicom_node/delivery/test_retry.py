"""When a delivery is tried again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dicom_node.delivery.retry import JITTER, next_try
from dicom_node.settings import RetrySettings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SETTINGS = RetrySettings(first_s=10, longest_s=900)


def wait_s(attempts: int, settings: RetrySettings = SETTINGS, key: str = "a", owed_since: datetime = NOW) -> float:
    at = next_try(attempts=attempts, owed_since=owed_since, now=NOW, settings=settings, key=key)
    assert at is not None
    return (at - NOW).total_seconds()


@given(st.integers(1, 10_000), st.text(max_size=20))
def test_the_wait_doubles_up_to_the_longest_and_is_never_shorter_than_the_jitter_allows(attempts: int, key: str):
    full = min(10.0 * 2.0 ** min(attempts - 1, 40), 900.0)
    assert (1 - JITTER) * full <= wait_s(attempts, key=key) <= full


def test_the_same_delivery_waits_equally_long_and_another_one_differently():
    assert wait_s(3, key="a") == wait_s(3, key="a")
    assert wait_s(3, key="a") != wait_s(3, key="b")


def test_without_a_limit_it_never_gives_up():
    assert wait_s(9_999, owed_since=NOW - timedelta(days=400)) > 0


def test_with_a_limit_it_gives_up_just_then():
    settings = RetrySettings(give_up_after_s=3600)
    for since, expected in ((3599, False), (3600, True), (99_999, True)):
        owed = NOW - timedelta(seconds=since)
        assert (next_try(attempts=4, owed_since=owed, now=NOW, settings=settings, key="a") is None) is expected


def test_a_clock_that_jumped_back_does_not_give_up_or_fail():
    assert wait_s(1, RetrySettings(give_up_after_s=10), owed_since=NOW + timedelta(days=1)) > 0
