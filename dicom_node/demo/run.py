"""`quartet demo`: one synthetic patient through the whole node, on this machine, and what came of it as a table.

The cohort simulator and the node are started as processes (the node imports neither training nor worker); this process
plays the PACS at both ends: it sends the study by C-STORE in shuffled order and receives SEG and SR by C-STORE. Steps:
make the patient -> start the node -> send -> follow -> receive -> compare with what was planted.
"""

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydicom import dcmread
from rich.console import Console

from dicom_node.contract.job_folder import JOBS, JobFolder
from dicom_node.contract.messages import JobOutcome
from dicom_node.contract.slots import SequenceSlot
from dicom_node.demo.node import DEMO_AE, NODE_AE, DemoError, DemoNode
from dicom_node.demo.pacs import DemoPacs, wait_for_echo
from dicom_node.demo.report import Planted, Summary, match_lesions, print_summary
from dicom_node.demo.screen import DemoScreen

Found = TypeVar("Found")
RESULT_TIMEOUT_S = 600.0
START_TIMEOUT_S = 180.0
"""Seconds do on a quiet machine."""


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What the user asked for."""

    out: Path
    without: tuple[SequenceSlot, ...] = ()
    seed: int = 1


def run(options: DemoOptions, console: Console) -> int:
    """Run the demo. Gives 0 when SEG and SR came and at least one planted lesion was found, else 1.

    Raises `DemoError`.
    """
    if set(options.without) == set(SequenceSlot):
        raise DemoError("--without leaves no sequence: keep at least one of them")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"--out {options.out} cannot be made: {error.strerror}") from error
    with tempfile.TemporaryDirectory(prefix="quartet-demo-") as folder, DemoScreen(console) as screen:
        work = Path(folder)
        seconds: dict[str, float] = {}
        with screen.stage("make the patient", seconds):
            study = make_study(work, options)
        pacs = DemoPacs(DEMO_AE, work / "received")
        with pacs, DemoNode(work, pacs.port, options.out / "node.log") as node:
            with screen.stage("start the node", seconds):
                wait_for_echo(node.port, DEMO_AE, NODE_AE, START_TIMEOUT_S, node.check)
            with screen.stage("send the study", seconds):
                files = shuffled(study, options.seed)
                pacs.send(files, node.port, NODE_AE, progress=screen.count(len(files)))
            outcome = follow(node, pacs, screen, seconds)
        summary = collect(options, work, study, outcome, pacs.received, seconds)
    print_summary(summary, console)
    return 0 if summary.succeeded else 1


def make_study(work: Path, options: DemoOptions) -> Path:
    """Let the cohort simulator write one patient as DICOM; planted.json beside it."""
    study = work / "study"
    without = [word for slot in options.without for word in ("--without", slot.value)]
    command = [
        sys.executable,
        "-m",
        "training.cohort",
        "dicom",
        "--out",
        str(study),
        "--seed",
        str(options.seed),
        "--lesions",
        str(planted_lesions(options.seed)),
        *without,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"the cohort simulator failed; is the training extra installed?\n{done.stderr[-2000:]}")
    return study


def planted_lesions(seed: int) -> int:
    """3 to 8, by the seed: a patient with one lesion of 2 mm would show little."""
    return 3 + (seed - 1) % 6


def shuffled(study: Path, seed: int) -> list[Path]:
    """The files of the study in a random order, as a PACS might send them."""
    files = sorted(study.rglob("*.dcm"))
    random.Random(seed).shuffle(files)
    return files


def follow(node: DemoNode, pacs: DemoPacs, screen: DemoScreen, seconds: dict[str, float]) -> JobOutcome:
    """Wait for the job and its results, showing every stage. Raises `DemoError` where they do not come."""
    wait = partial(_until, time.monotonic() + RESULT_TIMEOUT_S, node.check)
    with screen.stage("wait until the study is complete", seconds):
        folder = wait(lambda: _first_job(node.storage), "no job was made of the study")
    with screen.stage("process", seconds):
        outcome = wait(lambda: _outcome(folder, screen), "the worker gave no outcome")
    seconds.update({f"  {name}": taken for name, taken in outcome.seconds.items()})
    if outcome.reason:
        raise DemoError(f"the study was not processed: {outcome.reason}")
    with screen.stage("deliver the results", seconds):
        wait(lambda: len(pacs.received) >= len(outcome.products) or None, "the results did not arrive")
    return outcome


def _first_job(storage: Path) -> JobFolder | None:
    requests = sorted((storage / JOBS).glob("*/request.json"))
    return JobFolder(storage, requests[0].parent.name) if requests else None


def _outcome(folder: JobFolder, screen: DemoScreen) -> JobOutcome | None:
    for attempt in (3, 2, 1):
        progress = folder.progress(attempt)
        if progress is not None:
            screen.show(progress)
            failure = folder.read_failure(attempt)
            if failure is not None and not failure.retryable:
                return failure
            break
    return folder.read_outcome()


def _until(deadline: float, check: Callable[[], None], found: Callable[[], Found | None], otherwise: str) -> Found:
    while (value := found()) is None:
        check()
        if time.monotonic() > deadline:
            raise DemoError(f"{otherwise}; the node's log (node.log in the output folder) says more")
        time.sleep(0.2)
    return value


def collect(
    options: DemoOptions,
    work: Path,
    study: Path,
    outcome: JobOutcome,
    received: Sequence[Path],
    seconds: dict[str, float],
) -> Summary:
    """Copy what the demo PACS received and the preview to the output folder, and compare with what was planted."""
    files: dict[str, str] = {}
    for path in received:
        modality = str(dcmread(path, stop_before_pixels=True, specific_tags=["Modality"]).Modality)
        target = options.out / f"{modality.lower()}.dcm"
        shutil.copyfile(path, target)
        files[modality.lower()] = str(target)
    preview = JobFolder(work / "storage", outcome.job_id).outcome / "preview.png"
    if preview.exists():
        files["preview"] = shutil.copyfile(preview, options.out / "preview.png").as_posix()
    matches, unmatched = match_lesions(read_planted(study), outcome.lesions)
    files["summary"] = str(options.out / "summary.json")
    summary = Summary(outcome=outcome, matches=matches, unmatched=unmatched, files=files, seconds=seconds)
    summary.write(options.out / "summary.json")
    return summary


def read_planted(study: Path) -> tuple[Planted, ...]:
    """What the simulator put in: planted.json of the study's folder, in the frame of its reference series."""
    raw = json.loads((study / "planted.json").read_text())
    return tuple(
        Planted(centroid_mm=tuple(one["centroid_mm"]), volume_ml=one["volume_ml"], diameter_mm=one["diameter_mm"])
        for one in raw["lesions"]
    )
