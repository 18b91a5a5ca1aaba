"""Many patients at a time, one process each, with a progress bar.

Called by training/cohort/__main__. Lives in a module of its own: a spawned process imports a function by the name of
its module, and what stands in a `__main__` has none.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import SimpleITK as sitk
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from training.cohort.patient import Options
from training.cohort.protocol import Site
from training.errors import TrainingError

Writer = Callable[[Path, int, Site, Options], Path]


def run(writer: Writer, work: Iterable[tuple[Path, int]], site: Site, options: Options, jobs: int) -> None:
    """Write every (folder, seed), `jobs` at a time. The first failure ends the run: what has not begun is not.

    Raises `TrainingError` where a process was killed.
    """
    todo = list(work)
    columns = (TextColumn("patients"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("patients", total=len(todo))
        if jobs == 1:
            for folder, seed in todo:
                writer(folder, seed, site, options)
                progress.advance(bar)
            return
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
            try:
                for future in as_completed([pool.submit(writer, folder, seed, site, options) for folder, seed in todo]):
                    future.result()
                    progress.advance(bar)
            except BrokenProcessPool as error:
                raise TrainingError(
                    "a process was killed, as happens for want of memory: take fewer --jobs; the same line goes on"
                ) from error
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _one_thread() -> None:
    """Processes are the parallelism: one thread each."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
