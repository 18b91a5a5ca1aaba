"""Whether a patient stands in its folder already, so that a run that was broken off goes on.

Called by cache.py, write_nifti.py and write_dicom.py: the file that tells of the patient is written last, and whole.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.cohort.anatomy import ONE_HEAD, anatomy_files
from training.cohort.patient import Options
from training.cohort.protocol import Site
from training.errors import TrainingError


def is_whole(about: Path, seed: int, site: Site, options: Options) -> bool:
    """Whether `about` (JSON with seed, site and source) is there and undamaged.

    Raises `TrainingError` where it tells of another seed, site or anatomy: the folder is that patient's.
    """
    told = read_about(about)
    if told is None:
        return False
    heads = [path.name for path in anatomy_files(options.anatomy)] or [ONE_HEAD]
    found = told.get("seed", seed), told.get("site", site), told.get("source", heads[0])
    if found[:2] != (seed, str(site)) or found[2] not in heads:
        raise TrainingError(
            f"{about.parent} holds another patient (seed {found[0]}, site {found[1]}, head {found[2]}) than seed "
            f"{seed} of site {site} with this anatomy: give another --out, or remove it"
        )
    return True


def read_about(about: Path) -> dict[str, Any] | None:
    """What the file tells; None where there is none, or one that was cut off. Raises `TrainingError` if unreadable."""
    try:
        told = json.loads(about.read_text())
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise TrainingError(f"{about} cannot be read ({error}): remove the folder") from error
    return told if isinstance(told, dict) else None


def clear(about: Path, others: Iterable[Path]) -> None:
    """Make the folder of a patient that is not whole, without what a run that was broken off left of our files.

    Raises `TrainingError` where files of these names stand in a folder that no run of ours began: they are another's.
    """
    about.parent.mkdir(parents=True, exist_ok=True)
    standing = [path for path in others if path.exists()]
    if standing and not (about.exists() or _part(about).exists()):
        raise TrainingError(
            f"{about.parent} holds {standing[0].name}, which is of no run of this command: give another --out"
        )
    _part(about).touch()
    for path in (about, *standing):
        path.unlink(missing_ok=True)


def write_about(about: Path, told: Mapping[str, Any]) -> None:
    """Write the file that makes the patient whole: beside its name first, as what bears it must never be a part."""
    with writing(about):
        _part(about).write_text(json.dumps(told, indent=1))
        _part(about).rename(about)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """`TrainingError` with the file's name where it cannot be written: numpy and gzip tell no name of a full disk."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise TrainingError(f"{path} cannot be written ({why}): make room there; the same line goes on") from error


def _part(about: Path) -> Path:
    return about.with_name(f"{about.name}.part")
