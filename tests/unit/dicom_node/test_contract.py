"""The contract between node and worker holds over JSON and over the job folder."""

import json
from pathlib import Path

import pytest

from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import (
    InstanceRef,
    JobOutcome,
    JobRequest,
    Lesion,
    MessageError,
    OutcomeStatus,
    Product,
    Progress,
    SlotState,
    SlotUse,
    SnapshotSeries,
    from_json,
    to_json,
)
from dicom_node.contract.slots import SequenceSlot

JOB = "ab" * 16


def request() -> JobRequest:
    instance = InstanceRef(sop_instance_uid="1.2.3", path="instances/ab/cd.dcm", sha256="ab")
    series = SnapshotSeries(
        series_instance_uid="1.2",
        slot=SequenceSlot.FLAIR,
        chosen=True,
        confidence=0.9,
        reasons=("TI 1800 ms",),
        description="FLAIR",
        instances=(instance,),
    )
    return JobRequest(
        job_id=JOB,
        study_instance_uid="1",
        snapshot_digest="d",
        created_at="2026-01-01T00:00:00+00:00",
        series=(series,),
        products=(Product.SEG, Product.SR),
    )


def outcome(attempt: int = 1, status: OutcomeStatus = OutcomeStatus.COMPLETED) -> JobOutcome:
    lesion = Lesion(
        number=1,
        tracking_uid="2.25.1",
        tracking_id="L1",
        volume_ml=0.5,
        long_axis_mm=9,
        short_axis_mm=7,
        long_axis_ends_mm=((0, 0, 0), (9, 0, 0)),
        centroid_mm=(1, 2, 3),
        mean_probability=0.8,
        max_probability=0.99,
    )
    use = SlotUse(slot=SequenceSlot.BRAVO, state=SlotState.MISSING, reason="did not arrive")
    return JobOutcome(job_id=JOB, attempt=attempt, status=status, lesions=(lesion,), slots=(use,))


@pytest.mark.parametrize("message", [request(), outcome(), Progress(stage="read", fraction=0.5, seconds={"read": 1.0})])
def test_a_message_survives_json(message: object) -> None:
    assert from_json(type(message), to_json(message)) == message


def test_another_contract_version_is_refused_and_says_what_to_do() -> None:
    raw = json.loads(to_json(request())) | {"version": 99}
    with pytest.raises(MessageError, match="same release"):
        from_json(JobRequest, json.dumps(raw))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"extra": 1}, "extra"),
        ({"series": {}}, "a list"),
        ({"products": ["hologram"]}, "one of"),
        ({"job_id": 7}, "str"),
    ],
)
def test_a_foreign_form_is_refused_by_name(change: dict[str, object], words: str) -> None:
    raw = json.loads(to_json(request())) | change
    with pytest.raises(MessageError, match=words):
        from_json(JobRequest, json.dumps(raw))


def test_the_slots_are_in_the_order_of_the_channels() -> None:
    assert list(SequenceSlot) == ["BRAVO", "PRE_CUBE", "POST_CUBE", "FLAIR"]


def test_the_first_whole_outcome_wins(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path, JOB)
    folder.write_request(request())
    assert folder.read_request() == request()
    folder.begin(1)
    folder.begin(2)
    assert folder.publish(outcome(2)) is True
    assert folder.publish(outcome(1)) is False
    found = folder.read_outcome()
    assert found is not None
    assert found.attempt == 2


def test_a_beat_shows_progress_and_its_age(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path, JOB)
    assert folder.seconds_since_beat(1) is None
    folder.begin(1)
    folder.beat(1, Progress(stage="register", fraction=0.25))
    age = folder.seconds_since_beat(1)
    assert age is not None
    assert age < 5
    found = folder.progress(1)
    assert found is not None
    assert found.stage == "register"


@pytest.mark.parametrize("bad", ["../../etc", "ABCDEF0123456789", "", "zz" * 16])
def test_a_job_id_that_is_not_ours_never_names_a_folder(bad: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hex"):
        JobFolder(tmp_path, bad)


def test_a_failed_attempt_leaves_the_way_free_for_the_next(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path, JOB)
    folder.begin(1)
    failed = outcome(1, OutcomeStatus.FAILED)
    with pytest.raises(ValueError, match="no outcome"):
        folder.publish(failed)
    folder.fail(failed)
    assert folder.read_failure(1) == failed
    assert folder.read_outcome() is None
    folder.begin(2)
    assert folder.read_failure(2) is None
    assert folder.publish(outcome(2)) is True
