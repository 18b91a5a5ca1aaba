"""Patients as the model sees them: a stack on the model's grid with the truth, from any data set or from a cache.

`python -m training.prepare` brings a data set onto the model's grid once, for training/train, without faces if asked;
training/evaluate reads any layout directly. Co-registration and resampling are the worker's own code, so that
training, evaluation and serving see the same. Knows no network.
"""

import argparse
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from dicom_node.contract.slots import REFERENCE_ORDER, SequenceSlot
from model.channels import SIZE_PX, SLICE_SPACING_MM, SPACING_MM
from training import out_folder
from training.cases import brainmetshare, challenge, layouts
from training.cases.case import Case, CaseError, load, without_empty
from training.cases.told import Told
from training.deface import DefacingError, without_face
from training.errors import TrainingError
from training.half_precision import to_float16
from training.scores import Float32, Mask
from worker.align import aligned_to
from worker.volume.geometry import Float64, Grid, Volume
from worker.volume.resample import IDENTITY, model_grid, resample, to_model_grid
from worker.volume.stack import stack

KINDS = layouts.KINDS
SAME_MM = 0.1
"""Grids that lie nearer to each other are one: what a set has brought onto one grid, it has registered."""
NOT_DEFACED, FACE_REMOVED, NO_FACE = "not asked for", "face removed", "no skull and so no face"
PART = ".part"
"""Where a patient lies while it is written: deeper than readers of patients look."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Patient:
    """One patient, ready for the model."""

    name: str
    subject: str
    """The person: several patients of a set may be one, examined again."""
    stack: Float32
    """(4, Z, 256, 256) raw intensities on the model's grid; absent sequences are zero."""
    present: tuple[bool, ...]
    grid: Grid
    truth: Mask | None
    """(Z, Y, X) on `truth_grid`."""
    truth_grid: Grid
    measured: Mask
    """(Z, Y, X) on `truth_grid`: where any sequence holds something."""
    to_truth: Float64 = field(default_factory=lambda: IDENTITY)
    """(4, 4): LPS mm of `grid` -> LPS mm of `truth_grid`, as the sequence was registered that the truth lies on."""
    left_out: Mapping[SequenceSlot, str] = field(default_factory=dict)
    """Sequences that are there and cannot be used, and why."""
    unread_labels: tuple[int, ...] = ()
    """Labels of the mask that are not taken as lesion, though nothing says that they are none."""
    defacing: str = NOT_DEFACED

    def on_truth(self, probability: Float32) -> Float32:
        """The model's probability (Z, 256, 256) on the grid of the truth."""
        if self.truth_grid is self.grid:
            return probability
        back = np.linalg.inv(self.to_truth)
        return resample(Volume(voxels=probability, grid=self.grid), self.truth_grid, back).voxels

    def truth_on_model_grid(self) -> Mask:
        """The truth as training wants it: (Z, 256, 256) on the model's grid."""
        if self.truth is None:
            raise CaseError(f"{self.name} has no truth")
        if self.truth_grid is self.grid:
            return self.truth
        drawn = Volume(voxels=self.truth.astype(np.float32), grid=self.truth_grid)
        return resample(drawn, self.grid, self.to_truth).voxels >= 0.5


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set: how many patients it has, and how to get each."""

    names: tuple[str, ...]
    get: Callable[[int], Patient]

    def __iter__(self) -> Iterator[Patient]:
        return (self.get(index) for index in range(len(self.names)))


def open_source(kind: str, root: Path, choice: challenge.SlotChoice | None = None) -> Source:
    """A data set by its layout (one of `KINDS`).

    Raises `CaseError` where nothing of it lies at `root`, or two patients there have one name.
    """
    source = _open(kind, root, choice)
    if twice := sorted(name for name, count in Counter(source.names).items() if count > 1):
        raise CaseError(
            f"{root}: two patients are called {', '.join(twice[:5])}, and the results of one would overwrite the "
            "other's: give their folders one by one, or rename one"
        )
    return source


def _open(kind: str, root: Path, choice: challenge.SlotChoice | None) -> Source:
    wanted = choice or challenge.SlotChoice()
    _check_kind(kind)
    if not root.is_dir():
        raise CaseError(f"{root}: there is no such folder")
    if kind == "cache":
        folders = sorted(path.parent for path in root.glob("*/stack.npy"))
        if not folders:
            raise CaseError(
                f"{root}: no */stack.npy: `python -m training.prepare` makes them from NIfTI or PNG, "
                "`python -m training.cohort cache` for synthetic patients"
            )
        return Source(names=tuple(f.name for f in folders), get=lambda index: load_cached(folders[index]))
    if kind == "brainmetshare-png":
        pngs = brainmetshare.list_png(root)
        names = tuple(png.name for png in pngs)
        return Source(names=names, get=lambda index: prepare(brainmetshare.load_png(pngs[index], wanted.labels)))
    listers = {
        "brainmetshare": lambda: brainmetshare.list_nifti(root, wanted.labels),
        "brats": lambda: challenge.list_brats(root, wanted),
        "ucsf": lambda: challenge.list_ucsf(root, wanted),
        "bids": lambda: challenge.list_bids(root, wanted),
    }
    files = listers[kind]()
    return Source(names=tuple(f.name for f in files), get=lambda index: prepare(load(files[index])))


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise CaseError(f"no layout {kind!r}; known: {', '.join(KINDS)}")


def load_cached(folder: Path) -> Patient:
    """A patient on the model's grid already: stack.npy (4, Z, 256, 256), mask.npy (Z, 256, 256), meta.json."""
    try:
        stacked = np.load(folder / "stack.npy", mmap_mode="r")
        mask = np.load(folder / "mask.npy")
        meta = json.loads((folder / "meta.json").read_text()) if (folder / "meta.json").exists() else {}
        _check_cached(stacked, mask, meta)
        raw = np.asarray(stacked, dtype=np.float32)
        if not np.isfinite(raw).all():
            raise ValueError("stack.npy has voxels that are no finite numbers")
        filled = [bool(one.any()) for one in raw]
        present = tuple(bool(flag) and here for flag, here in zip(meta.get("present", filled), filled, strict=True))
        if not any(present):
            raise ValueError("none of its sequences holds anything but zeros")
    except (OSError, ValueError, EOFError) as error:
        raise CaseError(f"{folder} is no cached patient: {error}") from error
    affine = np.diag([SPACING_MM, SPACING_MM, SLICE_SPACING_MM, 1.0])
    grid = Grid(shape_zyx=(raw.shape[1], SIZE_PX, SIZE_PX), affine=affine)
    return Patient(
        name=folder.name,
        subject=str(meta.get("subject", folder.name)),
        stack=raw,
        present=present,
        grid=grid,
        truth=mask > 0,
        truth_grid=grid,
        measured=(raw != 0).any(axis=0),
    )


