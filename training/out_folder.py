"""The folder that a command of training writes to: made before the work begins, not found wanting after hours of it."""

import tempfile
from pathlib import Path

from training.errors import TrainingError


def make(folder: Path, option: str = "--out") -> None:
    """Make the folder that an option names, and try to write in it. Raises `TrainingError` where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{option} {folder} cannot be made: {error.strerror}") from error
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
    except OSError as error:
        raise TrainingError(f"{option} {folder} cannot be written: {error.strerror}") from error
