"""The worker's log: whose attempt failed, where and why, and never a patient."""

import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from support.log_state import log_state_kept

from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import Doorbell
from worker import attempt, logs, pipeline
from worker.logs import LogSettings
from worker.settings import WorkerSettings, WorkerSettingsError, load

CANARY = "ZZCANARY"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with log_state_kept():
        yield


def failed(folder: JobFolder, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Ring for a job whose pipeline raises."""

    def run(*_: object) -> None:
        raise error from ValueError(CANARY)

    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.setattr(JobFolder, "read_request", lambda _: None)
    attempt.run(
        Doorbell(job_id=folder.job_id, attempt=1),
        storage_root=folder.path.parent.parent,
        settings=WorkerSettings(),
        load=lambda: None,  # type: ignore[arg-type,return-value]
    )


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("error", [ZeroDivisionError(CANARY), OSError(28, "No space left on device", CANARY)])
def test_a_fault_tells_job_place_and_reason_but_quotes_nothing(
    error: Exception, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(LogSettings.model_validate({"format": form}))
    folder = JobFolder(tmp_path, "ab" * 16)
    failed(folder, monkeypatch, error)
    written = capsys.readouterr().err
    assert CANARY not in written
    assert written.count(folder.job_id) == 2
    for word in ("test_logs.py", type(error).__name__, "ValueError", "The attempt ended without a result."):
        assert word in written


def test_libraries_quote_no_patient(capsys: pytest.CaptureFixture[str]) -> None:
    """pydicom's warnings and lines hold the value that they complain about."""
    logs.configure(LogSettings(level="DEBUG"))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(f"Invalid value for VR DA: {CANARY!r}", stacklevel=1)
    logging.getLogger("pydicom").warning(CANARY)
    logging.getLogger("worker.somewhere").info("We are heard")
    written = capsys.readouterr().err
    assert CANARY not in written
    assert "We are heard" in written


def test_celery_leaves_the_log_alone() -> None:
    logs.configure(LogSettings())
    before = logging.getLogger().handlers[:]
    Celery("quartet").log.setup(loglevel="WARNING", redirect_stdouts=True)
    assert logging.getLogger().handlers == before
    assert logging.getLogger().level == logging.INFO


def test_it_logs_as_the_node_is_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "quartet.toml"
    config.write_text('[logs]\nformat = "json"\nlevel = "WARNING"\n')
    logs.configure(load(config, broker_url="redis://none").logs)
    logging.getLogger("worker.somewhere").info("No word")
    logging.getLogger("worker.somewhere").warning("One word", extra={"job": "ab"})
    entry = json.loads(capsys.readouterr().err)
    assert (entry["message"], entry["job"]) == ("One word", "ab")


def test_an_unknown_format_is_refused_with_its_key(tmp_path: Path) -> None:
    config = tmp_path / "quartet.toml"
    config.write_text('[logs]\nformat = "xml"\n')
    with pytest.raises(WorkerSettingsError, match=r"logs\.format"):
        load(config, broker_url="redis://none")
