"""Patients as the model sees them: a stack on the model's grid with the truth, from any data set or from a cache.

`python -m training.prepare` brings a data set onto the model's grid once, for training/train, without faces if asked;
training/evaluate reads any layout directly. Co-registration and resampling are the worker's own code, so that
training, evaluation and serving see the same. Knows no network.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.progress import track

from dicom_node.contract.slots import REFERENCE_ORDER, SequenceSlot
from model.channels import SIZE_PX, SLICE_SPACING_MM, SPACING_MM
from training import out_folder
from training.cases import brainmetshare, challenge
from training.cases.case import Case, CaseError, load
from training.deface import DefacingError, without_face
from training.errors import TrainingError
from training.half_precision import to_float16
from training.scores import Float32, Mask
from worker.volume.geometry import Float64, Grid, Volume
from worker.volume.resample import IDENTITY, model_grid, resample, to_model_grid, to_native
from worker.volume.stack import stack

KINDS = ("cache", "brainmetshare", "brainmetshare-png", "brats", "ucsf", "bids")
SEED = 20210222
NOT_DEFACED, FACE_REMOVED, NO_FACE = "not asked for", "face removed", "no skull and so no face"


@dataclass(frozen=True, kw_only=True, eq=False)
class Patient:
    """One patient, ready for the model."""

    name: str
    stack: Float32
    """(4, Z, 256, 256) raw intensities on the model's grid; absent sequences are zero."""
    present: tuple[bool, ...]
    grid: Grid
    truth: Mask | None
    """(Z, Y, X) on `truth_grid`."""
    truth_grid: Grid
    measured: Mask
    """(Z, Y, X) on `truth_grid`: where any sequence holds something."""
    defacing: str = NOT_DEFACED

    def on_truth(self, probability: Float32) -> Float32:
        """The model's probability (Z, 256, 256) on the grid of the truth."""
        if self.truth_grid is self.grid:
            return probability
        return to_native(Volume(voxels=probability, grid=self.grid), self.truth_grid).voxels

    def truth_on_model_grid(self) -> Mask:
        """The truth as training wants it: (Z, 256, 256) on the model's grid."""
        if self.truth is None:
            raise CaseError(f"{self.name} has no truth")
        if self.truth_grid is self.grid:
            return self.truth
        return resample(Volume(voxels=self.truth.astype(np.float32), grid=self.truth_grid), self.grid).voxels >= 0.5


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set: how many patients it has, and how to get each."""

    names: tuple[str, ...]
    get: Callable[[int], Patient]

    def __iter__(self) -> Iterator[Patient]:
        return (self.get(index) for index in range(len(self.names)))


def open_source(kind: str, root: Path, choice: challenge.SlotChoice | None = None) -> Source:
    """A data set by its layout (one of `KINDS`). Raises `CaseError` where nothing of it lies at `root`."""
    wanted = choice or challenge.SlotChoice()
    if kind == "cache":
        folders = sorted(path.parent for path in root.glob("*/stack.npy"))
        if not folders:
            raise CaseError(f"{root}: no */stack.npy; make some with `python -m training.cohort cache --help`")
        return Source(names=tuple(f.name for f in folders), get=lambda index: load_cached(folders[index]))
    if kind == "brainmetshare-png":
        pngs = brainmetshare.list_png(root)
        names = tuple(png.name for png in pngs)
        return Source(names=names, get=lambda index: prepare(brainmetshare.load_png(pngs[index])))
    listers = {
        "brainmetshare": lambda: brainmetshare.list_nifti(root),
        "brats": lambda: challenge.list_brats(root, wanted),
        "ucsf": lambda: challenge.list_ucsf(root, wanted),
        "bids": lambda: challenge.list_bids(root, wanted),
    }
    if kind not in listers:
        raise CaseError(f"no layout {kind!r}; known: {', '.join(KINDS)}")
    files = listers[kind]()
    return Source(names=tuple(f.name for f in files), get=lambda index: prepare(load(files[index])))


def load_cached(folder: Path) -> Patient:
    """A patient on the model's grid already: stack.npy (4, Z, 256, 256), mask.npy (Z, 256, 256), meta.json."""
    try:
        stacked = np.load(folder / "stack.npy", mmap_mode="r")
        truth = np.load(folder / "mask.npy") > 0
        meta = json.loads((folder / "meta.json").read_text()) if (folder / "meta.json").exists() else {}
    except (OSError, ValueError) as error:
        raise CaseError(f"{folder} is no cached patient: {error}") from error
    raw = np.asarray(stacked, dtype=np.float32)
    present = tuple(bool(flag) for flag in meta.get("present", [bool(one.any()) for one in raw]))
    affine = np.diag([SPACING_MM, SPACING_MM, SLICE_SPACING_MM, 1.0])
    grid = Grid(shape_zyx=(raw.shape[1], SIZE_PX, SIZE_PX), affine=affine)
    measured = (raw != 0).any(axis=0)
    return Patient(
        name=folder.name, stack=raw, present=present, grid=grid, truth=truth, truth_grid=grid, measured=measured
    )


