"""Patients as the model sees them: a stack on the model's grid with the truth, from any data set or from a cache.

`python -m training.prepare` brings a data set onto the model's grid once, for training/train; training/evaluate reads
any layout directly. Co-registration and resampling are the worker's own code, so that
training, evaluation and serving see the same. Knows no network.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from dicom_node.contract.slots import SequenceSlot
from model.channels import SIZE_PX, SLICE_SPACING_MM, SPACING_MM
from training.cases import brainmetshare, challenge
from training.cases.case import Case, CaseError, load
from training.scores import Float32, Mask
from worker.volume.geometry import Float64, Grid, Volume
from worker.volume.resample import IDENTITY, model_grid, resample, to_model_grid, to_native
from worker.volume.stack import stack

KINDS = ("cache", "brainmetshare", "brainmetshare-png", "brats", "ucsf", "bids")
SEED = 20210222


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


def write_cache(patient: Patient, folder: Path) -> Path:
    """Write a patient as `load_cached` and training read it. Gives its folder."""
    target = folder / patient.name
    target.mkdir(parents=True, exist_ok=True)
    np.save(target / "stack.npy", patient.stack.astype(np.float16 if np.abs(patient.stack).max() < 6e4 else np.float32))
    np.save(target / "mask.npy", patient.truth_on_model_grid().astype(np.uint8))
    (target / "meta.json").write_text(json.dumps({"name": patient.name, "present": list(patient.present)}))
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit code 2 with one plain line where the data set cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m training.prepare",
        description="Bring a data set onto the model's grid, registered as in serving, for training.train.",
        epilog="example: python -m training.prepare --cases brainmetshare /data/mets --out patients",
    )
    parser.add_argument("--cases", nargs=2, metavar=("LAYOUT", "DIR"), required=True, help=f"one of {', '.join(KINDS)}")
    parser.add_argument("--post-gd", choices=["BRAVO", "POST_CUBE"], default="BRAVO", help="slot of post-Gd T1")
    parser.add_argument("--without-pre", action="store_true", help="leave pre-Gd T1 out")
    parser.add_argument("--out", type=Path, required=True, help="folder to write NAME/{stack,mask}.npy to")
    given = parser.parse_args(arguments)
    choice = challenge.SlotChoice(post=SequenceSlot(given.post_gd), use_pre=not given.without_pre)
    try:
        source = open_source(given.cases[0], Path(given.cases[1]), choice)
        for patient in track(source, description="prepare", total=len(source.names)):
            if patient.truth is not None:
                write_cache(patient, given.out)
    except CaseError as error:
        print(f"training.prepare: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
