"""What the demo shows while it runs: one line a stage, with progress and seconds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from dicom_node.contract.messages import Progress as JobProgress


class DemoScreen:
    """A live list of stages; `with` it around the run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "DemoScreen":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @contextmanager
    def stage(self, name: str, seconds: dict[str, float]) -> Iterator[None]:
        """Show a stage while it runs, and note its seconds under its name."""
        self._task = self._progress.add_task(name, total=None, note="")
        start = time.monotonic()
        yield
        seconds[name] = time.monotonic() - start
        self._progress.update(self._task, total=1, completed=1, note="")

    def count(self, total: int) -> Callable[[], None]:
        """A function to call once for each of `total` things done in the present stage."""
        task = self._now()
        self._progress.update(task, total=total)
        return lambda: self._progress.advance(task)

    def show(self, progress: JobProgress) -> None:
        """Show where the worker is."""
        self._progress.update(self._now(), total=1, completed=progress.fraction, note=progress.stage)

    def _now(self) -> TaskID:
        if self._task is None:
            raise RuntimeError("no stage runs")
        return self._task
