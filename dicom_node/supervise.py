"""Keeps child processes alive: starts them, restarts those that die, drains and stops all at the end.

Used by serve.py. It knows nothing of DICOM. A child that exits with `UNUSABLE` (a configuration that no restart mends)
ends the whole with that code; any other death is answered by a restart after a growing pause.
"""

import ctypes
import logging
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event

from dicom_node.errors import NodeError

log = logging.getLogger(__name__)

UNUSABLE = 2
"""Exit code of a process whose configuration cannot be used."""
LONGEST_PAUSE_S = 30.0
SETTLED_S = 60.0
"""A child that lived so long starts afresh at the shortest pause."""
RETRY_PAUSE_S = 1.0
"""Before the broker is tried again."""
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Child:
    """One process to keep: `command` is run with `environment`."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restarts: int = 0
    due_at: float = 0.0

    def start(self, now: float) -> None:
        # The kernel ends the child with us, even where we are killed without a chance to say so.
        self.process = subprocess.Popen(self.command, env=dict(self.environment), preexec_fn=_die_with_parent)  # noqa: PLW1509
        self.started_at = now
        log.info("Started a part of the node.", extra={"part": self.name, "pid": self.process.pid})

    def pause_s(self) -> float:
        """How long to wait before the next restart: 1 s, doubled each time."""
        pause: float = min(LONGEST_PAUSE_S, 2.0 ** min(self.restarts, 10))
        return pause


@dataclass(slots=True)
class Supervisor:
    """Runs children until `stop` is set; `also` is called once a round (the broker's own check)."""

    children: Sequence[Child]
    stop: Event
    also: Callable[[], object] = lambda: None
    clock: Callable[[], float] = time.monotonic
    exit_code: int = field(default=0)

    def run(self, *, drain_s: float) -> int:
        """Block until stopped. Gives 0, or `UNUSABLE` where a child cannot be used as configured."""
        for child in self.children:
            child.start(self.clock())
        while not self.stop.wait(0.2):
            self._look_after()
            self.round()
        self._drain(drain_s)
        return self.exit_code

    def _look_after(self) -> None:
        """A broker that does not come back at once is tried again: the node owes nothing to it."""
        try:
            self.also()
        except NodeError as error:
            if not error.retryable:
                raise
            log.warning("The broker does not come back yet; another try follows.", extra={"why": str(error)[:200]})
            self.stop.wait(RETRY_PAUSE_S)

    def round(self) -> None:
        """Look at every child once, and restart what is dead and due."""
        now = self.clock()
        for child in self.children:
            if child.process is None:
                if now >= child.due_at:
                    child.start(now)
            elif (code := child.process.poll()) is not None:
                self._bury(child, code, now)

    def _bury(self, child: Child, code: int, now: float) -> None:
        child.process = None
        if code == UNUSABLE:
            log.error("A part of the node cannot be used as configured; stopping.", extra={"part": child.name})
            self.exit_code = UNUSABLE
            self.stop.set()
            return
        child.restarts = 0 if now - child.started_at > SETTLED_S else child.restarts + 1
        child.due_at = now + (child.pause_s() if child.restarts > 1 else 0.0)
        log.warning("A part of the node died and comes back.", extra={"part": child.name, "exit_code": code})

    def _drain(self, drain_s: float) -> None:
        alive = [(child.name, child.process) for child in self.children if child.process is not None]
        for _, process in alive:
            process.send_signal(signal.SIGTERM)
        deadline = self.clock() + drain_s
        for name, process in alive:
            try:
                process.wait(max(0.0, deadline - self.clock()))
            except subprocess.TimeoutExpired:
                log.warning("A part of the node did not drain in time and is ended.", extra={"part": name})
                process.kill()
                process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
