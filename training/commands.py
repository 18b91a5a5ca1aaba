"""The commands of training as a user would start them: one with its own bar, or several side by side.

Called by training/reproduce. Knows processes and lines, nothing of what the commands do.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

GRACE_S = 5.0
"""After Ctrl-C a terminal has told the commands as well, `kill` or a batch system only us: when they are told again."""
PATIENCE_S = 60.0
"""How long they may then take to end by themselves."""
Command = subprocess.Popen[str]


def run(module: str, arguments: Sequence[str]) -> int:
    """Run `python -m module` to its end, with this process's terminal; gives its exit code.

    After Ctrl-C or SIGTERM it ends by itself, or is ended, and KeyboardInterrupt goes on.
    """
    started = _start(module, arguments)
    try:
        with _terminable():
            return started.wait()
    finally:
        _end([started])


def run_abreast(module: str, arguments: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Run the same module side by side, each to its end; gives the exit codes by the names of `arguments`.

    What a command writes to either of its streams comes out here line by line, after its name. One that fails does not
    end the others. Ctrl-C as for `run`.
    """
    running: dict[str, Command] = {}
    readers: list[threading.Thread] = []
    piped = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        with _terminable():
            for name, given in arguments.items():
                running[name] = _start(module, given, env={**os.environ, "PYTHONUNBUFFERED": "1"}, **piped)
                readers.append(threading.Thread(target=_show, args=(name, running[name].stdout)))
                readers[-1].start()
            return {name: started.wait() for name, started in running.items()}
    finally:
        _end(running.values())
        for reader in readers:
            reader.join()


def _start(module: str, arguments: Sequence[str], **options: Any) -> Command:
    return subprocess.Popen([sys.executable, "-m", module, *arguments], text=True, errors="replace", **options)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM is as Ctrl-C: else the commands would run on without us, and the same line beside them."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(running: Collection[Command]) -> None:
    """Let commands end by themselves, tell them once more, and end those that do not."""
    for seconds, then in ((GRACE_S, signal.SIGINT), (PATIENCE_S, signal.SIGKILL)):
        until = time.monotonic() + seconds
        for started in running:
            try:
                started.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                started.send_signal(then)
    for started in running:
        started.wait()


def _show(name: str, lines: IO[str] | None) -> None:
    assert lines is not None
    with lines:
        for line in lines:
            sys.stdout.write(f"{name}: {line}")
            sys.stdout.flush()
