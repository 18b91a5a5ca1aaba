"""The states of a study and the one table of what moves it between them. Pure; lifecycle.py and the intake apply it.

A study is RECEIVING while objects come that no decision has seen. Once completion.py calls it complete, a snapshot is
taken: its job is QUEUED, RUNNING when a worker began, and DELIVERING once its outcome is whole. DONE means that every
destination has it. A study leaves this way when objects contradict each other (HELD for a person), when there is
nothing that the model can use or the worker refuses the input (NOT_PROCESSED, with the reason), when all attempts broke
(FAILED) and when a destination refused for good (UNDELIVERED).

Whatever the state, a new object brings the study back to RECEIVING, except out of HELD. A job that ends while its study
is RECEIVING again or HELD leaves the state as it is; the next snapshot finds what became of it. A person's retry goes
through RECEIVING too, so that it sorts the series anew.

`python -m dicom_node.study.states` prints states.md.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from dicom_node.errors import StudyError


class StudyState(StrEnum):
    """Where a study is."""

    RECEIVING = "receiving"
    HELD = "held"
    QUEUED = "queued"
    RUNNING = "running"
    DELIVERING = "delivering"
    DONE = "done"
    NOT_PROCESSED = "not processed"
    FAILED = "failed"
    UNDELIVERED = "undelivered"


class StudyEvent(StrEnum):
    """What happens to a study."""

    OBJECT_CAME = "object came"
    CONTRADICTED = "contradicted"
    """An object came that contradicts the others: another patient, or a UID with other content."""
    SNAPSHOT_TAKEN = "snapshot taken"
    """It is complete, and a job is owed for what it holds: a new one, or the one that the same objects had before."""
    NOTHING_USABLE = "nothing usable"
    """It is complete, and the model can use nothing of it."""
    JOB_BEGUN = "job begun"
    JOB_COMPLETED = "job completed"
    JOB_REFUSED = "job refused"
    JOB_FAILED = "job failed"
    DELIVERED = "delivered"
    """Every destination has what it asked for."""
    DELIVERY_ENDED = "delivery ended"
    """Nothing is on its way any more, and a destination did not take it."""
    RETRIED = "retried"
    """A person looked at it and wants another try."""


_S, _E = StudyState, StudyEvent
_OF_A_JOB = (
    _E.JOB_BEGUN, _E.JOB_COMPLETED, _E.JOB_REFUSED, _E.JOB_FAILED, _E.DELIVERED, _E.DELIVERY_ENDED
)  # fmt: skip

TRANSITIONS: Mapping[tuple[StudyState, StudyEvent], StudyState] = MappingProxyType(
    {
        **{(state, _E.OBJECT_CAME): _S.RECEIVING for state in _S},
        (_S.HELD, _E.OBJECT_CAME): _S.HELD,
        **{(state, _E.CONTRADICTED): _S.HELD for state in _S},
        **{(_S.RECEIVING, event): _S.RECEIVING for event in _OF_A_JOB},
        **{(_S.HELD, event): _S.HELD for event in _OF_A_JOB},
        (_S.RECEIVING, _E.SNAPSHOT_TAKEN): _S.QUEUED,
        (_S.RECEIVING, _E.NOTHING_USABLE): _S.NOT_PROCESSED,
        (_S.QUEUED, _E.JOB_BEGUN): _S.RUNNING,
        (_S.QUEUED, _E.JOB_COMPLETED): _S.DELIVERING,
        (_S.QUEUED, _E.JOB_REFUSED): _S.NOT_PROCESSED,
        (_S.QUEUED, _E.JOB_FAILED): _S.FAILED,
        (_S.RUNNING, _E.JOB_BEGUN): _S.RUNNING,
        (_S.RUNNING, _E.JOB_COMPLETED): _S.DELIVERING,
        (_S.RUNNING, _E.JOB_REFUSED): _S.NOT_PROCESSED,
        (_S.RUNNING, _E.JOB_FAILED): _S.FAILED,
        (_S.FAILED, _E.JOB_COMPLETED): _S.DELIVERING,
        (_S.FAILED, _E.JOB_REFUSED): _S.NOT_PROCESSED,
        (_S.DELIVERING, _E.DELIVERED): _S.DONE,
        (_S.DELIVERING, _E.DELIVERY_ENDED): _S.UNDELIVERED,
        (_S.HELD, _E.RETRIED): _S.RECEIVING,
        (_S.NOT_PROCESSED, _E.RETRIED): _S.RECEIVING,
        (_S.FAILED, _E.RETRIED): _S.RECEIVING,
        (_S.UNDELIVERED, _E.RETRIED): _S.RECEIVING,
    }
)
"""The whole machine. FAILED still knows an outcome: an attempt taken for dead may publish after all, and it counts."""


def following(state: StudyState, event: StudyEvent) -> StudyState:
    """The state after the event. Raises `StudyError` for a pair that the table does not know."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise StudyError(f"a study that is {state.value} knows no event '{event.value}'") from None


def mermaid() -> str:
    """The table as a Mermaid state diagram."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, event), after in TRANSITIONS.items():
        arrows.setdefault((state.name, after.name), []).append(event.value)
    lines = [f"    {start} --> {end}: {', '.join(events)}" for (start, end), events in sorted(arrows.items())]
    return "\n".join(["stateDiagram-v2", "    [*] --> RECEIVING", *lines, ""])


def markdown() -> str:
    """The page states.md, which a test holds equal to the table."""
    return f"# The states of a study\n\nMade by `python -m dicom_node.study.states`.\n\n```mermaid\n{mermaid()}```\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())