def prepare(case: Case) -> Patient:
    """Bring a case onto the model's grid over its reference; sequences on other grids are registered first.

    A sequence that cannot be aligned is left out, as in serving.
    """
    fixed = case.volumes[case.reference]
    grid = model_grid(fixed)
    on_grid = {case.reference: to_model_grid(fixed, grid)}
    for slot, volume in case.volumes.items():
        if slot == case.reference:
            continue
        transform = IDENTITY if volume.grid.same_as(fixed.grid, 0.1) else _registered(fixed, volume)
        if transform is not None:
            on_grid[slot] = to_model_grid(volume, grid, transform)
    stacked, present = stack({slot: on_grid[slot] for slot in SequenceSlot if slot in on_grid})
    truth_volume = case.volumes[case.truth_of]
    measured = np.zeros(truth_volume.grid.shape_zyx, dtype=bool)
    for volume in case.volumes.values():
        if volume.grid.same_as(truth_volume.grid, 0.1):
            measured |= volume.voxels != 0
    return Patient(
        name=case.name,
        stack=stacked,
        present=present,
        grid=grid,
        truth=case.truth,
        truth_grid=truth_volume.grid,
        measured=measured,
    )


def _registered(fixed: Volume, moving: Volume) -> Float64 | None:
    from worker.volume.register import register
    from worker.volume.trust import check

    alignment = register(fixed, moving, seed=SEED)
    return None if check(fixed, moving, alignment) else alignment.transform


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


def write_cache(patient: Patient, folder: Path) -> Path:
    """Write a patient as `load_cached` and training read it. Gives its folder."""
    target = folder / patient.name
    target.mkdir(parents=True, exist_ok=True)
    np.save(target / "stack.npy", to_float16(patient.stack, only_where_needed=True))
    np.save(target / "mask.npy", patient.truth_on_model_grid().astype(np.uint8))
    about = {"name": patient.name, "present": list(patient.present), "defacing": patient.defacing}
    (target / "meta.json").write_text(json.dumps(about))
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit code 2 with one plain line where the data set cannot be read; 3 where all could be read, but a
    face could not be taken out: that patient is not written, the others are.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training.prepare",
        description="Bring a data set onto the model's grid, registered as in serving, for training.train.",
        epilog="example: python -m training.prepare --cases brainmetshare /data/mets --out patients --deface",
    )
    parser.add_argument("--cases", nargs=2, metavar=("LAYOUT", "DIR"), required=True, help=f"one of {', '.join(KINDS)}")
    parser.add_argument("--post-gd", choices=["BRAVO", "POST_CUBE"], default="BRAVO", help="slot of post-Gd T1")
    parser.add_argument("--without-pre", action="store_true", help="leave pre-Gd T1 out")
    parser.add_argument("--deface", action="store_true", help=DEFACE_HELP)
    parser.add_argument("--out", type=Path, required=True, help="folder to write NAME/{stack,mask}.npy to")
    given = parser.parse_args(arguments)
    choice = challenge.SlotChoice(post=SequenceSlot(given.post_gd), use_pre=not given.without_pre)
    try:
        out_folder.make(given.out)
        source = open_source(given.cases[0], Path(given.cases[1]), choice)
        patients = track(source, description="prepare", total=len(source.names))
        refused = [patient.name for patient in patients if not _written(patient, given.out, faceless=given.deface)]
    except (CaseError, TrainingError) as error:
        _say(str(error))
        return 2
    return 3 if refused else 0


DEFACE_HELP = (
    "set the face to zero in every sequence: what lies in front of a slanted plane before and below the brain, as in "
    "`python -m training.prepare --cases bids /data/mets --out patients --deface`"
)


def _written(patient: Patient, folder: Path, *, faceless: bool) -> bool:
    """Write a patient that has a truth. False, and a line that says why, where the face cannot be taken out."""
    if patient.truth is None:
        return True
    try:
        patient = deface(patient) if faceless else patient
    except DefacingError as error:
        _say(f"{patient.name} is not written: {error}")
        return False
    if patient.defacing == NO_FACE:
        _say(f"{patient.name} is left as it is: {NO_FACE}")
    write_cache(patient, folder)
    return True


def _say(line: str) -> None:
    print(f"training.prepare: {line}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
