"""The states of a study and the one table of what moves it between them. Pure; lifecycle.py and the intake apply it.

A study is RECEIVING while objects come that no decision has seen. Once completion.py calls it complete, a snapshot is
taken: its job is QUEUED, RUNNING when a worker began, and DELIVERING once its outcome is whole. DONE means that every
destination has it. A study can leave this way: HELD for a person (contradicting objects), UNUSABLE (no series for
the model; no job), REFUSED (the worker could not process the input), FAILED (all attempts broke) and UNDELIVERED (a
destination refused for good). Whatever the state, a new object brings the study back to RECEIVING, except out of HELD.
A job may end while its study is RECEIVING again or HELD: the outcome is kept and the state stays.

`python -m dicom_node.study.states` prints the diagram of states.md.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from dicom_node.errors import StudyError


class StudyState(StrEnum):
    """Where a study is."""

    RECEIVING = "receiving"
    QUEUED = "queued"
    RUNNING = "running"
    DELIVERING = "delivering"
    DONE = "done"
    HELD = "held"
    UNUSABLE = "unusable"
    REFUSED = "refused"
    FAILED = "failed"
    UNDELIVERED = "undelivered"


class StudyEvent(StrEnum):
    """What happens to a study."""

    OBJECT = "object"
    """A new object was stored."""
    CONFLICT = "conflict"
    """An object was stored that contradicts the others: another patient, or a UID with other content."""
    SNAPSHOT = "snapshot"
    """The study is complete, and a job works on it: a new one, or the one that its input had before."""
    NOTHING_USABLE = "nothing_usable"
    """The study is complete, and the model can use nothing of it."""
    JOB_BEGUN = "job_begun"
    JOB_COMPLETED = "job_completed"
    JOB_REFUSED = "job_refused"
    JOB_FAILED = "job_failed"
    DELIVERED = "delivered"
    """Every destination has what it asked for."""
    DELIVERY_REFUSED = "delivery_refused"
    """Nothing is on its way any more, and a destination refused."""
    RELEASE = "release"
    """A person looked at a held study and lets it go on."""
    RETRY = "retry"
    """A person wants another try."""


class Keep(StrEnum):
    """Which of contradicting objects take part in a snapshot: those of the patient and content that came ..."""

    FIRST = "first"
    LATEST = "latest"


S, E = StudyState, StudyEvent

_STAYS_WITH_JOB = (E.JOB_BEGUN, E.JOB_COMPLETED, E.JOB_REFUSED, E.JOB_FAILED, E.DELIVERED, E.DELIVERY_REFUSED)

TRANSITIONS: Mapping[tuple[StudyState, StudyEvent], StudyState] = MappingProxyType(
    {
        **{(state, E.OBJECT): S.RECEIVING for state in S if state is not S.HELD},
        **{(state, E.CONFLICT): S.HELD for state in S},
        **{(state, event): state for state in (S.RECEIVING, S.HELD) for event in _STAYS_WITH_JOB},
        (S.RECEIVING, E.SNAPSHOT): S.QUEUED,
        (S.RECEIVING, E.NOTHING_USABLE): S.UNUSABLE,
        (S.QUEUED, E.JOB_BEGUN): S.RUNNING,
        (S.QUEUED, E.JOB_COMPLETED): S.DELIVERING,
        (S.QUEUED, E.JOB_REFUSED): S.REFUSED,
        (S.QUEUED, E.JOB_FAILED): S.FAILED,
        (S.RUNNING, E.JOB_BEGUN): S.RUNNING,
        (S.RUNNING, E.JOB_COMPLETED): S.DELIVERING,
        (S.RUNNING, E.JOB_REFUSED): S.REFUSED,
        (S.RUNNING, E.JOB_FAILED): S.FAILED,
        (S.DELIVERING, E.DELIVERED): S.DONE,
        (S.DELIVERING, E.DELIVERY_REFUSED): S.UNDELIVERED,
        (S.HELD, E.OBJECT): S.HELD,
        (S.HELD, E.RELEASE): S.RECEIVING,
        (S.UNUSABLE, E.RETRY): S.RECEIVING,
        (S.REFUSED, E.RETRY): S.QUEUED,
        (S.FAILED, E.RETRY): S.QUEUED,
        (S.FAILED, E.JOB_COMPLETED): S.DELIVERING,
        (S.FAILED, E.JOB_REFUSED): S.REFUSED,
        (S.UNDELIVERED, E.RETRY): S.DELIVERING,
    }
)
"""The whole machine. FAILED knows JOB_COMPLETED: an attempt taken for dead may still publish, and that counts."""

FINISHED = frozenset({S.DONE, S.UNUSABLE, S.REFUSED})
"""Nothing is owed any more, and no person is waited for: such a study may be removed when it is old."""


def transition(state: StudyState, event: StudyEvent) -> StudyState:
    """The state after the event. Raises `StudyError` for a pair that the table does not know."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise StudyError(f"a study that is {state.value} knows no event {event.value}") from None


def mermaid() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, event), after in TRANSITIONS.items():
        arrows.setdefault((state.value, after.value), []).append(event.value)
    lines = [f"    {start} --> {end}: {', '.join(events)}" for (start, end), events in sorted(arrows.items())]
    return "\n".join(["stateDiagram-v2", "    [*] --> receiving: object", *lines, "    done --> [*]: expired", ""])


if __name__ == "__main__":
    import sys

    sys.stdout.write(f"# The states of a study\n\nGenerated by `python -m dicom_node.study.states`.\n\n```mermaid\n{mermaid()}```\n")
