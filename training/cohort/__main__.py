"""`python -m training.cohort`: make synthetic patients, in parallel, with a progress bar."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.contract.slots import SequenceSlot
from training import out_folder
from training.cohort.anatomy import check_maps
from training.cohort.cache import write_cached
from training.cohort.crew import run
from training.cohort.patient import Options
from training.cohort.pictures import require_page, write_pictures
from training.cohort.protocol import Site
from training.cohort.write_dicom import write_dicom
from training.cohort.write_nifti import write_nifti
from training.errors import TrainingError

app = typer.Typer(
    help="Synthetic patients with brain metastases. Research use only.\n\n"
    "Example: python -m training.cohort cache --out patients --patients 20 --anatomy maps (SynthSeg's label maps, or "
    "any with FreeSurfer's labels)",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Out = Annotated[Path, typer.Option(help="Folder to write to.")]
Page = Annotated[Path, typer.Option(help="File to write, .png or .pdf.")]
Patients = Annotated[int, typer.Option(min=1, help="How many patients.")]
Where = Annotated[Site, typer.Option(help="A: four sequences; B: no BRAVO; randomised: wide contrasts for training.")]
Seed = Annotated[int, typer.Option(min=0, help="First seed; patient n has seed + n.")]
Anatomy = Annotated[Path | None, typer.Option(help="Folder of label maps; without it nilearn's MNI head.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes.")]
Without = Annotated[list[SequenceSlot] | None, typer.Option(help="Leave a slot out; may be repeated.")]
Lesions = Annotated[int | None, typer.Option(min=0, help="Metastases a patient at most; default: the cohort's.")]


@app.command()
def nifti(
    out: Out, patients: Patients = 10, site: Where = Site.A, seed: Seed = 1, anatomy: Anatomy = None, jobs: Jobs = 2
) -> None:
    """Co-registered NIfTI in the layout of BrainMetShare.

    Example: python -m training.cohort nifti --out cohort/train --patients 100 --site A --anatomy maps
    """
    _prepare(out, anatomy)
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
    _prepare(out, anatomy)
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
    _prepare(out, anatomy)
    options = Options(anatomy=anatomy, without=tuple(without or ()), lesions=lesions)
    write_dicom(out, seed, site, options, shared_frame)


@app.command()
def pictures(out: Page, patients: Patients = 10, site: Where = Site.A, seed: Seed = 1, anatomy: Anatomy = None) -> None:
    """A page of patients to look at.

    Example: python -m training.cohort pictures --out page.png --patients 10 --site randomised
    """
    require_page(out)
    _prepare(out.parent, anatomy)
    write_pictures(out, list(range(seed, seed + patients)), site, Options(anatomy=anatomy))


def _prepare(out: Path, anatomy: Path | None) -> None:
    """Make the folder, and look at the label maps: what cannot be used is told before the first patient."""
    out_folder.make(out)
    check_maps(anatomy)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit code 2 with one plain line where options, anatomy or the folder cannot be used."""
    try:
        app(arguments)
    except (TrainingError, OSError) as error:
        print(f"training.cohort: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
