"""The Celery side of the worker: rings in, attempts out. Thin; attempt.py does the work.

`serve(environment)` is the worker process. The model is loaded once in the child process (prefork, one child), where
CUDA and thread pools may be touched; the parent only checks that it can be, so that a worker with weights or a device
that it cannot use refuses to start instead of failing every study.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from celery.signals import worker_process_init

from dicom_node.contract.messages import QUEUE_NAME, TASK_NAME, Doorbell
from model.card import Card
from model.checkpoint import read_card
from worker import attempt
from worker.app import make_app
from worker.errors import WeightsError, WorkerError
from worker.inference.predict import Predictor, default_weights, verify_weights
from worker.settings import WorkerEnvironment, WorkerSettings

log = logging.getLogger(__name__)

UNCALIBRATED = (
    "these weights come straight from training and call lesions from .5 on, whatever the sequences: export them first "
    "with `python -m training.export`"
)
_ASK_FOR_GPU = "import sys, torch; sys.exit(not torch.cuda.is_available())"


class Bench:
    """What a worker child holds between jobs: its environment and the loaded model."""

    def __init__(self, environment: WorkerEnvironment) -> None:
        self.environment = environment
        self._predictor: Predictor | None = None

    def load(self) -> Predictor:
        """The model, loaded at the first use in this process."""
        if self._predictor is None:
            settings = self.environment.worker
            self._predictor = Predictor(
                settings.weights or default_weights(), device=settings.device, threads=settings.threads
            )
        return self._predictor

    def run(self, doorbell: Doorbell) -> bool:
        """Do what a doorbell asks; see attempt.run."""
        return attempt.run(
            doorbell,
            storage_root=self.environment.storage_root,
            settings=self.environment.worker,
            load=self.load,
        )


def make_worker_app(environment: WorkerEnvironment) -> Any:
    """The Celery app with the one task of `TASK_NAME` registered on it."""
    settings = environment.worker
    app = make_app(
        environment.broker_url, soft_time_limit_s=settings.soft_time_limit_s, time_limit_s=settings.time_limit_s
    )
    bench = Bench(environment)

    def run_job(job_id: str, attempt: int) -> None:
        bench.run(Doorbell(job_id=job_id, attempt=attempt))

    app.task(name=TASK_NAME)(run_job)

    @worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
    def load_model(**_: object) -> None:
        try:
            bench.load()
        except WorkerError as error:  # each job tries again, and its study says why
            log.error("The model cannot be loaded.", extra={"reason": str(error)})

    return app


def check(environment: WorkerEnvironment) -> list[str]:
    """What will be served, a line for each finding; those that begin with `warning` are to be looked at.

    Raises `WeightsError` where the weights cannot be used, `WorkerError` where the device is not there.

    Leaves the process fit for a fork, which CUDA does not outlive: another process looks for the GPU.
    """
    settings = environment.worker
    card = _verified(settings)
    if settings.device == "cuda":
        asked = subprocess.run([sys.executable, "-c", _ASK_FOR_GPU], capture_output=True, check=False)
        if asked.returncode:
            raise WorkerError("worker.device is cuda, but no GPU answers: check nvidia-smi and the CUDA build of torch")
    folder = settings.weights.absolute() if settings.weights else f"those of this release ({default_weights()})"
    found = [
        f"weights      {folder}: {card.name} {card.version}, SHA-256 {card.weights_sha256[:12]}",
        f"thresholds   {card.threshold_rule}",
    ]
    return found if card.calibrated else [*found, f"warning      {UNCALIBRATED}"]


def _verified(settings: WorkerSettings) -> Card:
    """The card of the weights that are served. Raises `WeightsError` that names the setting, if it is given."""
    if settings.weights is None:
        verify_weights(default_weights())
        return read_card(default_weights())
    try:
        verify_weights(settings.weights.absolute())
    except WeightsError as error:
        where = "" if settings.weights.is_absolute() else f", taken from {Path.cwd()} where this was started"
        raise WeightsError(
            f'worker.weights = "{settings.weights}"{where}: {error} (left out, the weights of this release serve)'
        ) from error
    return read_card(settings.weights)


def serve(environment: WorkerEnvironment) -> None:
    """Run until SIGTERM. Raises `WorkerError` before the first job where weights or device cannot be used."""
    check(environment)
    app = make_worker_app(environment)
    log.info("The worker waits for jobs.", extra={"pid": os.getpid()})
    app.worker_main(
        [
            "--quiet",
            "worker",
            "--pool=prefork",
            "--concurrency=1",
            f"--queues={QUEUE_NAME}",
            f"--hostname=quartet-{os.getpid()}@%h",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "--loglevel=WARNING",
        ]
    )