def _check_cached(stacked: NDArray[Any], mask: NDArray[Any], meta: object) -> None:
    slots = len(SequenceSlot)
    if stacked.ndim != 4 or stacked.shape[0] != slots or stacked.shape[2:] != (SIZE_PX, SIZE_PX):
        raise ValueError(f"stack.npy is {stacked.shape}, ({slots}, Z, {SIZE_PX}, {SIZE_PX}) is needed")
    if mask.shape != stacked.shape[1:]:
        raise ValueError(f"mask.npy is {mask.shape}, the stack's {stacked.shape[1:]} is needed")
    flags = meta.get("present", [True] * slots) if isinstance(meta, dict) else None
    if not isinstance(flags, list) or len(flags) != slots:
        raise ValueError(f'meta.json is to hold an object; where it has "present", {slots} values')


def prepare(case: Case) -> Patient:
    """Bring a case onto the model's grid over its reference; sequences on other grids are registered first.

    A sequence that cannot be aligned is left out, as in serving. Raises `CaseError` where it is the one that the truth
    was drawn on.
    """
    grid = model_grid(case.volumes[case.reference])
    ways, unaligned = _ways(case)
    if case.truth is not None and case.truth_of in unaligned:
        reason = unaligned[case.truth_of]
        raise CaseError(f"{case.name}: its mask lies on {case.truth_of}, which cannot be aligned: {reason}")
    on_grid = {slot: to_model_grid(case.volumes[slot], grid, way) for slot, way in ways.items()}
    filled, empty = without_empty(case.name, on_grid)
    stacked, present = stack({slot: filled[slot] for slot in SequenceSlot if slot in filled})
    truth_grid = case.volumes[case.truth_of].grid
    measured = np.zeros(truth_grid.shape_zyx, dtype=bool)
    for volume in case.volumes.values():
        if volume.grid.same_as(truth_grid, SAME_MM):
            measured |= volume.voxels != 0
    return Patient(
        name=case.name,
        subject=case.subject,
        stack=stacked,
        present=present,
        grid=grid,
        truth=case.truth,
        truth_grid=truth_grid,
        measured=measured,
        to_truth=ways[case.truth_of],
        left_out={**case.left_out, **unaligned, **empty},
        unread_labels=case.unread_labels,
    )


