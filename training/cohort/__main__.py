"""`python -m training.cohort`: make synthetic patients, in parallel, with a progress bar."""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import SimpleITK as sitk
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dicom_node.contract.slots import SequenceSlot
from training.cohort.cache import write_cached
from training.cohort.patient import Options
from training.cohort.pictures import write_pictures
from training.cohort.protocol import Site
from training.cohort.write_dicom import write_dicom
from training.cohort.write_nifti import write_nifti

app = typer.Typer(
    help="Synthetic patients with brain metastases. Research use only.", no_args_is_help=True, add_completion=False
)

Out = Annotated[Path, typer.Option(help="Folder to write to.")]
Patients = Annotated[int, typer.Option(min=1, help="How many patients.")]
Where = Annotated[Site, typer.Option(help="A: four sequences; B: no BRAVO; randomised: wide contrasts for training.")]
Seed = Annotated[int, typer.Option(help="First seed; patient n has seed + n.")]
Anatomy = Annotated[Path | None, typer.Option(help="Folder of label maps; without it nilearn's MNI head.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes.")]
Without = Annotated[list[SequenceSlot] | None, typer.Option(help="Leave a slot out; may be repeated.")]
Lesions = Annotated[int | None, typer.Option(help="Metastases a patient; default: as the cohort has them.")]


@app.command()
def nifti(
    out: Out, patients: Patients = 10, site: Where = Site.A, seed: Seed = 1, anatomy: Anatomy = None, jobs: Jobs = 2
) -> None:
    """Co-registered NIfTI in the layout of BrainMetShare.

    Example: python -m training.cohort nifti --out cohort/train --patients 100 --site A --anatomy ../shared/data/anatomy
    """
    options = Options(anatomy=anatomy, skull_stripping=True)
    run(write_nifti, ((out / f"Mets_{n + 1:03d}", seed + n) for n in range(patients)), site, options, jobs)


@app.command()
def cache(
    out: Out,
    patients: Patients = 10,
    site: Where = Site.RANDOMISED,
    seed: Seed = 1,
    anatomy: Anatomy = None,
    jobs: Jobs = 2,
) -> None:
    """Memory-mappable arrays on the model's grid (training/cohort/cache.py says which).

    Example: python -m training.cohort cache --out /tmp/cohort/train --patients 60 --site randomised --jobs 2
    """
    run(write_cached, ((out / f"{n:04d}", seed + n) for n in range(patients)), site, Options(anatomy=anatomy), jobs)


@app.command()
def dicom(
    out: Out,
    seed: Seed = 1,
    site: Where = Site.A,
    without: Without = None,
    lesions: Lesions = None,
    anatomy: Anatomy = None,
    shared_frame: Annotated[
        bool, typer.Option(help="One frame of reference for all series, as in one session.")
    ] = True,
) -> None:
    """One study as DICOM files, with planted.json beside them.

    Example: python -m training.cohort dicom --out study --seed 1 --without BRAVO
    """
    options = Options(anatomy=anatomy, without=tuple(without or ()), lesions=lesions)
    write_dicom(out, seed, site, options, shared_frame)


@app.command()
def pictures(out: Out, patients: Patients = 10, site: Where = Site.A, seed: Seed = 1, anatomy: Anatomy = None) -> None:
    """A page of patients to look at.

    Example: python -m training.cohort pictures --out page.png --patients 10 --site randomised
    """
    write_pictures(out, list(range(seed, seed + patients)), site, Options(anatomy=anatomy))


Writer = Callable[[Path, int, Site, Options], Path]


def run(writer: Writer, work: Iterable[tuple[Path, int]], site: Site, options: Options, jobs: int) -> None:
    """Write every (folder, seed), `jobs` at a time. The first failure ends the run with its traceback."""
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
            call = partial(_write, writer, site, options)
            for future in as_completed([pool.submit(call, folder, seed) for folder, seed in todo]):
                future.result()
                progress.advance(bar)


def _write(writer: Writer, site: Site, options: Options, folder: Path, seed: int) -> Path:
    return writer(folder, seed, site, options)


def _one_thread() -> None:
    """Processes are the parallelism: one thread each."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


if __name__ == "__main__":
    app()
