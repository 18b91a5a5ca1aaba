"""One attempt at one job: from a doorbell to a published outcome or a word of failure. The task boundary.

Called by tasks.py with what the doorbell said. Everything that can go wrong ends here as an outcome (design,
invariants 3 and 4): COMPLETED and REFUSED are published, FAILED leaves word so that the next attempt may try. While it
runs a thread beats in the attempt folder, which is the lease.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded

from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import Doorbell, JobOutcome, MessageError, OutcomeStatus, Progress
from worker import pipeline
from worker.errors import InputRefused, WorkerError
from worker.inference.predict import Predictor
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)

FRESH_BEATS = 4
"""A bench whose last beat is younger than this many beats belongs to a living colleague."""


@dataclass(slots=True)
class Stopwatch:
    """Times the stages of a run and says which one runs now; the beating thread reads it."""

    seconds: dict[str, float] = field(default_factory=dict)
    now: str = "begin"
    fraction: float = 0.0

    @contextmanager
    def stage(self, name: str, fraction: float) -> Iterator[None]:
        """Time a stage; `fraction` is how much of the whole lies behind when it begins."""
        self.now, self.fraction = name, fraction
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start

    def progress(self) -> Progress:
        return Progress(stage=self.now, fraction=self.fraction, seconds=dict(self.seconds))


def run(doorbell: Doorbell, *, storage_root: Path, settings: WorkerSettings, load: Callable[[], Predictor]) -> bool:
    """Do what the doorbell asks, once. True where this call published the outcome; a doubled doorbell is harmless.

    `load` gives the model: a model that cannot be loaded is a failure of the attempt, with its reason.
    """
    folder = JobFolder(storage_root, doorbell.job_id)
    if _is_taken(folder, doorbell.attempt, settings):
        log.info("A doubled doorbell: nothing to do.", extra={"job": doorbell.job_id, "attempt": doorbell.attempt})
        return False
    folder.begin(doorbell.attempt)
    watch = Stopwatch()
    with _beating(folder, doorbell.attempt, watch, settings.beat_s):
        outcome = _outcome(folder, doorbell, settings, load, watch)
    if outcome.status is OutcomeStatus.FAILED:
        folder.fail(outcome)
        return False
    return folder.publish(outcome)


def _is_taken(folder: JobFolder, attempt: int, settings: WorkerSettings) -> bool:
    if folder.read_outcome() is not None or folder.read_failure(attempt) is not None:
        return True
    age = folder.seconds_since_beat(attempt)
    return age is not None and age < FRESH_BEATS * settings.beat_s


def _outcome(
    folder: JobFolder, doorbell: Doorbell, settings: WorkerSettings, load: Callable[[], Predictor], watch: Stopwatch
) -> JobOutcome:
    """Load the model and run the pipeline; every error becomes an outcome with its reason."""

    def ended(status: OutcomeStatus, reason: str, retryable: bool = False) -> JobOutcome:
        log.log(
            logging.WARNING if status is OutcomeStatus.FAILED else logging.INFO,
            "The attempt ended without a result.",
            extra={"job": doorbell.job_id, "attempt": doorbell.attempt, "status": status.value, "reason": reason},
        )
        return JobOutcome(
            job_id=doorbell.job_id,
            attempt=doorbell.attempt,
            status=status,
            reason=reason,
            retryable=retryable,
            seconds=dict(watch.seconds),
        )

    try:
        request = folder.read_request()
        with watch.stage("load", 0.0):
            predictor = load()
        return pipeline.run(request, doorbell.attempt, folder, settings, predictor, watch)
    except InputRefused as refusal:
        return ended(OutcomeStatus.REFUSED, str(refusal))
    except (MessageError, WorkerError) as error:
        return ended(OutcomeStatus.FAILED, str(error), getattr(error, "retryable", False))
    except SoftTimeLimitExceeded:
        return ended(OutcomeStatus.FAILED, f"took longer than {settings.soft_time_limit_s:.0f} s in {watch.now}", True)
    except MemoryError:
        return ended(OutcomeStatus.FAILED, f"out of memory in {watch.now}", True)
    except OSError as error:  # of disk or network: it may pass; where it arose stands in the log
        log.exception("The system refused something.", extra={"job": doorbell.job_id, "stage": watch.now})
        return ended(OutcomeStatus.FAILED, f"{watch.now}: {error.strerror or type(error).__name__}", True)
    except Exception as error:  # the task boundary: whatever it was, the node must hear of it
        log.exception("An unforeseen fault.", extra={"job": doorbell.job_id, "stage": watch.now})
        return ended(OutcomeStatus.FAILED, f"unforeseen {type(error).__name__} in {watch.now}", True)


@contextmanager
def _beating(folder: JobFolder, attempt: int, watch: Stopwatch, every_s: float) -> Iterator[None]:
    """Beat in the attempt folder from a thread until the block ends."""
    done = threading.Event()

    def beat() -> None:
        last = ""
        waited = every_s
        while not done.is_set():
            if waited >= every_s or watch.now != last:
                last, waited = watch.now, 0.0
                try:
                    folder.beat(attempt, watch.progress())
                except OSError as error:
                    log.warning("A beat failed.", extra={"job": folder.job_id, "reason": error.strerror})
            waited += min(0.25, every_s)
            done.wait(min(0.25, every_s))

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
