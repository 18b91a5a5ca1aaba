"""An attempt ends as an outcome or as a word of failure, whatever happens in it, and beats while it runs."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from support.empty_job import empty_job

from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import Doorbell, JobOutcome, JobRequest, OutcomeStatus
from worker import attempt, pipeline
from worker.errors import InputRefused, WorkerError
from worker.settings import WorkerSettings

JOB = "cd" * 16
SETTINGS = WorkerSettings(beat_s=0.05)


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return empty_job(tmp_path, JOB)


def ring(folder: JobFolder, number: int = 1) -> bool:
    doorbell = Doorbell(job_id=JOB, attempt=number)
    predictor: Any = None
    return attempt.run(doorbell, storage_root=folder.storage_root, settings=SETTINGS, load=lambda: predictor)


def fake(monkeypatch: pytest.MonkeyPatch, does: Callable[[], object]) -> None:
    """Put a pipeline in place that does as told and then completes."""

    def run(request: JobRequest, number: int, *_: object) -> JobOutcome:
        does()
        return JobOutcome(job_id=request.job_id, attempt=number, status=OutcomeStatus.COMPLETED)

    monkeypatch.setattr(pipeline, "run", run)


def raising(error: BaseException) -> Callable[[], object]:
    def does() -> None:
        raise error

    return does


def test_a_whole_attempt_is_published_and_a_doubled_doorbell_does_nothing(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    fake(monkeypatch, lambda: runs.append(1))
    assert ring(folder) is True
    assert ring(folder) is False
    assert ring(folder, 2) is False
    assert len(runs) == 1
    found = folder.read_outcome()
    assert found is not None
    assert found.status is OutcomeStatus.COMPLETED


def test_a_refused_input_is_an_outcome_with_its_reason(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, raising(InputRefused("three slices are no volume")))
    assert ring(folder) is True
    found = folder.read_outcome()
    assert found is not None
    assert (found.status, found.reason) == (OutcomeStatus.REFUSED, "three slices are no volume")


@pytest.mark.parametrize(
    ("error", "retryable", "words"),
    [
        (WorkerError("weights moved"), False, "weights moved"),
        (OSError(28, "No space left on device"), True, "No space left"),
        (MemoryError(), True, "out of memory"),
        (SoftTimeLimitExceeded(), True, "took longer than"),
        (ZeroDivisionError("ZZCANARY"), True, "unforeseen ZeroDivisionError"),
    ],
)
def test_a_fault_leaves_word_and_the_way_free(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch, error: BaseException, retryable: bool, words: str
) -> None:
    fake(monkeypatch, raising(error))
    assert ring(folder) is False
    assert folder.read_outcome() is None
    word = folder.read_failure(1)
    assert word is not None
    assert (word.status, word.retryable) == (OutcomeStatus.FAILED, retryable)
    assert words in word.reason
    assert "ZZCANARY" not in word.reason
    fake(monkeypatch, lambda: None)
    assert ring(folder, 2) is True


def test_it_beats_while_it_runs_and_a_living_bench_is_left_alone(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float | None] = []

    def look() -> None:
        time.sleep(0.3)
        seen.append(folder.seconds_since_beat(1))
        seen.append(0.0 if not ring(folder) else 99.0)

    fake(monkeypatch, look)
    assert ring(folder) is True
    assert all(age is not None and age < 0.25 for age in seen)


def test_a_dead_bench_of_the_same_attempt_is_taken_over(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = folder.begin(1)
    (bench / "half.dcm").write_bytes(b"half")
    time.sleep(5 * SETTINGS.beat_s)
    fake(monkeypatch, lambda: None)
    assert ring(folder) is True
    assert not (folder.outcome / "half.dcm").exists()


def test_a_request_of_another_release_fails_for_good(folder: JobFolder) -> None:
    folder.request_path.write_text('{"version": 99}')
    assert ring(folder) is False
    word = folder.read_failure(1)
    assert word is not None
    assert word.retryable is False
    assert "same release" in word.reason
