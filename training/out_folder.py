"""The folder that a command of training writes to: made before the work begins, not found wanting after hours of it.

And its files, each whole or as it was.
"""

import contextlib
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


def write_whole(path: Path, content: bytes) -> None:
    """Write a file of a report, or leave it as it was. Raises `OSError` that names it: a full disk names none."""
    draft = path.with_name(path.name + ".new")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Write a file whole, or leave it as it was. Raises `OSError` that names it."""
    write_whole(path, text.encode())


def unusable(error: OSError, out: Path) -> str:
    """What a command says of a file that could not be read or written, and what to do."""
    reason = f"{error.filename or out} cannot be read or written ({error.strerror or error})"
    return f"{reason}: make room there or mend its rights, and give the same line again"
