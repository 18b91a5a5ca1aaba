"""BrainMetShare (Stanford; the paper's Hospital A), as downloaded: PNG slices or NIfTI.

PNG: `Mets_XXX/{0,1,2,3,seg}/*.png`: 0 BRAVO, 1 T1 pre FSE, 2 T1 post FSE, 3 FLAIR; 256 x 256, 8 bit, brain-masked;
the test set has no masks. NIfTI: `Mets_XXX/{bravo,t1_pre,t1_gd,flair,seg}.nii.gz`, which is also what the cohort
simulator writes.
"""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from dicom_node.contract.slots import REFERENCE_ORDER, SequenceSlot
from model.channels import SLICE_SPACING_MM, SPACING_MM
from training.cases.case import EVERY_LABEL, Case, CaseError, CaseFiles, lesions, without_empty
from training.scores import Mask
from worker.volume.geometry import Grid, Volume

NIFTI_NAMES = {
    SequenceSlot.BRAVO: "bravo",
    SequenceSlot.PRE_CUBE: "t1_pre",
    SequenceSlot.POST_CUBE: "t1_gd",
    SequenceSlot.FLAIR: "flair",
}
PNG_FOLDERS = {
    SequenceSlot.BRAVO: "0",
    SequenceSlot.PRE_CUBE: "1",
    SequenceSlot.POST_CUBE: "2",
    SequenceSlot.FLAIR: "3",
}
PATIENTS = "Mets_*"
"""Their folders, at any depth."""
MASK = "seg"
LABELS = EVERY_LABEL
"""Taken as lesion where nothing else is asked for."""


def list_nifti(root: Path, labels: tuple[int, ...] | None = None) -> list[CaseFiles]:
    """Every patient below `root`; `labels` None: whatever the mask outlines. Raises `CaseError` where there is none."""
    wanted = LABELS if labels is None else labels
    found = []
    for folder in _patients(root):
        paths = {slot: _nifti(folder, name) for slot, name in NIFTI_NAMES.items()}
        sequences = {slot: path for slot, path in paths.items() if path is not None}
        if sequences:
            mask = _nifti(folder, MASK)
            found.append(CaseFiles(name=folder.name, sequences=sequences, mask=mask, lesion_labels=wanted))
    if not found:
        raise CaseError(f"{root}: no Mets_*/ with bravo, t1_pre, t1_gd or flair .nii.gz")
    return found


def _nifti(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.nii.gz", folder / f"{name}.nii") if path.exists()), None)


def list_png(root: Path) -> list[Path]:
    """The folder of every patient below `root`, for `load_png`. Raises `CaseError` where there is none."""
    found = [folder for folder in _patients(root) if any((folder / name).is_dir() for name in PNG_FOLDERS.values())]
    if not found:
        raise CaseError(f"{root}: no Mets_*/ with folders 0, 1, 2, 3 of PNG slices")
    return found


def load_png(folder: Path, labels: tuple[int, ...] | None = None) -> Case:
    """One patient of the PNG release; `labels` None: whatever the mask outlines.

    Slices run from below upwards by their number; 1 mm apart, 0.9375 mm in plane.
    """
    read = {slot: _volume(_slices(folder / name)) for slot, name in PNG_FOLDERS.items() if (folder / name).is_dir()}
    sizes = {volume.grid.shape_zyx for volume in read.values()}
    if len(sizes) > 1:
        raise CaseError(f"{folder}: the sequences have different numbers or sizes of slices: {sorted(sizes)}")
    volumes, left_out = without_empty(str(folder), read)
    truth: Mask | None = None
    unread: tuple[int, ...] = ()
    mask = folder / MASK
    if mask.is_dir():
        truth, unread = lesions(_slices(mask), LABELS if labels is None else labels, (), mask)
        if truth.shape not in sizes:
            raise CaseError(f"{mask}: the mask has another size than the sequences")
    reference = next(slot for slot in REFERENCE_ORDER if slot in volumes)
    return Case(
        name=folder.name,
        subject=folder.name,
        volumes=volumes,
        left_out=left_out,
        reference=reference,
        truth=truth,
        truth_of=reference,
        unread_labels=unread,
    )


def _patients(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob(PATIENTS) if path.is_dir())


def _slices(folder: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    paths = sorted(folder.glob("*.png"), key=_number)
    if not paths:
        raise CaseError(f"{folder} holds no PNG slice")
    slices = [_read(path) for path in paths]
    if len({one.shape for one in slices}) > 1:
        raise CaseError(f"{folder} holds slices of different sizes")
    return np.stack(slices)


def _read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("F"), dtype=np.float32)
    except (OSError, SyntaxError, ValueError) as error:
        raise CaseError(f"{path} cannot be read as PNG") from error


def _number(path: Path) -> int:
    digits = re.findall(r"\d+", path.stem)
    if not digits:
        raise CaseError(f"{path}: a slice's name holds its number")
    return int(digits[-1])


def _volume(voxels: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Volume:
    affine = np.diag([SPACING_MM, SPACING_MM, SLICE_SPACING_MM, 1.0])
    z, y, x = voxels.shape
    return Volume(voxels=voxels, grid=Grid(shape_zyx=(z, y, x), affine=affine))