def _ways(case: Case) -> tuple[dict[SequenceSlot, Float64], dict[SequenceSlot, str]]:
    """From LPS mm of the reference to those of each sequence (4, 4); and why others cannot be aligned."""
    fixed = case.volumes[case.reference]
    ways, unaligned = {}, {}
    for slot, volume in case.volumes.items():
        if volume.grid.same_as(fixed.grid, SAME_MM):
            ways[slot] = IDENTITY
            continue
        alignment, reason = aligned_to(fixed, volume)
        if reason:
            unaligned[slot] = reason
        else:
            ways[slot] = alignment.transform
    return ways, unaligned


def deface(patient: Patient) -> Patient:
    """Take the face out of every sequence at once: they lie on one grid. Raises `DefacingError` where it is not safe.

    A brain without its skull is left alone, and `defacing` says so.
    """
    slots = list(SequenceSlot)
    reference = next(slot for slot in REFERENCE_ORDER if patient.present[slots.index(slot)])
    volume = Volume(voxels=patient.stack[slots.index(reference)], grid=patient.grid)
    keep = without_face(
        volume, patient.truth_on_model_grid() if patient.truth is not None else np.zeros((), dtype=bool)
    )
    if keep is None:
        return replace(patient, defacing=NO_FACE)
    return replace(patient, stack=patient.stack * keep, defacing=FACE_REMOVED)


def write_cache(patient: Patient, folder: Path, site: str = "") -> Path:
    """Write a patient as `load_cached` and training read it, whole or not at all. Gives its folder.

    Raises `TrainingError` where it cannot be written.
    """
    target, part = folder / patient.name, folder / PART / patient.name
    about = {
        "name": patient.name,
        "subject": patient.subject,
        "site": site,
        "present": list(patient.present),
        "left_out": {str(slot): reason for slot, reason in patient.left_out.items()},
        "defacing": patient.defacing,
    }
    try:
        shutil.rmtree(part, ignore_errors=True)  # what a run that was killed left
        part.mkdir(parents=True)
        np.save(part / "stack.npy", to_float16(patient.stack, only_where_needed=True))
        np.save(part / "mask.npy", patient.truth_on_model_grid().astype(np.uint8))
        (part / "meta.json").write_text(json.dumps(about))
        _place(part, target)
    except OSError as error:
        why = error.strerror or error
        raise TrainingError(f"{target} cannot be written ({why}): make room there; repeat the same line") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):
            part.parent.rmdir()
    return target


