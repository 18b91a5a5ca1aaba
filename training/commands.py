"""The commands of training as a user would start them: one with its own bar, or several side by side.

Called by training/reproduce. Knows processes and lines, nothing of what the commands do.
"""

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO

PATIENCE_S = 60.0
"""After Ctrl-C, which the commands got as well: how long they may take to end by themselves."""


def run(module: str, arguments: Sequence[str]) -> int:
    """Run `python -m module` to its end, with this process's terminal; gives its exit code."""
    with subprocess.Popen(_line(module, arguments)) as started:
        return _code(started)


def run_abreast(module: str, arguments: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Run the same module side by side, each to its end; gives the exit codes by the names of `arguments`.

    What a command writes to either of its streams comes out here line by line, after its name. One that fails does not
    end the others.
    """
    running = {
        name: subprocess.Popen(
            _line(module, given),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        for name, given in arguments.items()
    }
    readers = [threading.Thread(target=_show, args=(name, started.stdout)) for name, started in running.items()]
    for reader in readers:
        reader.start()
    try:
        return {name: _code(started) for name, started in running.items()}
    finally:
        for started in running.values():
            _end(started)
        for reader in readers:
            reader.join()


def _line(module: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _code(started: subprocess.Popen[str] | subprocess.Popen[bytes]) -> int:
    """Wait for the exit code. After Ctrl-C for the end as well, then KeyboardInterrupt goes on."""
    try:
        return started.wait()
    except KeyboardInterrupt:
        _end(started)
        raise


def _end(started: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Let a command end by itself, or end it."""
    try:
        started.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()


def _show(name: str, lines: IO[str] | None) -> None:
    assert lines is not None
    with lines:
        for line in lines:
            sys.stdout.write(f"{name}: {line}")
            sys.stdout.flush()
