"""What a training run shows on its way: a bar at a terminal, lines in a log, events for TensorBoard.

Called by training/train, by the first of its processes; `Blind` is what the others have.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

LOG_SECONDS = 60.0
"""Between two lines where no bar is seen: a file, a journal, a batch system."""
EVENT_STEPS = 50
"""TensorBoard gets the mean loss of so many steps."""


class Blind:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def learned(self, step: int, loss: float) -> None:
        """After each step, counted from 1, with the loss of its batch."""

    def validated(self, step: int, scores: Mapping[str, float], *, best: bool) -> None:
        """After an epoch, with the Dice of each validation subset, and whether their mean is the best so far."""

    def say(self, line: str) -> None:
        """A line beside the bar."""


class Watch(Blind):
    """Shows a run of `steps` steps that goes on from step `start`; events are written under OUT/events."""

    def __init__(self, out: Path, *, start: int, steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._events = SummaryWriter(str(out / "events"), flush_secs=30)
        self._console = Console()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("train", total=steps, completed=start)
        self._steps = steps
        self._epoch: list[float] = []
        self._recent: list[float] = []
        self._clock = clock
        self._since = (clock(), start)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        self._events.close()

    def learned(self, step: int, loss: float) -> None:
        self._epoch.append(loss)
        self._recent.append(loss)
        mean = _mean(self._epoch)
        self._bar.update(self._task, completed=step, description=f"loss {mean:.3f}")
        if step % EVENT_STEPS == 0:
            self._tell(step)
        then, before = self._since
        passed = self._clock() - then
        if passed >= LOG_SECONDS:
            self._since = (then + passed, step)
            if not self._console.is_terminal:
                left = (self._steps - step) * passed / (step - before) / 60
                self.say(f"step {step} of {self._steps}: loss {mean:.3f}, {left:.0f} min left")

    def validated(self, step: int, scores: Mapping[str, float], *, best: bool) -> None:
        self._tell(step)
        for name, score in scores.items():
            self._events.add_scalar(f"validation/{name}", score, step)
        dice = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
        loss = f"loss {_mean(self._epoch):.3f}, " if self._epoch else ""  # none where a run goes on with this
        self.say(f"step {step}: {loss}validation Dice {dice}{' (best yet)' * best}")
        self._epoch.clear()
        self._since = (self._clock(), step)  # validating takes time and learns no step

    def _tell(self, step: int) -> None:
        """The loss since the last event."""
        if self._recent:
            self._events.add_scalar("loss", _mean(self._recent), step)
            self._recent.clear()

    def say(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)
