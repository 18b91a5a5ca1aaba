"""One step of the coordinator: studies that have settled, jobs that are owed, results to deliver, old studies.

`run` is `quartet coordinate`: it calls `step` again and again, and the courier in a thread of its own, so that a PACS
that hangs holds up no study. Everything that is known stands in the catalog and in the job folders, so a step may be
killed anywhere, and two coordinators on one catalog are harmless. A part that fails is logged and does not stop the
others.
"""

import logging
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from dicom_node import wiring
from dicom_node.catalog import retention
from dicom_node.errors import NodeError
from dicom_node.jobs.dispatch import Dispatcher
from dicom_node.settings import Settings
from dicom_node.study.lifecycle import Lifecycle

log = logging.getLogger(__name__)

ROUND_S = 0.5
"""Between two steps."""
PAUSE_AFTER_FAULT_S = 5.0
CLEANING_PAUSE = timedelta(minutes=10)
"""Between two looks for old studies."""


@dataclass(slots=True)
class Coordinator:
    """Joins the parts that act on the catalog by themselves."""

    lifecycle: Lifecycle
    dispatcher: Dispatcher
    deliver: Callable[[datetime], object]
    """Sends what is due. `run` does so in a thread of its own and passes a function that does nothing."""
    storage_root: Path
    keep_days: float | None
    _next_cleaning: datetime | None = field(default=None)

    def step(self, now: datetime) -> bool:
        """Do all that is due at `now` (aware). False where a part failed; its fault is in the log."""
        parts: tuple[tuple[str, Callable[[datetime], object]], ...] = (
            ("studies", self.lifecycle.complete_settled),
            ("jobs", self.dispatcher.dispatch),
            ("deliveries", self.deliver),
            ("old studies", self._clean),
        )
        went_well = [_run(name, part, now) for name, part in parts]  # each runs, whatever became of the others
        return all(went_well)

    def _clean(self, now: datetime) -> None:
        if self._next_cleaning is None or not timedelta(0) <= self._next_cleaning - now <= CLEANING_PAUSE:
            self._next_cleaning = now + CLEANING_PAUSE
            retention.remove_expired(self.lifecycle.database, self.storage_root, now, self.keep_days)


def _run(name: str, part: Callable[[datetime], object], now: datetime) -> bool:
    try:
        part(now)
    except NodeError as fault:
        log.error("A part of the step failed; it is tried again.", extra={"part": name, "reason": str(fault)})
        return False
    except Exception:
        log.exception("A part of the step failed; it is tried again.", extra={"part": name})
        return False
    return True


def run(settings: Settings) -> None:
    """Coordinate until SIGTERM or SIGINT; the step and the sending in hand are finished first."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    wiring.open_store(settings)
    database = wiring.open_database(settings)
    courier = wiring.make_courier(settings, database)
    coordinator = Coordinator(
        lifecycle=wiring.make_lifecycle(settings, database),
        dispatcher=wiring.make_dispatcher(settings, database),
        deliver=lambda _: None,
        storage_root=settings.storage.root,
        keep_days=settings.storage.keep_days,
    )
    log.info("The coordinator runs.", extra={"destinations": len(settings.destinations)})
    sending = threading.Thread(
        target=_loop, args=(lambda now: _run("deliveries", lambda _: courier.deliver_due(), now), stop), name="courier"
    )
    sending.start()
    _loop(coordinator.step, stop)
    sending.join()
    database.close()


def _loop(step: Callable[[datetime], bool], stop: threading.Event) -> None:
    while not stop.is_set():
        went_well = step(wiring.now())
        stop.wait(ROUND_S if went_well else PAUSE_AFTER_FAULT_S)
