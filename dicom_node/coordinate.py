"""One step of the coordinator: studies that have settled, jobs that are owed, results to deliver, old studies.

`quartet coordinate` and serve.py call `step` again and again; the loop, its pause and its stop are theirs. Everything
that is known stands in the catalog and in the job folders, so a step may be killed anywhere, and two coordinators on
one catalog are harmless. A part that fails is logged and does not stop the others.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from dicom_node.catalog import retention
from dicom_node.errors import NodeError
from dicom_node.jobs.dispatch import Dispatcher
from dicom_node.study.lifecycle import Lifecycle

log = logging.getLogger(__name__)

CLEANING_PAUSE = timedelta(minutes=10)
"""Between two looks for old studies."""


@dataclass(slots=True)
class Coordinator:
    """Joins the parts that act on the catalog by themselves."""

    lifecycle: Lifecycle
    dispatcher: Dispatcher
    deliver: Callable[[datetime], object]
    """Sends what is due. A PACS that hangs would hold up the others: where that matters, pass a function that does
    nothing here and deliver from a loop of its own."""
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
