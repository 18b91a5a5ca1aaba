"""The folder of one job under the storage root: the only place where node and worker meet.

    jobs/<job_id>/request.json          the node writes it once, whole, before the doorbell rings
    jobs/<job_id>/attempt-<n>/          the worker's bench: progress.json (its heartbeat) and half-made products
    jobs/<job_id>/attempt-<n>/failure.json   what a failed attempt says; never the outcome, so the next may try
    jobs/<job_id>/outcome/              an attempt folder renamed when it is whole: outcome.json and the products

The first whole outcome wins: a rename onto a non-empty folder fails, so a second run of one job is harmless.
Every file and rename is made durable (fsync of file and folder) before the next step relies on it.
"""

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dicom_node.contract.messages import JobOutcome, JobRequest, OutcomeStatus, Progress, from_json, to_json

JOBS = "jobs"
_JOB_ID = re.compile(r"[0-9a-f]{16,64}")


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The folder of `job_id` under `storage_root`. Raises ValueError for an id that is not our own hex."""

    storage_root: Path
    job_id: str

    def __post_init__(self) -> None:
        if not _JOB_ID.fullmatch(self.job_id):
            raise ValueError("a job id is 16 to 64 hex digits")

    @property
    def path(self) -> Path:
        return self.storage_root / JOBS / self.job_id

    @property
    def request_path(self) -> Path:
        return self.path / "request.json"

    @property
    def outcome(self) -> Path:
        """The folder of the whole outcome; it exists once one attempt published."""
        return self.path / "outcome"

    def attempt(self, number: int) -> Path:
        """The bench of attempt `number` (from 1)."""
        return self.path / f"attempt-{number}"

    def write_request(self, request: JobRequest) -> None:
        """Write the snapshot, whole and durable. Writing the same one again changes nothing."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.request_path.exists():
            write_durably(self.request_path, to_json(request).encode())
            sync_folder(self.path.parent)

    def read_request(self) -> JobRequest:
        """Raises `MessageError` on a foreign form and FileNotFoundError where the node wrote none."""
        return from_json(JobRequest, self.request_path.read_bytes())

    def begin(self, attempt: int) -> Path:
        """Make an empty bench for an attempt, and give its path. What a dead run left there goes."""
        bench = self.attempt(attempt)
        shutil.rmtree(bench, ignore_errors=True)
        bench.mkdir(parents=True)
        return bench

    def beat(self, attempt: int, progress: Progress) -> None:
        """Say that the attempt lives and where it is. Replaced atomically, not made durable: it is no truth."""
        target = self.attempt(attempt) / "progress.json"
        temporary = target.with_suffix(".new")
        temporary.write_text(to_json(progress))
        temporary.replace(target)

    def progress(self, attempt: int) -> Progress | None:
        """The last beat of an attempt, or None before the first."""
        try:
            return from_json(Progress, (self.attempt(attempt) / "progress.json").read_bytes())
        except FileNotFoundError:
            return None

    def seconds_since_beat(self, attempt: int, now: float | None = None) -> float | None:
        """Age of the last beat by the file system's clock in seconds; None where the attempt never began."""
        bench = self.attempt(attempt)
        for candidate in (bench / "progress.json", bench):
            try:
                return max(0.0, (time.time() if now is None else now) - candidate.stat().st_mtime)
            except FileNotFoundError:
                continue
        return None

    def publish(self, outcome: JobOutcome) -> bool:
        """Turn the bench of `outcome.attempt` into the outcome. False where another outcome was first.

        Raises ValueError for a failed one: that goes to `fail`.
        """
        if outcome.status is OutcomeStatus.FAILED:
            raise ValueError("a failed attempt is no outcome: use fail()")
        bench = self.attempt(outcome.attempt)
        write_durably(bench / "outcome.json", to_json(outcome).encode())
        _sync_files(path for path in bench.iterdir() if path.is_file())
        sync_folder(bench)
        try:
            bench.rename(self.outcome)
        except OSError:
            if self.read_outcome() is None:
                raise
            return False
        sync_folder(self.path)
        return True

    def fail(self, outcome: JobOutcome) -> None:
        """Leave word, durably, that the attempt failed and whether another one can help."""
        write_durably(self.attempt(outcome.attempt) / "failure.json", to_json(outcome).encode())

    def read_failure(self, attempt: int) -> JobOutcome | None:
        """What a failed attempt left, or None: it runs, never began, or died without a word."""
        try:
            return from_json(JobOutcome, (self.attempt(attempt) / "failure.json").read_bytes())
        except FileNotFoundError:
            return None

    def set_aside(self, outcome: JobOutcome) -> None:
        """Make way for another round after a refusal: the outcome folder becomes refused-<n>. Again changes nothing."""
        if (found := self.read_outcome()) is not None and found.attempt == outcome.attempt:
            self.outcome.rename(self.path / f"refused-{outcome.attempt}")
            sync_folder(self.path)

    def read_outcome(self) -> JobOutcome | None:
        """The published outcome, or None while there is none."""
        try:
            return from_json(JobOutcome, (self.outcome / "outcome.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or absent: temporary file, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")  # process ids repeat among hosts
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """fsync a folder, so that a rename in it survives a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_files(paths: Iterable[Path]) -> None:
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
