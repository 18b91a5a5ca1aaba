"""A worker that cannot run the model does not start; where it finds out later, each job says why."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.signals import worker_process_init
from support.empty_job import empty_job
from support.log_state import log_state_kept
from support.weights import random_weights

from dicom_node.contract.messages import Doorbell, OutcomeStatus
from model.checkpoint import CARD_FILE
from worker import tasks
from worker.__main__ import main
from worker.errors import WeightsError, WorkerError
from worker.settings import WorkerEnvironment, load

JOB = "ab" * 16


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with log_state_kept():
        yield


FAULTS = {
    "architecture": (WeightsError, "does not hold a network of this release (quartet_wide)"),
    "card": (WeightsError, "card.json cannot be used"),
    "device": (WorkerError, "no GPU answers"),
}


def configuration(folder: Path, fault: str) -> Path:
    """quartet.toml of a worker that cannot run."""
    random_weights(folder / "weights")
    change = {"architecture": {"architecture": "quartet_wide"}, "card": {"mirror": "false"}}.get(fault, {})
    card = folder / "weights" / CARD_FILE
    card.write_text(json.dumps({**json.loads(card.read_text()), **change}))
    device = "cuda" if fault == "device" else "cpu"
    config = folder / "quartet.toml"
    config.write_text(
        f'[storage]\nroot = "{folder / "storage"}"\n[worker]\nthreads = 1\ndevice = "{device}"\n'
        f'weights = "{folder / "weights"}"\n'
    )
    return config


def environment(folder: Path, fault: str) -> WorkerEnvironment:
    return load(configuration(folder, fault), broker_url="redis://none")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_worker_that_cannot_run_the_model_does_not_start(tmp_path: Path, fault: str) -> None:
    error, words = FAULTS[fault]
    with pytest.raises(error) as refused:
        tasks.serve(environment(tmp_path, fault))
    assert words in str(refused.value)


@pytest.mark.parametrize("fault", ["architecture", "device"])
def test_the_check_says_so_in_one_plain_line(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configuration(tmp_path, fault)
    monkeypatch.setattr("sys.argv", ["worker", "--config", str(config), "--check"])
    assert main() == 2
    said = capsys.readouterr().err
    assert said.startswith("quartet worker: ")
    assert FAULTS[fault][1] in said
    assert "Traceback" not in said


def test_the_check_passes_where_all_is_well(tmp_path: Path) -> None:
    found = tasks.check(environment(tmp_path, "none"))
    assert [line.split()[0] for line in found] == ["weights", "thresholds"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_cannot_be_loaded_fails_the_attempt_with_its_reason(tmp_path: Path, fault: str) -> None:
    folder = empty_job(tmp_path / "storage", JOB)
    assert tasks.Bench(environment(tmp_path, fault)).run(Doorbell(job_id=JOB, attempt=1)) is False
    word = folder.read_failure(1)
    assert word is not None
    assert (word.status, word.retryable) == (OutcomeStatus.FAILED, False)
    assert FAULTS[fault][1] in word.reason
    beat = folder.progress(1)
    assert beat is not None


def test_a_child_that_cannot_load_the_model_says_so_and_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_process_init, "receivers", [])
    app: Any = tasks.make_worker_app(environment(tmp_path, "device"))
    assert [answer for _, answer in worker_process_init.send(sender=app)] == [None]
    said = [record for record in caplog.records if record.name == "worker.tasks"]
    assert [record.getMessage() for record in said] == ["The model cannot be loaded."]
    assert "no GPU answers" in said[0].__dict__["reason"]
    assert not [record for record in caplog.records if record.exc_info]
