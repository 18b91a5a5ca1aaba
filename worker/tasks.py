"""The Celery side of the worker: rings in, attempts out. Thin; attempt.py does the work.

`serve(environment)` is the worker process. The model is loaded once in the child process (prefork, one child), where
CUDA and thread pools may be touched; the parent only checks that the weights are whole, so that a worker with missing
or altered weights refuses to start instead of failing every study.
"""

import logging
import os
from typing import Any

from celery.signals import worker_process_init

from dicom_node.contract.messages import QUEUE_NAME, TASK_NAME, Doorbell
from worker import attempt
from worker.app import make_app
from worker.inference.predict import Predictor, default_weights, verify_weights
from worker.settings import WorkerEnvironment

log = logging.getLogger(__name__)


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
            predictor=self.load(),
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
        bench.load()

    return app


def serve(environment: WorkerEnvironment) -> None:
    """Run until SIGTERM. Raises `WeightsError` before the first job where the weights cannot be trusted."""
    verify_weights(environment.worker.weights or default_weights())
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