def _place(part: Path, target: Path) -> None:
    """The stack goes first and comes last: without it nobody takes the folder for a patient. Other files stay."""
    target.mkdir(exist_ok=True)
    (target / "stack.npy").unlink(missing_ok=True)
    for name in ("mask.npy", "meta.json", "stack.npy"):
        (part / name).replace(target / name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit code 2 with one plain line where the data set cannot be read or has no truth at all; 3 where a
    patient cannot be read, or its face not be taken out: that patient is not written, the others are; 130 by Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training.prepare",
        description="Bring a data set onto the model's grid, registered as in serving, for training.train.",
        epilog=f"{layouts.TABLE}\n\n"
        "example: python -m training.prepare --cases brainmetshare /data/mets --out patients --deface",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", nargs=2, metavar=("LAYOUT", "DIR"), required=True, help=f"one of {', '.join(KINDS)}")
    parser.add_argument("--post-gd", choices=["BRAVO", "POST_CUBE"], default="BRAVO", help="slot of post-Gd T1")
    parser.add_argument("--without-pre", action="store_true", help="leave pre-Gd T1 out")
    parser.add_argument("--labels", type=challenge.label_list, metavar="LIST", help=challenge.LABELS_HELP)
    parser.add_argument("--deface", action="store_true", help=DEFACE_HELP)
    parser.add_argument("--site", default="", metavar="NAME", help="the hospital, for training.train --train-site")
    parser.add_argument("--out", type=Path, required=True, help="folder to write NAME/{stack,mask}.npy to")
    given = parser.parse_args(arguments)
    choice = challenge.SlotChoice(post=SequenceSlot(given.post_gd), use_pre=not given.without_pre, labels=given.labels)
    root, told = Path(given.cases[1]), Told()
    try:
        _check_kind(given.cases[0])
        _check_apart(root, [given.out])
        out_folder.make(given.out)
        source = open_source(given.cases[0], root, choice)
        _check_apart(root, [given.out / name for name in source.names])
        return _write_all(source, given, told)
    except (CaseError, TrainingError) as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        _say(f"broken off; {told.count()}, each whole; the same line writes all of them again")
        return 130


DEFACE_HELP = (
    "set the face to zero in every sequence: what lies in front of a slanted plane before and below the brain, as in "
    "`python -m training.prepare --cases bids /data/mets --out patients --deface`"
)


def _check_apart(root: Path, folders: Iterable[Path]) -> None:
    """Raises `TrainingError` where one of the folders to write to is the source or lies in it."""
    source = root.resolve()
    if any(source in (place, *place.parents) for place in (folder.resolve() for folder in folders)):
        raise TrainingError(f"--out would write into {root}, among the data it is made of: give a folder elsewhere")


def _write_all(source: Source, given: argparse.Namespace, told: Told) -> int:
    """Write every patient that has a truth; the exit code. Raises `CaseError` where none has."""
    sought = layouts.mask_sought(given.cases[0])
    for number in track(range(len(source.names)), description="prepare"):
        _write(source, number, given, told)
    if len(told.without_truth) == len(source.names):
        raise CaseError(f"{given.cases[1]}: no patient has a mask, nothing is written (looked for {sought})")
    for line in told.lines(sought):
        _say(line)
    return 3 if told.refused else 0


def _write(source: Source, number: int, given: argparse.Namespace, told: Told) -> None:
    """Write one patient that has a truth, and say why where it cannot be, and what it had to be left without."""
    name = source.names[number]
    try:
        patient = source.get(number)
        if patient.truth is None:
            told.without_truth.append(name)
            return
        patient = deface(patient) if given.deface else patient
    except (CaseError, DefacingError) as error:
        _say(f"{name} is not written: {error}")
        if (given.out / name / "stack.npy").exists():
            _say(f"{given.out / name} stands from an earlier run and would train: remove it where it may not")
        told.refused.append(name)
        return
    for slot, reason in patient.left_out.items():
        _say(f"{name} is written without {slot}: {reason}")
    if patient.defacing == NO_FACE:
        _say(f"{name} is left as it is: {NO_FACE}")
    told.unread |= set(patient.unread_labels)
    folder = write_cache(patient, given.out, given.site)
    told.written[name] = patient.present
    if not np.load(folder / "mask.npy").any():
        told.empty.append(name)


def _say(line: str) -> None:
    print(f"training.prepare: {line}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
