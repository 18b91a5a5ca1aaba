"""Ctrl-C in a long run: it ends with a line that says what stands, not with a trace.

Called by training/train. The state is written whole or not at all (training/step), so nothing has to be saved here.
"""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Batch = TypeVar("Batch")
INTERRUPTED = 130
"""The exit code, as shells give it: 128 + SIGINT."""


class Interruption:
    """SIGINT of this process, and not of those forked from it: KeyboardInterrupt, at once or when it does no harm."""

    def __init__(self) -> None:
        self.asked = False
        """Why the run ended, whatever came out: where it is broken off, or its peers are, torch may fail in turn."""
        self._waits = False
        self._process = os.getpid()

    def stop(self, *_: object) -> None:
        """The handler. A second SIGINT does not wait."""
        if os.getpid() != self._process:
            return
        again, self.asked = self.asked, True
        if again or not self._waits:
            raise KeyboardInterrupt

    def between(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, with SIGINT waiting while one is fetched.

        A DataLoader forks for the first and ends its processes after the last. A KeyboardInterrupt there gets lost:
        Python prints it, as of any hook of a fork and any `__del__`, and goes on.
        """
        self._waits = True
        try:
            for batch in batches:
                self._waits = False
                self.heed()
                yield batch
                self._waits = True
        finally:
            self._waits = False
        self.heed()

    def heed(self) -> None:
        """Raise KeyboardInterrupt where it waited or got lost."""
        if self.asked:
            raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Take SIGINT from whoever had it, and give it back."""
    interruption = Interruption()
    before = signal.signal(signal.SIGINT, interruption.stop)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)


def ignore(_: int = 0) -> None:
    """SIGINT does nothing from now on: at the end of a run, and in a worker of a DataLoader, which its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
