"""A run of training.train by its command line, in tests."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training import train

SMALL = ["--batch", "2", "--crop-px", "32", "--steps-per-epoch", "2", "--device", "cpu", "--workers", "0"]
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def line(data: Path, out: Path, *options: str) -> list[str]:
    return ["--data", str(data), "--out", str(out), "--validation", ".5", *SMALL, *options]


def scalars(run: Path) -> dict[str, list[int]]:
    """Name -> steps at which TensorBoard was told of it."""
    events = EventAccumulator(str(run / "events"))
    events.Reload()
    return {name: [event.step for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def torchrun(options: list[str], program: Sequence[str] = ("-m", "training.train")) -> subprocess.CompletedProcess[str]:
    root = str(Path(train.__file__).parents[1])
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": root}
    typed = [*LAUNCH, *program, *options]
    return subprocess.run(typed, capture_output=True, text=True, check=False, env=quiet)
