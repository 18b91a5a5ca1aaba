"""The folder that a command of training writes to: made before the work begins, not found wanting after hours of it."""

from pathlib import Path

from training.errors import TrainingError


def make(folder: Path, option: str = "--out") -> None:
    """Make the folder that an option names. Raises `TrainingError` where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{option} {folder} cannot be made: {error.strerror}") from error
