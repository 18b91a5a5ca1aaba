"""The state machine knows exactly its table, and the page shows it."""

from itertools import product
from pathlib import Path

import pytest

import dicom_node.study.states as module
from dicom_node.errors import StudyError
from dicom_node.study.states import TRANSITIONS, StudyEvent, StudyState, following, markdown

_JOB = {
    StudyEvent.JOB_BEGUN,
    StudyEvent.JOB_COMPLETED,
    StudyEvent.JOB_REFUSED,
    StudyEvent.JOB_FAILED,
    StudyEvent.DELIVERED,
    StudyEvent.DELIVERY_ENDED,
}
KNOWN = {
    StudyState.RECEIVING: _JOB | {StudyEvent.SNAPSHOT_TAKEN, StudyEvent.NOTHING_USABLE},
    StudyState.HELD: _JOB | {StudyEvent.RETRIED},
    StudyState.QUEUED: {
        StudyEvent.JOB_BEGUN,
        StudyEvent.JOB_COMPLETED,
        StudyEvent.JOB_REFUSED,
        StudyEvent.JOB_FAILED,
    },
    StudyState.RUNNING: {
        StudyEvent.JOB_BEGUN,
        StudyEvent.JOB_COMPLETED,
        StudyEvent.JOB_REFUSED,
        StudyEvent.JOB_FAILED,
    },
    StudyState.DELIVERING: {StudyEvent.DELIVERED, StudyEvent.DELIVERY_ENDED},
    StudyState.DONE: set(),
    StudyState.NOT_PROCESSED: {StudyEvent.RETRIED},
    StudyState.FAILED: {StudyEvent.RETRIED, StudyEvent.JOB_COMPLETED, StudyEvent.JOB_REFUSED},
    StudyState.UNDELIVERED: {StudyEvent.RETRIED},
}
"""Beside OBJECT_CAME and CONTRADICTED, which every state knows."""


@pytest.mark.parametrize(("state", "event"), list(product(StudyState, StudyEvent)))
def test_every_pair_is_in_the_table_or_raises(state: StudyState, event: StudyEvent) -> None:
    if event in KNOWN[state] | {StudyEvent.OBJECT_CAME, StudyEvent.CONTRADICTED}:
        assert following(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(StudyError, match=state.value):
            following(state, event)


def test_nothing_but_a_person_releases_a_held_study() -> None:
    out = {event for event in StudyEvent if (StudyState.HELD, event) in TRANSITIONS} - {StudyEvent.RETRIED}
    assert {following(StudyState.HELD, event) for event in out} == {StudyState.HELD}


def test_a_new_object_reopens_every_other_state() -> None:
    after = {following(state, StudyEvent.OBJECT_CAME) for state in StudyState if state is not StudyState.HELD}
    assert after == {StudyState.RECEIVING}


def test_every_state_can_be_reached() -> None:
    reached = {StudyState.RECEIVING}
    for _ in StudyState:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(StudyState)


def test_the_page_shows_the_table() -> None:
    page = Path(module.__file__).with_name("states.md").read_text()
    assert page == markdown(), "run: python -m dicom_node.study.states > dicom_node/study/states.md"
